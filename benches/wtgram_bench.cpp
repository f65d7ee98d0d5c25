// The C++ ends of `make bench`: what wtgram_bench.c does, with its options, its commands and its lines of JSON, through
// the C++ binding. What it delivers less is what the binding costs.
//
//   wtgram_bench_cpp receive batch|single                 prints LISTENING <port> <hash>, then one line of JSON
//   wtgram_bench_cpp send batch|single <port> <hash> <size_bytes> <seconds>
#include <wtgram/wtgram.hpp>

#include <cstdio>
#include <thread>

using namespace std::chrono_literals;
using steady = std::chrono::steady_clock;

namespace
{

constexpr std::size_t send_batch_size = 64, receive_batch_size = 512, arena_bytes = 1024 * 1024;
constexpr std::size_t datagram_capacity = 65536, sequence_bytes = 8;
constexpr std::uint64_t datagrams_per_stamp = 64; // reading the clock costs a tenth of what a datagram does
constexpr auto quiet = 300ms; // before the close, so that what is on its way arrives first

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
        const auto count = datagrams.try_receive_batch_for(buffer, wtgram::forever);
        if (!count) return count.error();
        for (const auto &datagram : buffer) arrivals.count(datagram.data);
    }
}

std::error_code receive_singly(const wtgram::transport &datagrams, arrivals &arrivals)
{
    std::vector<std::uint8_t> buffer(datagram_capacity);
    for (;;) {
        const auto length = datagrams.try_receive_for(buffer, wtgram::forever);
        if (!length) return length.error();
        arrivals.count(wtgram::bytes_view(buffer.data(), *length));
    }
}

void receive(bool batch)
{
    const auto server = wtgram::server::listen(
        wtgram::listen_options().host("127.0.0.1").connection(connection()).transport(transport()));
    std::printf("LISTENING %u %s\n", static_cast<unsigned>(server.local_port()), wtgram::to_hex(server.hash()).c_str());
    std::fflush(stdout);
    const auto session = server.accept(30s);
    const auto datagrams = session.datagrams();
    arrivals arrivals;
    const auto end = batch ? receive_batches(datagrams, arrivals) : receive_singly(datagrams, arrivals);
    if (end != wtgram::errc::closed) throw wtgram::error(end);
    const auto stats = datagrams.stats();
    const auto number = [](std::uint64_t value) { return static_cast<unsigned long long>(value); };
    std::printf("{\"delivered\": %llu, \"bytes\": %llu, \"window_datagrams\": %llu, \"window_s\": %.6f, "
                "\"reordered\": %llu, \"malformed\": %llu, \"received\": %llu, \"dropped_full\": %llu, "
                "\"dropped_by_quic\": %llu}\n",
                number(arrivals.delivered), number(arrivals.bytes),
                number(arrivals.stamped > 0 ? arrivals.stamped - 1 : 0),
                std::chrono::duration<double>(arrivals.last_stamp - arrivals.first).count(), number(arrivals.reordered),
                number(arrivals.malformed), number(stats.received), number(stats.receive_dropped_full),
                number(stats.receive_dropped_by_quic));
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

void send(bool batch, const std::string &port, std::string_view hash, std::size_t size,
          std::chrono::duration<double> time)
{
    const auto session = wtgram::session::connect("https://127.0.0.1:" + port + "/",
                                                  wtgram::connect_options()
                                                      .trust_certificate_hash(wtgram::hash_from_hex(hash).value())
                                                      .connection(connection())
                                                      .transport(transport()));
    const auto datagrams = session.datagrams();
    const auto until = steady::now() + std::chrono::duration_cast<steady::duration>(time);
    const std::uint64_t sent = batch ? send_batches(datagrams, size, until) : send_singly(datagrams, size, until);
    const auto deadline = steady::now() + 5s;
    while (datagrams.stats().send_queued > 0 && steady::now() < deadline) std::this_thread::sleep_for(5ms);
    std::this_thread::sleep_for(quiet);
    const auto stats = datagrams.stats();
    const auto number = [](std::uint64_t value) { return static_cast<unsigned long long>(value); };
    std::printf("{\"sent\": %llu, \"handed_to_quic\": %llu, \"dropped_by_quic\": %llu}\n", number(sent),
                number(stats.sent), number(stats.sent_dropped_by_quic));
    session.close(0, "done");
    wtgram::shutdown(5s);
}

} // namespace

int main(int argc, char **argv)
try {
    const std::string_view end = argc > 1 ? argv[1] : "", form = argc > 2 ? argv[2] : "";
    const bool batch = form == "batch";
    if (!batch && form != "single") throw std::invalid_argument("expected batch or single");
    if (end == "receive" && argc == 3) receive(batch);
    else if (end == "send" && argc == 7)
        send(batch, argv[3], argv[4], std::stoul(argv[5]), std::chrono::duration<double>(std::stod(argv[6])));
    else throw std::invalid_argument("expected receive or send");
    return 0;
} catch (const std::exception &failure) {
    std::fprintf(stderr, "wtgram_bench_cpp: %s\n", failure.what());
    return 1;
}
