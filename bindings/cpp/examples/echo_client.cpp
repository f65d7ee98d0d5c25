// Sends numbered datagrams to an echo server, compares each echo byte for byte, and measures round trips.
//
//   echo_client --url URL --hash HEX [--seconds S] [--rate PER_SECOND] [--size BYTES] [--count N]
//
// Exit codes: 0 echoes came back and all were right, 1 something failed, 2 wrong usage, 3 nothing came back, or
// something that was not sent. A datagram that is not back a second after the last one was sent counts as lost.
#include <wtgram/wtgram.hpp>

#include <algorithm>
#include <cstring>
#include <iostream>
#include <map>

using namespace std::chrono_literals;
using steady = std::chrono::steady_clock;
using seconds = std::chrono::duration<double>;

namespace
{

class echo_check
{
  public:
    echo_check(wtgram::transport datagrams, std::size_t size) : datagrams_(datagrams), data_(size) {}

    void run(seconds time, double rate, std::uint64_t count)
    {
        const auto start = steady::now();
        auto now = start, next_line = start + 1s;
        for (; now - start < time && sent_at_.size() < count; now = steady::now()) {
            const auto due = static_cast<std::uint64_t>(seconds(now - start).count() * rate) + 1;
            for (int i = 0; i < 64 && sent_at_.size() < std::min(due, count); i++) send();
            receive(1ms);
            if (now >= next_line) print("  "), next_line += 1s;
        }
        while (echoed_ < sent_at_.size() && steady::now() - now < 1s) receive(10ms);
        print("total:");
    }
    bool verified() const { return echoed_ > 0 && corrupt_ == 0; }

  private:
    void send()
    {
        fill(sent_at_.size());
        sent_at_.push_back(steady::now());
        datagrams_.send(data_);
    }

    void receive(wtgram::duration timeout)
    {
        const auto count = datagrams_.receive_batch_for(received_, timeout);
        if (!count && count.error() != wtgram::errc::timed_out) throw wtgram::error(count.error());
        for (const auto &datagram : received_) check(datagram.data);
    }

    void check(wtgram::bytes_view echo)
    {
        std::uint64_t number = UINT64_MAX;
        if (echo.size() == data_.size()) std::memcpy(&number, echo.data(), sizeof number);
        fill(number);
        if (number >= sent_at_.size() || !std::equal(echo.begin(), echo.end(), data_.begin())) {
            corrupt_++;
        } else if (sent_at_[number] != steady::time_point()) { // otherwise a second copy
            rtts_.push_back(std::chrono::duration_cast<wtgram::duration>(steady::now() - sent_at_[number]));
            sent_at_[number] = steady::time_point();
            echoed_++;
        }
    }

    // Writes the number, then bytes that are computed from it. So the number alone says what the datagram must contain.
    void fill(std::uint64_t number)
    {
        std::memcpy(data_.data(), &number, sizeof number);
        for (std::size_t i = sizeof number; i < data_.size(); i++)
            data_[i] = static_cast<std::uint8_t>((number + i) * 167 >> 3);
    }

    void print(const char *label)
    {
        std::cout << label << " sent " << sent_at_.size() << "  echoed " << echoed_ << "  corrupt " << corrupt_;
        std::sort(rtts_.begin(), rtts_.end());
        for (const std::size_t percent : {50, 90, 99})
            if (!rtts_.empty())
                std::cout << "  p" << percent << ' ' << rtts_[rtts_.size() * percent / 100].count() << " us";
        std::cout << std::endl;
    }

    wtgram::transport datagrams_;
    wtgram::receive_buffer received_;
    std::vector<std::uint8_t> data_; // the last datagram that fill() made
    std::vector<steady::time_point> sent_at_; // by number; the zero time: it came back
    std::vector<wtgram::duration> rtts_;
    std::uint64_t echoed_ = 0, corrupt_ = 0;
};

} // namespace

int main(int argc, char **argv)
try {
    std::map<std::string, std::string> options = {{"--url", ""},      {"--hash", ""},   {"--seconds", "5"},
                                                  {"--rate", "1000"}, {"--size", "64"}, {"--count", "1000000000"}};
    for (int i = 1; i < argc; i += 2) options.at(argv[i]) = i + 1 < argc ? argv[i + 1] : "";
    const auto hash = wtgram::hash_from_hex(options["--hash"]);
    const auto size = std::stoul(options["--size"]);
    const seconds time(std::stod(options["--seconds"]));
    const double rate = std::stod(options["--rate"]);
    const auto count = std::stoull(options["--count"]);
    if (!hash || size < sizeof(std::uint64_t)) throw std::invalid_argument("--hash has 64 digits, --size is 8 or more");

    const auto session =
        wtgram::session::connect(options["--url"], wtgram::connect_options().trust_certificate_hash(*hash));
    echo_check echo(session.transport(), size);
    echo.run(time, rate, count);
    session.close(0, "done");
    wtgram::shutdown(1s); // waits until the server is notified
    return echo.verified() ? 0 : 3;
} catch (const std::logic_error &wrong) { // an unknown option, or not a number
    std::cerr << "echo_client: " << wrong.what() << "\nusage: echo_client --url U --hash H [--seconds S] [--rate N] "
              << "[--size B] [--count N]\n";
    return 2;
} catch (const std::exception &failure) {
    std::cerr << "echo_client: " << failure.what() << '\n';
    return 1;
}
