// A room: each datagram from a member goes to all members, itself included. Every second all members get the time and
// their number.
//
//   broadcast_server [--host ADDRESS] [--port N] [--seconds N]
//
// Prints "listening on https://HOST:PORT/ hash HEX". HEX is the hash of its self-signed certificate; a client (or a
// browser's serverCertificateHashes) needs it to trust the server. Ends on SIGINT, SIGTERM or after N seconds.
// Exit codes: 0 ended cleanly, 1 something failed, 2 wrong usage.
#include <wtgram/wtgram.hpp>

#include <csignal>
#include <ctime>
#include <iostream>
#include <map>
#include <unordered_map>

using namespace std::chrono_literals;
using wtgram::readiness;

namespace
{

volatile std::sig_atomic_t stopping;

struct member {
    wtgram::session session;
    wtgram::transport datagrams;
};

class room
{
  public:
    explicit room(const wtgram::server &server) : server_(server) { poller_.add(server, readiness::accept); }

    void run(long seconds)
    {
        wtgram::event events[64];
        const std::time_t start = std::time(nullptr);
        for (std::time_t now = start, told = start; !stopping && (seconds == 0 || now - start < seconds);
             now = std::time(nullptr)) {
            if (now != told) tell_time(told = now);
            for (const wtgram::event &event : poller_.wait(events, 100ms)) {
                if (event.acceptable()) join();
                else if (!pass_on(members_.at(event.object))) leave(event.object);
            }
        }
    }

  private:
    void join()
    {
        auto session = server_.try_accept();
        if (!session) return; // it ended before it was accepted
        const wtgram::transport datagrams = session->transport();
        if (!all_.try_add(datagrams)) return; // it has closed already
        poller_.add(datagrams, readiness::readable | readiness::closed);
        members_.emplace(datagrams.id(), member{*std::move(session), datagrams});
    }

    // Receives a batch from one member and sends each datagram to all. A member that cannot keep up misses some; the
    // others do not wait for it. Returns false when the session of the member has ended.
    bool pass_on(const member &member)
    {
        const auto count = member.datagrams.try_receive_batch(buffer_);
        if (!count) return count.error() == wtgram::errc::would_block;
        for (const auto &datagram : buffer_) all_.broadcast(datagram.data);
        return true;
    }

    void leave(std::uint64_t id) // the broadcaster drops closed members by itself
    {
        poller_.remove(members_.at(id).datagrams);
        members_.erase(id);
    }

    void tell_time(std::time_t now)
    {
        const std::size_t count = all_.member_count();
        const std::string text = "{\"time\":" + std::to_string(now) + ",\"members\":" + std::to_string(count) + "}";
        const auto told = all_.broadcast(text, wtgram::send_options().ttl(1s)); // an old time is useless
        std::cout << told.accepted << " of " << count << " members got " << text << std::endl;
    }

    const wtgram::server &server_;
    wtgram::poller poller_ = wtgram::poller::make();
    wtgram::broadcaster all_ = wtgram::broadcaster::make();
    wtgram::receive_buffer buffer_;
    std::unordered_map<std::uint64_t, member> members_;
};

} // namespace

int main(int argc, char **argv)
try {
    std::map<std::string, std::string> options = {{"--host", "127.0.0.1"}, {"--port", "0"}, {"--seconds", "0"}};
    for (int i = 1; i < argc; i += 2) options.at(argv[i]) = i + 1 < argc ? argv[i + 1] : "";
    const auto port = std::stoul(options["--port"]);
    const auto seconds = std::stol(options["--seconds"]);
    if (port > UINT16_MAX) throw std::out_of_range("--port is 65535 at most");

    std::signal(SIGINT, [](int number) { stopping = number; });
    std::signal(SIGTERM, [](int number) { stopping = number; });
    const auto server =
        wtgram::server::listen(wtgram::listen_options().host(options["--host"]).port(static_cast<std::uint16_t>(port)));
    room room(server);
    std::cout << "listening on https://" << server.local_address() << "/ hash "
              << wtgram::to_hex(server.certificate_hash()) << std::endl;
    room.run(seconds);
    wtgram::shutdown(2s); // notifies the peers; a peer that has vanished takes more than a second
    return 0;
} catch (const std::logic_error &wrong) { // an unknown option, or not a number
    std::cerr << "broadcast_server: " << wrong.what()
              << "\nusage: broadcast_server [--host ADDRESS] [--port N] [--seconds N]\n";
    return 2;
} catch (const std::exception &failure) {
    std::cerr << "broadcast_server: " << failure.what() << '\n';
    return 1;
}
