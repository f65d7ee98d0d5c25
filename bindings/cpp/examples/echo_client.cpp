// Sends numbered datagrams to an echo server and compares what comes back byte for byte.
//
//   echo_client --url URL --hash HEX [--seconds S] [--rate PER_SECOND] [--size BYTES] [--count N]
//
// The same exit codes as examples/echo_client.c: 0 everything that came back was right and something came back, 1
// something failed, 2 wrong usage, 3 nothing came back, or something that we had not sent.
#include <wtgram/wtgram.hpp>

#include <algorithm>
#include <cstring>
#include <iostream>
#include <limits>

using namespace std::chrono_literals;
using steady = std::chrono::steady_clock;

namespace
{

struct settings {
    std::string url;
    std::optional<wtgram::certificate_hash> hash;
    double seconds = 5, rate = 1000;
    std::size_t size = 64;
    std::uint64_t count = std::numeric_limits<std::uint64_t>::max();
};

class echo_check
{
  public:
    echo_check(wtgram::transport datagrams, const settings &settings)
        : datagrams_(datagrams), settings_(settings), data_(settings.size)
    {
    }

    void run()
    {
        const auto start = steady::now();
        const auto end =
            start + std::chrono::duration_cast<steady::duration>(std::chrono::duration<double>(settings_.seconds));
        auto next_line = start + 1s;
        auto now = start;
        for (; now < end && sent_at_.size() < settings_.count; now = steady::now()) {
            send_due(std::chrono::duration<double>(now - start).count() * settings_.rate + 1);
            receive(1ms);
            if (now >= next_line) print("   "), next_line += 1s;
        }
        // What is still under way has a second to arrive.
        while (echoed_ < sent_at_.size() && steady::now() < now + 1s) receive(10ms);
        print("total:");
    }

    bool verified() const { return echoed_ > 0 && corrupt_ == 0; }

  private:
    void send_due(double due)
    {
        for (int burst = 0; burst < 64 && static_cast<double>(sent_at_.size()) < due; burst++) {
            if (sent_at_.size() >= settings_.count) return;
            fill(sent_at_.size());
            sent_at_.push_back(steady::now());
            datagrams_.send(data_);
        }
    }

    void receive(wtgram::duration timeout)
    {
        const auto count = datagrams_.try_receive_batch_for(buffer_, timeout);
        if (!count && count.error() != wtgram::errc::timed_out) throw wtgram::error(count.error());
        for (const auto &datagram : buffer_) check(datagram.data);
    }

    void check(wtgram::bytes_view echo)
    {
        std::uint64_t number = sent_at_.size();
        if (echo.size() == data_.size()) std::memcpy(&number, echo.data(), sizeof number);
        if (number < sent_at_.size()) fill(number);
        if (number >= sent_at_.size() || !std::equal(echo.begin(), echo.end(), data_.begin())) {
            corrupt_++;
        } else if (sent_at_[number] != steady::time_point()) { // else a second copy
            rtts_.push_back(steady::now() - sent_at_[number]);
            sent_at_[number] = steady::time_point();
            echoed_++;
        }
    }

    // The number, then bytes that follow from it: whoever knows the number knows the whole datagram.
    void fill(std::uint64_t number)
    {
        std::memcpy(data_.data(), &number, sizeof number);
        for (std::size_t i = sizeof number; i < data_.size(); i++)
            data_[i] = static_cast<std::uint8_t>((number + i) * 167 >> 3);
    }

    void print(const char *label)
    {
        std::sort(rtts_.begin(), rtts_.end());
        std::cout << label << " sent " << sent_at_.size() << "  echoed " << echoed_ << "  corrupt " << corrupt_;
        for (const int percent : {50, 90, 99})
            if (!rtts_.empty())
                std::cout << "  p" << percent << " "
                          << wtgram::duration(
                                 std::chrono::duration_cast<wtgram::duration>(rtts_[rtts_.size() * percent / 100]))
                                 .count()
                          << " us";
        std::cout << std::endl;
    }

    wtgram::transport datagrams_;
    settings settings_;
    std::vector<std::uint8_t> data_;
    wtgram::receive_buffer buffer_;
    std::vector<steady::time_point> sent_at_; // by number; zero = came back
    std::vector<steady::duration> rtts_;
    std::uint64_t echoed_ = 0, corrupt_ = 0;
};

std::optional<settings> parse(int argc, char **argv)
{
    settings settings;
    for (int i = 1; i < argc; i += 2) {
        const std::string_view name = argv[i];
        if (i + 1 == argc) return std::nullopt;
        if (name == "--url") settings.url = argv[i + 1];
        else if (name == "--hash") settings.hash = wtgram::hash_from_hex(argv[i + 1]);
        else if (name == "--seconds") settings.seconds = std::stod(argv[i + 1]);
        else if (name == "--rate") settings.rate = std::stod(argv[i + 1]);
        else if (name == "--size") settings.size = std::stoul(argv[i + 1]);
        else if (name == "--count") settings.count = std::stoull(argv[i + 1]);
        else return std::nullopt;
    }
    if (settings.url.empty() || !settings.hash || settings.size < sizeof(std::uint64_t)) return std::nullopt;
    return settings;
}

} // namespace

int main(int argc, char **argv)
try {
    const auto settings = parse(argc, argv);
    if (!settings) {
        std::cerr << "usage: echo_client --url U --hash H [--seconds S] [--rate N] [--size B] [--count N]\n";
        return 2;
    }
    bool verified = false;
    {
        const auto session =
            wtgram::session::connect(settings->url, wtgram::connect_options().trust_certificate_hash(*settings->hash));
        echo_check echo(session.datagrams(), *settings);
        echo.run();
        session.close(0, "done");
        verified = echo.verified();
    }
    wtgram::shutdown(1s); // waits until the server was told
    return verified ? 0 : 3;
} catch (const std::exception &failure) {
    std::cerr << "echo_client: " << failure.what() << '\n';
    return 1;
}
