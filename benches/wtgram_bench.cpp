// The C++ ends of `make bench`. They do what the C program in c/ does, with the same options, commands and lines of
// JSON, but through the C++ interface. The difference in the results is the cost of that interface.
//
//   wtgram_bench_cpp receive batch|single                 prints LISTENING <port> <hash>, then one line of JSON
//   wtgram_bench_cpp send batch|single <port> <hash> <size_bytes> <seconds>
//   wtgram_bench_cpp echo-server
//   wtgram_bench_cpp echo-client <port> <hash> <size_bytes> <seconds>
#include <wtgram/wtgram.hpp>

#include <algorithm>
#include <cstdio>
#include <thread>

using namespace std::chrono_literals;
using steady = std::chrono::steady_clock;

namespace
{

constexpr std::size_t send_batch_size = 64, receive_batch_size = 512, arena_bytes = 1024 * 1024;
constexpr std::size_t datagram_capacity = 65536, sequence_bytes = 8, round_trips_max = 4 * 1000 * 1000;
constexpr std::uint64_t datagrams_per_stamp = 64; // reading the clock costs a tenth of a datagram
constexpr auto quiet = 300ms; // before the close, so that datagrams on their way arrive first

void put_sequence(std::uint8_t *payload, std::uint64_t sequence)
{
    for (std::size_t byte = 0; byte < sequence_bytes; byte++)
        payload[byte] = static_cast<std::uint8_t>(sequence >> (56 - 8 * byte));
}

std::uint64_t get_sequence(wtgram::bytes_view payload)
{
    std::uint64_t sequence = 0;
    for (std::size_t byte = 0; byte < sequence_bytes; byte++) sequence = sequence << 8 | payload[byte];
    return sequence;
}

wtgram::connection_options connection()
{
    return wtgram::connection_options().socket_receive_buffer(4 * 1024 * 1024).socket_send_buffer(4 * 1024 * 1024);
}

wtgram::transport_options transport()
{
    return wtgram::transport_options().outgoing_max_datagrams(4096).when_outgoing_full(wtgram::full_policy::wait);
}

struct target {
    std::string port;
    std::string_view hash;
    std::size_t size;
    std::chrono::duration<double> time;
};

// Listens, prints where, and waits for one session.
wtgram::session accept_one()
{
    static const auto server = wtgram::server::listen(
        wtgram::listen_options().host("127.0.0.1").connection(connection()).transport(transport()));
    std::printf("LISTENING %u %s\n", static_cast<unsigned>(server.local_port()),
                wtgram::to_hex(server.certificate_hash()).c_str());
    std::fflush(stdout);
    return server.accept(30s);
}

wtgram::session connect_to(const target &target)
{
    return wtgram::session::connect("https://127.0.0.1:" + target.port + "/",
                                    wtgram::connect_options()
                                        .trust_certificate_hash(wtgram::hash_from_hex(target.hash).value())
                                        .connection(connection())
                                        .transport(transport()));
}

struct arrivals {
    steady::time_point first, last_stamp;
    std::uint64_t stamped = 0, delivered = 0, bytes = 0, highest_sequence = 0, reordered = 0, malformed = 0;

    void count(wtgram::bytes_view payload)
    {
        if (payload.size() < sequence_bytes) {
            malformed++;
            return;
        }
        const std::uint64_t sequence = get_sequence(payload);
        if (delivered > 0 && sequence <= highest_sequence) reordered++;
        else highest_sequence = sequence;
        delivered++;
        bytes += payload.size();
        if (delivered % datagrams_per_stamp == 1) {
            last_stamp = steady::now();
            stamped = delivered;
            if (delivered == 1) first = last_stamp;
        }
    }
};

std::error_code receive_batches(const wtgram::transport &datagrams, arrivals &arrivals)
{
    wtgram::receive_buffer buffer(receive_batch_size, arena_bytes);
    for (;;) {
        const auto count = datagrams.receive_batch_for(buffer, wtgram::forever);
        if (!count) return count.error();
        for (const auto &datagram : buffer) arrivals.count(datagram.data);
    }
}

std::error_code receive_singly(const wtgram::transport &datagrams, arrivals &arrivals)
{
    std::vector<std::uint8_t> buffer(datagram_capacity);
    for (;;) {
        const auto length = datagrams.receive_for(buffer, wtgram::forever);
        if (!length) return length.error();
        arrivals.count(wtgram::bytes_view(buffer.data(), *length));
    }
}

void receive(bool batch)
{
    const auto session = accept_one();
    const auto datagrams = session.transport();
    arrivals arrivals;
    const auto end = batch ? receive_batches(datagrams, arrivals) : receive_singly(datagrams, arrivals);
    if (end != wtgram::errc::closed) throw wtgram::error(end);
    const auto stats = datagrams.stats();
    const auto number = [](std::uint64_t value) { return static_cast<unsigned long long>(value); };
    std::printf("{\"delivered\": %llu, \"bytes\": %llu, \"window_datagrams\": %llu, \"window_s\": %.6f, "
                "\"reordered\": %llu, \"malformed\": %llu, \"dropped_full\": %llu, \"dropped_by_quic\": %llu, "
                "\"frames\": %llu}\n",
                number(arrivals.delivered), number(arrivals.bytes),
                number(arrivals.stamped > 0 ? arrivals.stamped - 1 : 0),
                std::chrono::duration<double>(arrivals.last_stamp - arrivals.first).count(), number(arrivals.reordered),
                number(arrivals.malformed), number(stats.receive_dropped_full), number(stats.receive_dropped_by_quic),
                number(session.stats().datagram_frames_received));
}

std::uint64_t send_batches(const wtgram::transport &datagrams, std::size_t size, steady::time_point until)
{
    std::vector<std::uint8_t> payloads(send_batch_size * size, 0xa5);
    std::vector<wtgram_slice> slices;
    for (std::size_t i = 0; i < send_batch_size; i++)
        slices.push_back(wtgram::slice(wtgram::bytes_view(payloads.data() + i * size, size)));
    std::uint64_t sent = 0;
    while (steady::now() < until) {
        for (std::size_t i = 0; i < send_batch_size; i++) put_sequence(payloads.data() + i * size, sent + i);
        const auto outcome = datagrams.send_batch(slices);
        if (!outcome) throw wtgram::error(outcome.first_error);
        sent += outcome.accepted;
    }
    return sent;
}

std::uint64_t send_singly(const wtgram::transport &datagrams, std::size_t size, steady::time_point until)
{
    std::vector<std::uint8_t> payload(size, 0xa5);
    std::uint64_t sent = 0;
    for (; sent % datagrams_per_stamp != 0 || steady::now() < until; sent++) {
        put_sequence(payload.data(), sent);
        datagrams.send(payload);
    }
    return sent;
}

void send(bool batch, const target &target)
{
    const auto session = connect_to(target);
    const auto datagrams = session.transport();
    const auto until = steady::now() + std::chrono::duration_cast<steady::duration>(target.time);
    const std::size_t size = target.size;
    const std::uint64_t sent = batch ? send_batches(datagrams, size, until) : send_singly(datagrams, size, until);
    const auto deadline = steady::now() + 5s;
    while (datagrams.stats().send_queued > 0 && steady::now() < deadline) std::this_thread::sleep_for(5ms);
    std::this_thread::sleep_for(quiet);
    const auto stats = datagrams.stats();
    const auto number = [](std::uint64_t value) { return static_cast<unsigned long long>(value); };
    std::printf("{\"sent\": %llu, \"dropped_by_quic\": %llu, \"frames\": %llu}\n", number(sent),
                number(stats.sent_dropped_by_quic), number(session.stats().datagram_frames_sent));
    session.close(0, "done");
    wtgram::shutdown(5s);
}

void echo_server()
{
    const auto session = accept_one();
    const auto datagrams = session.transport();
    std::vector<std::uint8_t> buffer(datagram_capacity);
    unsigned long long echoed = 0;
    std::error_code error;
    for (; !error; echoed++) {
        const auto length = datagrams.receive_for(buffer, wtgram::forever);
        if (!length) error = length.error();
        else if (const auto sent = datagrams.try_send(wtgram::bytes_view(buffer.data(), *length)); !sent)
            error = sent.error();
    }
    if (error != wtgram::errc::closed) throw wtgram::error(error);
    std::printf("{\"echoed\": %llu}\n", echoed - 1);
}

// Waits up to a second for the answer. A late answer belongs to an earlier ping.
bool answered(const wtgram::transport &datagrams, const std::vector<std::uint8_t> &payload,
              std::vector<std::uint8_t> &buffer)
{
    for (;;) {
        const auto length = datagrams.receive_for(buffer, 1s);
        if (!length && length.error() == wtgram::errc::timed_out) return false;
        if (length.value() == payload.size() && std::equal(payload.begin(), payload.end(), buffer.begin())) return true;
    }
}

double percentile_us(const std::vector<double> &sorted_us, std::size_t percent)
{
    return sorted_us.empty() ? 0.0 : sorted_us[(sorted_us.size() - 1) * percent / 100];
}

void echo_client(const target &target)
{
    const auto session = connect_to(target);
    const auto datagrams = session.transport();
    std::vector<std::uint8_t> payload(target.size, 0xa5), buffer(datagram_capacity);
    std::vector<double> round_trips_us;
    round_trips_us.reserve(round_trips_max);
    unsigned long long lost = 0;
    // The first tenth of the time warms up.
    const auto time = std::chrono::duration_cast<steady::duration>(target.time);
    const auto warm_from = steady::now() + time / 10, until = warm_from + time;
    for (std::uint64_t ping = 1; steady::now() < until && round_trips_us.size() < round_trips_max; ping++) {
        put_sequence(payload.data(), ping);
        const auto asked = steady::now();
        datagrams.send(payload);
        if (!answered(datagrams, payload, buffer)) lost++;
        else if (asked >= warm_from)
            round_trips_us.push_back(std::chrono::duration<double, std::micro>(steady::now() - asked).count());
    }
    std::sort(round_trips_us.begin(), round_trips_us.end());
    std::printf("{\"round_trips\": %zu, \"lost\": %llu, \"p50_us\": %.2f, \"p90_us\": %.2f, \"p99_us\": %.2f}\n",
                round_trips_us.size(), lost, percentile_us(round_trips_us, 50), percentile_us(round_trips_us, 90),
                percentile_us(round_trips_us, 99));
    session.close(0, "done");
    wtgram::shutdown(5s);
}

target parse_target(char **argv)
{
    return {argv[0], argv[1], std::stoul(argv[2]), std::chrono::duration<double>(std::stod(argv[3]))};
}

} // namespace

int main(int argc, char **argv)
try {
    const std::string_view end = argc > 1 ? argv[1] : "", form = argc > 2 ? argv[2] : "";
    const bool batch = form == "batch", known_form = batch || form == "single";
    if (end == "receive" && argc == 3 && known_form) receive(batch);
    else if (end == "send" && argc == 7 && known_form) send(batch, parse_target(argv + 3));
    else if (end == "echo-server" && argc == 2) echo_server();
    else if (end == "echo-client" && argc == 6) echo_client(parse_target(argv + 2));
    else throw std::invalid_argument("expected receive, send, echo-server or echo-client");
    return 0;
} catch (const std::exception &failure) {
    std::fprintf(stderr, "wtgram_bench_cpp: %s\n", failure.what());
    return 1;
}
