/* Functions that the C ends share; ends.h describes them. */
#define _POSIX_C_SOURCE 200809L
#include "ends.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

static const uint32_t SOCKET_BUFFER_BYTES = 4 * 1024 * 1024;
static const int64_t QUIET_NS = 300 * 1000 * 1000; /* before the close, so that datagrams on their way arrive first */

void check(wtgram_status status, const char *what, const char *detail)
{
    if (status != WTGRAM_OK) {
        fprintf(stderr, "wtgram_bench: %s: %s %s\n", what, wtgram_status_name((int32_t)status), detail);
        exit(EXIT_FAILURE);
    }
}

void fail(const char *what)
{
    fprintf(stderr, "wtgram_bench: %s\n", what);
    exit(EXIT_FAILURE);
}

void *allocate(size_t count, size_t size)
{
    void *memory = calloc(count, size);
    if (memory == NULL) fail("out of memory");
    return memory;
}

int64_t now_ns(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (int64_t)now.tv_sec * SECOND_NS + now.tv_nsec;
}

uint64_t wall_clock_ns(void)
{
    struct timespec now;
    clock_gettime(CLOCK_REALTIME, &now);
    return (uint64_t)now.tv_sec * (uint64_t)SECOND_NS + (uint64_t)now.tv_nsec;
}

void sleep_ns(int64_t duration_ns)
{
    struct timespec duration = {.tv_sec = (time_t)(duration_ns / SECOND_NS),
                                .tv_nsec = (long)(duration_ns % SECOND_NS)};
    nanosleep(&duration, NULL);
}

void put_sequence(uint8_t *payload, uint64_t sequence)
{
    for (int byte = 0; byte < SEQUENCE_BYTES; byte++) payload[byte] = (uint8_t)(sequence >> (56 - 8 * byte));
}

uint64_t get_sequence(const uint8_t *payload)
{
    uint64_t sequence = 0;
    for (int byte = 0; byte < SEQUENCE_BYTES; byte++) sequence = sequence << 8 | payload[byte];
    return sequence;
}

int64_t memory_bytes(const char *line_name)
{
    FILE *file = fopen("/proc/self/status", "r");
    char line[256];
    int64_t kib = -1;
    if (file == NULL) fail("no /proc/self/status");
    while (kib < 0 && fgets(line, sizeof line, file) != NULL)
        if (strncmp(line, line_name, strlen(line_name)) == 0) kib = strtoll(line + strlen(line_name), NULL, 10);
    fclose(file);
    if (kib < 0) fail("no such line in /proc/self/status");
    return kib * 1024;
}

/* ---- sessions ---- */

struct target parse_target(char **arguments)
{
    struct target target = {
        .port = arguments[0],
        .hash = arguments[1],
        .size_bytes = (size_t)strtoul(arguments[2], NULL, 10),
        .duration_ns = (int64_t)(strtod(arguments[3], NULL) * 1e9),
    };
    if (target.size_bytes < SEQUENCE_BYTES || target.size_bytes > DATAGRAM_CAPACITY || target.duration_ns <= 0)
        fail("a datagram carries an 8-byte sequence number, and the time is positive");
    return target;
}

static void fill_options(wtgram_connection_options *connection, wtgram_transport_options *transport,
                         uint32_t outgoing_datagrams)
{
    wtgram_connection_options_init(connection);
    connection->socket_receive_buffer_bytes = SOCKET_BUFFER_BYTES;
    connection->socket_send_buffer_bytes = SOCKET_BUFFER_BYTES;
    wtgram_transport_options_init(transport);
    transport->outgoing_max_datagrams = outgoing_datagrams;
    transport->outgoing_full_policy = WTGRAM_FULL_WAIT;
}

wtgram_server listen_for(size_t sessions, uint32_t outgoing_datagrams)
{
    wtgram_connection_options connection;
    wtgram_transport_options transport;
    fill_options(&connection, &transport, outgoing_datagrams);
    wtgram_server_limits limits; /* none of those that protect a public server: all clients have one address here */
    wtgram_server_limits_init(&limits);
    limits.max_sessions_per_address = limits.connections_per_second_per_address = 0;
    limits.max_half_open = limits.retry_above_half_open = UINT32_MAX;
    limits.max_memory_bytes = 0;
    wtgram_listen_options options;
    wtgram_listen_options_init(&options);
    options.host = "127.0.0.1";
    options.accept_backlog = (uint32_t)sessions;
    options.max_sessions = 0;
    options.limits = &limits;
    options.connection = &connection;
    options.transport = &transport;
    wtgram_server server;
    char detail[256] = "";
    check(wtgram_server_listen(&options, &server, detail, sizeof detail), "listen", detail);
    uint16_t port;
    check(wtgram_server_get_local_port(server, &port), "local port", "");
    uint8_t hash[WTGRAM_CERTIFICATE_HASH_LENGTH];
    check(wtgram_server_get_certificate_hash(server, hash), "certificate hash", "");
    printf("LISTENING %u ", (unsigned)port);
    for (size_t byte = 0; byte < sizeof hash; byte++) printf("%02x", hash[byte]);
    printf("\n");
    fflush(stdout);
    return server;
}

wtgram_session accept_one(uint32_t outgoing_datagrams)
{
    wtgram_server server = listen_for(1, outgoing_datagrams);
    wtgram_session session;
    check(wtgram_server_accept(server, 30 * SECOND_US, &session), "accept", "");
    return session;
}

void prepare(struct connecting *connecting, const char *port, const char *hash, uint32_t outgoing_datagrams)
{
    if (strlen(hash) != 2 * sizeof connecting->hash) fail("a certificate hash is 64 hexadecimal digits");
    for (size_t byte = 0; byte < sizeof connecting->hash; byte++) {
        char digits[3] = {hash[2 * byte], hash[2 * byte + 1], '\0'};
        connecting->hash[byte] = (uint8_t)strtoul(digits, NULL, 16);
    }
    fill_options(&connecting->connection, &connecting->transport, outgoing_datagrams);
    wtgram_connect_options_init(&connecting->options);
    connecting->options.trust = WTGRAM_TRUST_CERTIFICATE_HASHES;
    connecting->options.certificate_hashes = connecting->hash;
    connecting->options.certificate_hashes_count = 1;
    connecting->options.connection = &connecting->connection;
    connecting->options.transport = &connecting->transport;
    snprintf(connecting->url, sizeof connecting->url, "https://127.0.0.1:%s/", port);
}

wtgram_session connect_to(const char *port, const char *hash, uint32_t outgoing_datagrams)
{
    struct connecting connecting;
    wtgram_session session;
    char detail[256] = "";
    prepare(&connecting, port, hash, outgoing_datagrams);
    check(wtgram_session_connect(connecting.url, &connecting.options, &session, detail, sizeof detail), "connect",
          detail);
    return session;
}

wtgram_transport datagrams(wtgram_session session)
{
    wtgram_transport transport;
    check(wtgram_session_get_transport(session, &transport), "datagrams", "");
    return transport;
}

wtgram_transport_stats statistics(wtgram_transport transport)
{
    wtgram_transport_stats stats;
    wtgram_transport_stats_init(&stats);
    check(wtgram_transport_get_stats(transport, &stats), "stats", "");
    return stats;
}

wtgram_session_stats quic_statistics(wtgram_session session)
{
    wtgram_session_stats stats;
    wtgram_session_stats_init(&stats);
    check(wtgram_session_get_stats(session, &stats), "session stats", "");
    return stats;
}

void drain(const wtgram_transport *transports, size_t count)
{
    int64_t deadline_ns = now_ns() + 5 * SECOND_NS;
    for (size_t i = 0; i < count; i++)
        while (statistics(transports[i]).send_queued > 0 && now_ns() < deadline_ns) sleep_ns(5 * 1000 * 1000);
    sleep_ns(QUIET_NS);
}

void close_and_shut_down(wtgram_session session)
{
    check(wtgram_session_close(session, 0, "done", 4), "close", "");
    wtgram_session_free(session);
    check(wtgram_shutdown(5 * SECOND_US), "shutdown", "");
}

/* ---- arrivals ---- */

void count_arrival(struct arrivals *arrivals, const uint8_t *payload, size_t length)
{
    if (length < SEQUENCE_BYTES) {
        arrivals->malformed++;
        return;
    }
    uint64_t sequence = get_sequence(payload);
    if (arrivals->delivered > 0 && sequence <= arrivals->highest_sequence) {
        arrivals->reordered++;
    } else {
        arrivals->highest_sequence = sequence;
    }
    arrivals->delivered++;
    arrivals->bytes += length;
    if (arrivals->delivered % DATAGRAMS_PER_STAMP == 1) {
        arrivals->last_stamp_ns = now_ns();
        arrivals->stamped = arrivals->delivered;
        if (arrivals->delivered == 1) arrivals->first_ns = arrivals->last_stamp_ns;
    }
}

void report_arrivals(const struct arrivals *arrivals, const wtgram_session *sessions, size_t count)
{
    uint64_t dropped_full = 0, dropped_by_quic = 0, frames = 0;
    for (size_t i = 0; i < count; i++) {
        wtgram_transport_stats stats = statistics(datagrams(sessions[i]));
        dropped_full += stats.receive_dropped_full;
        dropped_by_quic += stats.receive_dropped_by_quic;
        frames += quic_statistics(sessions[i]).datagram_frames_received;
    }
    double window_s = (double)(arrivals->last_stamp_ns - arrivals->first_ns) / (double)SECOND_NS;
    printf("{\"delivered\": %" PRIu64 ", \"bytes\": %" PRIu64 ", \"window_datagrams\": %" PRIu64
           ", \"window_s\": %.6f, \"reordered\": %" PRIu64 ", \"malformed\": %" PRIu64 ", \"dropped_full\": %" PRIu64
           ", \"dropped_by_quic\": %" PRIu64 ", \"frames\": %" PRIu64 ", \"peak_memory_bytes\": %" PRId64 "}\n",
           arrivals->delivered, arrivals->bytes, arrivals->stamped > 0 ? arrivals->stamped - 1 : 0, window_s,
           arrivals->reordered, arrivals->malformed, dropped_full, dropped_by_quic, frames, memory_bytes("VmHWM:"));
}

/* ---- times ---- */

static int ascending(const void *left, const void *right)
{
    int64_t a = *(const int64_t *)left, b = *(const int64_t *)right;
    return (a > b) - (a < b);
}

void sort_times(int64_t *times_ns, size_t length) { qsort(times_ns, length, sizeof *times_ns, ascending); }

double percentile_us(const int64_t *sorted_ns, size_t length, size_t percent)
{
    return length == 0 ? 0.0 : (double)sorted_ns[(length - 1) * percent / 100] / 1000.0;
}
