// Connects to an echo server, keeps it busy, and monitors the transport. Prints the newest sample every second, alerts
// when they begin and end, and at the end the figures as Prometheus reads them.
//
//   monitor URL HASH [SECONDS]
//
// echo_server prints URL and HASH. SECONDS (default 5) is how long the program runs. Every third second it sends faster
// than any path carries, so that the outgoing queue evicts and the monitor raises alerts.
// Exit codes: 0 all went well, 1 something failed, 2 wrong usage.
#include <wtgram/wtgram.hpp>

#include <iostream>

using namespace std::chrono_literals;
using steady = std::chrono::steady_clock;

namespace
{

// Sends the datagrams of one second: a few, or far too many. The echoes are never received, so the queue drops them.
void work(const wtgram::transport &datagrams, int second)
{
    const std::vector<std::uint8_t> payload(1000);
    for (int i = 0; i < (second % 3 == 2 ? 2000 : 20); i++) datagrams.send(payload);
}

// Prints the alerts of one second when they arrive.
void print_alerts(const wtgram::monitor &monitor)
{
    const auto end = steady::now() + 1s;
    for (auto now = steady::now(); now < end; now = steady::now()) {
        const auto alert = monitor.next_alert_for(std::chrono::ceil<wtgram::duration>(end - now));
        if (alert) std::cout << (alert->has_begun() ? "ALERT " : "      ") << alert->text() << '\n';
        else if (alert.error() != wtgram::errc::timed_out) throw wtgram::error(alert.error());
    }
}

void print(const wtgram::sample &sample)
{
    std::cout << "sent " << sample.datagrams_sent << ", received " << sample.datagrams_received << ", waiting "
              << sample.outgoing_queue_size << ", evicted " << sample.evicted << ", round trip " << sample.rtt().count()
              << " us, lost " << sample.packets_lost << " of " << sample.packets_sent << " packets" << std::endl;
}

} // namespace

int main(int argc, char **argv)
try {
    const auto hash = argc == 3 || argc == 4 ? wtgram::hash_from_hex(argv[2]) : std::nullopt;
    const int seconds = argc == 4 ? std::stoi(argv[3]) : 5;
    if (!hash) throw std::invalid_argument("a URL and the 64 digits of a hash are needed");

    const auto session = wtgram::session::connect(argv[1], wtgram::connect_options().trust_certificate_hash(*hash));
    const auto datagrams = session.transport();
    // The default is 5 s. This program runs only for a few seconds.
    const auto monitor = wtgram::monitor::open(datagrams, wtgram::monitor_options().interval(200ms));
    for (int second = 0; second < seconds; second++) {
        work(datagrams, second);
        print_alerts(monitor);
        wtgram::sample newest[1];
        for (const wtgram::sample &sample : monitor.samples(newest)) print(sample);
    }
    std::cout << wtgram::prometheus(datagrams);
    wtgram::shutdown(1s);
    return 0;
} catch (const std::logic_error &wrong) {
    std::cerr << "monitor: " << wrong.what() << "\nusage: monitor URL HASH [SECONDS]\n";
    return 2;
} catch (const std::exception &failure) {
    std::cerr << "monitor: " << failure.what() << '\n';
    return 1;
}
