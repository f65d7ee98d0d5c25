// Sends every datagram back to its sender: one thread, one poller, any number of sessions.
//
//   echo_server [--host ADDRESS] [--port N] [--count-sessions N]
//
// Prints "listening on https://HOST:PORT/ hash HEX". HEX is the hash of its self-signed certificate; a client (or a
// browser's serverCertificateHashes) needs it to trust the server. Ends on SIGINT, SIGTERM or when N sessions have
// ended.
// Exit codes: 0 ended cleanly, 1 something failed, 2 wrong usage.
#include <wtgram/wtgram.hpp>

#include <csignal>
#include <iostream>
#include <map>
#include <unordered_map>

using namespace std::chrono_literals;
using wtgram::readiness;

namespace
{

volatile std::sig_atomic_t stopping;

struct peer {
    wtgram::session session;
    wtgram::transport datagrams;
    std::uint64_t echoed = 0;
};

class echo_server
{
  public:
    explicit echo_server(const wtgram::server &server) : server_(server) { poller_.add(server, readiness::accept); }

    void run(unsigned long count_sessions)
    {
        wtgram::event events[64];
        while (!stopping && (count_sessions == 0 || closed_sessions_ < count_sessions)) {
            for (const wtgram::event &event : poller_.wait(events, 200ms)) { // the timeout is for `stopping`
                if (event.acceptable()) accept();
                else if (!echo(peers_.at(event.object))) say_goodbye(event.object);
            }
        }
    }

  private:
    void accept()
    {
        auto session = server_.try_accept();
        if (!session) return; // it ended before it was accepted
        const wtgram::transport datagrams = session->transport();
        poller_.add(datagrams, readiness::readable | readiness::closed);
        peers_.emplace(datagrams.id(), peer{*std::move(session), datagrams});
    }

    // Receives a batch and sends it back. Returns false when the session has ended and nothing is left.
    bool echo(peer &peer)
    {
        const auto count = peer.datagrams.try_receive_batch(buffer_);
        if (!count) return count.error() == wtgram::errc::would_block;
        slices_.clear();
        for (const auto &datagram : buffer_) slices_.push_back(wtgram::slice(datagram.data));
        const auto sent = peer.datagrams.send_batch(slices_);
        peer.echoed += sent.accepted;
        return sent || sent.first_error == wtgram::errc::too_large; // the path back carries less; this one is lost
    }

    void say_goodbye(std::uint64_t id)
    {
        const peer &gone = peers_.at(id);
        if (const auto info = gone.session.try_close_info())
            std::cout << "session closed with code " << info->code() << " after " << gone.echoed << " echoes"
                      << std::endl;
        poller_.remove(gone.datagrams);
        peers_.erase(id);
        closed_sessions_++;
    }

    const wtgram::server &server_;
    wtgram::poller poller_ = wtgram::poller::make();
    wtgram::receive_buffer buffer_;
    std::vector<wtgram_slice> slices_;
    std::unordered_map<std::uint64_t, peer> peers_;
    unsigned long closed_sessions_ = 0;
};

} // namespace

int main(int argc, char **argv)
try {
    std::map<std::string, std::string> options = {{"--host", "127.0.0.1"}, {"--port", "0"}, {"--count-sessions", "0"}};
    for (int i = 1; i < argc; i += 2) options.at(argv[i]) = i + 1 < argc ? argv[i + 1] : "";
    const auto port = std::stoul(options["--port"]), count_sessions = std::stoul(options["--count-sessions"]);
    if (port > UINT16_MAX) throw std::out_of_range("--port is 65535 at most");

    std::signal(SIGINT, [](int number) { stopping = number; });
    std::signal(SIGTERM, [](int number) { stopping = number; });
    const auto server = wtgram::server::listen(
        wtgram::listen_options()
            .host(options["--host"])
            .port(static_cast<std::uint16_t>(port))
            .transport(wtgram::transport_options().outgoing_max_datagrams(4096))); // a whole burst may go back at once
    echo_server echo(server);
    std::cout << "listening on https://" << server.local_address() << "/ hash "
              << wtgram::to_hex(server.certificate_hash()) << std::endl;
    echo.run(count_sessions);
    wtgram::shutdown(2s); // notifies the peers; a peer that has vanished takes more than a second
    return 0;
} catch (const std::logic_error &wrong) { // an unknown option, or not a number
    std::cerr << "echo_server: " << wrong.what()
              << "\nusage: echo_server [--host ADDRESS] [--port N] [--count-sessions N]\n";
    return 2;
} catch (const std::exception &failure) {
    std::cerr << "echo_server: " << failure.what() << '\n';
    return 1;
}
