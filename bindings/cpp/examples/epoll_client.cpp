// Uses WebTransport datagrams in a program that already has an epoll loop: one thread, no callback, no blocking call,
// not even to connect.
//
//   epoll_client --url URL --hash HEX [--count N]
//
// The poller's descriptor is readable while any object in the poller is ready. So it goes into epoll beside all other
// descriptors: here a timer that sends a datagram every 10 ms, and a descriptor that delivers SIGINT and SIGTERM.
// Exit codes: 0 all N came back (default 100), 1 something failed, 2 wrong usage, 3 some did not come back.
#include <wtgram/wtgram.hpp>

#include <sys/epoll.h>
#include <sys/signalfd.h>
#include <sys/timerfd.h>
#include <unistd.h>

#include <cerrno>
#include <csignal>
#include <iostream>
#include <map>

using namespace std::chrono_literals;

namespace
{

// A descriptor that this program owns and closes. (The poller's descriptor belongs to the library.)
class descriptor
{
  public:
    explicit descriptor(int fd) : fd_(fd)
    {
        if (fd < 0) throw std::system_error(errno, std::generic_category());
    }
    descriptor(const descriptor &) = delete;
    descriptor &operator=(const descriptor &) = delete;
    ~descriptor() { close(fd_); }
    int fd() const { return fd_; }

  private:
    int fd_;
};

class echo_loop
{
  public:
    echo_loop(const wtgram::session &session, std::uint64_t count) : session_(session), count_(count)
    {
        // reported once, when the attempt to connect has ended
        poller_.add(session, wtgram::readiness::connected | wtgram::readiness::one_shot);
        const itimerspec interval = {{0, 10'000'000}, {0, 10'000'000}}; // 10 ms
        timerfd_settime(timer_.fd(), 0, &interval, nullptr);
        for (const int fd : {poller_.fd(), timer_.fd(), signals_.fd()}) {
            epoll_event event{EPOLLIN, {nullptr}};
            event.data.fd = fd;
            if (epoll_ctl(epoll_.fd(), EPOLL_CTL_ADD, fd, &event) != 0)
                throw std::system_error(errno, std::generic_category());
        }
    }

    bool run()
    {
        while (!stopping_ && echoed_ < count_ && grace_ticks_ > 0) {
            epoll_event events[3];
            const int ready = epoll_wait(epoll_.fd(), events, 3, -1);
            for (int i = 0; i < ready; i++) {
                if (events[i].data.fd == poller_.fd()) on_poller();
                else if (events[i].data.fd == timer_.fd()) on_timer();
                else stopping_ = true;
            }
        }
        std::cout << sent_ << " sent, " << echoed_ << " echoed" << std::endl;
        return echoed_ == count_;
    }

  private:
    // Never waits, because this thread must not sleep in the library.
    void on_poller()
    {
        wtgram::event events[4];
        for (const wtgram::event &event : poller_.wait(events, 0us)) {
            if (event.object == session_.id()) on_connected();
            else on_readable();
        }
    }

    void on_connected()
    {
        session_.wait_connected(0us); // throws if the attempt has failed
        datagrams_ = session_.transport();
        poller_.add(*datagrams_, wtgram::readiness::readable);
    }

    void on_readable()
    {
        std::uint8_t text[64];
        auto length = datagrams_->try_receive(text);
        for (; length; length = datagrams_->try_receive(text), echoed_++)
            std::cout << "echo: " << std::string_view(reinterpret_cast<const char *>(text), *length) << '\n';
        if (length.error() != wtgram::errc::would_block) throw wtgram::error(length.error());
    }

    void on_timer()
    {
        std::uint64_t ticks = 0;
        if (read(timer_.fd(), &ticks, sizeof ticks) != sizeof ticks) return;
        if (sent_ == count_) grace_ticks_--;
        else if (datagrams_ && datagrams_->try_send("datagram " + std::to_string(sent_)))
            sent_++; // otherwise at the next tick
    }

    static int signals()
    {
        sigset_t set;
        sigemptyset(&set);
        sigaddset(&set, SIGINT);
        sigaddset(&set, SIGTERM);
        return sigprocmask(SIG_BLOCK, &set, nullptr) == 0 ? signalfd(-1, &set, SFD_CLOEXEC) : -1;
    }

    const wtgram::session &session_;
    std::optional<wtgram::transport> datagrams_; // none before the session is established
    wtgram::poller poller_ = wtgram::poller::make();
    descriptor epoll_{epoll_create1(EPOLL_CLOEXEC)};
    descriptor timer_{timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC | TFD_NONBLOCK)};
    descriptor signals_{signals()};
    const std::uint64_t count_;
    std::uint64_t sent_ = 0, echoed_ = 0;
    int grace_ticks_ = 3000; // waits at most half a minute for the last echoes
    bool stopping_ = false;
};

} // namespace

int main(int argc, char **argv)
try {
    std::map<std::string, std::string> options = {{"--url", ""}, {"--hash", ""}, {"--count", "100"}};
    for (int i = 1; i < argc; i += 2) options.at(argv[i]) = i + 1 < argc ? argv[i + 1] : "";
    const auto hash = wtgram::hash_from_hex(options["--hash"]);
    const auto count = std::stoull(options["--count"]);
    if (!hash) throw std::invalid_argument("--hash has 64 digits");

    const auto session =
        wtgram::session::connect_start(options["--url"], wtgram::connect_options().trust_certificate_hash(*hash));
    const bool complete = echo_loop(session, count).run();
    wtgram::shutdown(1s); // closes the session and waits until the server is notified
    return complete ? 0 : 3;
} catch (const std::logic_error &wrong) { // an unknown option, or not a number
    std::cerr << "epoll_client: " << wrong.what() << "\nusage: epoll_client --url URL --hash HEX [--count N]\n";
    return 2;
} catch (const std::exception &failure) {
    std::cerr << "epoll_client: " << failure.what() << '\n';
    return 1;
}
