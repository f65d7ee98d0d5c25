// WebTransport datagrams in a program that already has a Boost.Asio loop: one thread, no blocking call in the loop.
//
//   asio_client URL HASH [COUNT]
//
// The poller's descriptor is readable while any object in it is ready, so a stream_descriptor waits for it beside
// everything else: here a timer that sends a datagram each 10 ms, and a signal_set for SIGINT and SIGTERM.
// Exit codes: 0 all COUNT came back (default 100), 1 something failed, 2 wrong usage, 3 some did not come back.
#include <wtgram/wtgram.hpp>

#include <boost/asio/io_context.hpp>
#include <boost/asio/posix/stream_descriptor.hpp>
#include <boost/asio/signal_set.hpp>
#include <boost/asio/steady_timer.hpp>

#include <fcntl.h>

#include <cerrno>
#include <csignal>
#include <iostream>

namespace asio = boost::asio;
using namespace std::chrono_literals;
using asio_error = const boost::system::error_code &;

namespace
{

class echo_loop
{
  public:
    echo_loop(wtgram::transport datagrams, std::uint64_t count) : datagrams_(datagrams), count_(count)
    {
        poller_.add(datagrams, wtgram::readiness::readable | wtgram::readiness::closed);
        signals_.async_wait([this](asio_error error, int) {
            if (error) throw boost::system::system_error(error);
            context_.stop();
        });
        wait_for_poller();
        wait_for_timer();
    }

    // Handlers that throw end it: run() passes the exception on.
    bool run()
    {
        context_.run();
        std::cout << sent_ << " sent, " << echoed_ << " echoed" << std::endl;
        return echoed_ == count_;
    }

  private:
    // Asio closes the descriptors that it is given, and the poller's belongs to the library: Asio gets a copy.
    static int copy_of(int fd)
    {
        const int copy = fcntl(fd, F_DUPFD_CLOEXEC, 0);
        if (copy < 0) throw std::system_error(errno, std::generic_category());
        return copy;
    }

    void wait_for_poller()
    {
        readable_.async_wait(readable_.wait_read, [this](asio_error error) {
            if (error) throw boost::system::system_error(error);
            on_readable();
            if (echoed_ == count_) context_.stop();
            else wait_for_poller();
        });
    }

    void wait_for_timer()
    {
        timer_.expires_after(10ms);
        timer_.async_wait([this](asio_error error) {
            if (error) throw boost::system::system_error(error);
            if (sent_ < count_) send();
            else if (--grace_ticks_ == 0) context_.stop();
            wait_for_timer();
        });
    }

    // Takes everything that is ready. Never waits: this thread must not sleep in the library.
    void on_readable()
    {
        wtgram::event events[4];
        auto ready = poller_.try_wait(events);
        for (; ready; ready = poller_.try_wait(events)) receive(); // one object only, so the events need no look
        if (ready.error() != wtgram::errc::would_block) throw wtgram::error(ready.error());
    }

    void receive()
    {
        std::uint8_t text[64];
        auto length = datagrams_.try_receive(text);
        for (; length; length = datagrams_.try_receive(text), echoed_++)
            std::cout << "echo: " << std::string_view(reinterpret_cast<const char *>(text), *length) << '\n';
        if (length.error() != wtgram::errc::would_block) throw wtgram::error(length.error()); // also errc::closed
    }

    void send()
    {
        const auto sent = datagrams_.try_send("datagram " + std::to_string(sent_));
        if (sent) sent_++; // else at the next tick
        else if (sent.error() != wtgram::errc::would_block && sent.error() != wtgram::errc::queue_full)
            throw wtgram::error(sent.error());
    }

    wtgram::transport datagrams_;
    wtgram::poller poller_ = wtgram::poller::make();
    asio::io_context context_{1}; // for one thread
    asio::posix::stream_descriptor readable_{context_, copy_of(poller_.fd())};
    asio::steady_timer timer_{context_};
    asio::signal_set signals_{context_, SIGINT, SIGTERM};
    const std::uint64_t count_;
    std::uint64_t sent_ = 0, echoed_ = 0;
    int grace_ticks_ = 3000; // waits half a minute at most for the last echoes
};

} // namespace

int main(int argc, char **argv)
try {
    const auto hash = argc == 3 || argc == 4 ? wtgram::hash_from_hex(argv[2]) : std::nullopt;
    const auto count = argc == 4 ? std::stoull(argv[3]) : 100;
    if (!hash || count == 0) throw std::invalid_argument("a URL and the 64 digits of a hash are needed");

    const auto session = wtgram::session::connect(argv[1], wtgram::connect_options().trust_certificate_hash(*hash));
    const bool complete = echo_loop(session.transport(), count).run();
    wtgram::shutdown(1s); // closes the session and waits until the server was told
    return complete ? 0 : 3;
} catch (const std::logic_error &wrong) { // not the arguments that are needed
    std::cerr << "asio_client: " << wrong.what() << "\nusage: asio_client URL HASH [COUNT]\n";
    return 2;
} catch (const std::exception &failure) {
    std::cerr << "asio_client: " << failure.what() << '\n';
    return 1;
}
