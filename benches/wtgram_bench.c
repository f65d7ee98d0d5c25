/* The C ends of `make bench`: what the C interface delivers, each end in a process of its own. The Rust program in
 * peers/ takes the same commands and counts by the same rules.
 *
 *   wtgram_bench receive batch|single                     prints LISTENING <port> <hash>, then one line of JSON
 *   wtgram_bench send batch|single <port> <hash> <size_bytes> <seconds>
 *   wtgram_bench echo-server
 *   wtgram_bench echo-client <port> <hash> <size_bytes> <seconds>
 */
#define _POSIX_C_SOURCE 200809L
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "wtgram.h"

enum {
    SEND_BATCH = 64,
    RECEIVE_BATCH = 512,
    ARENA_BYTES = 1024 * 1024,
    DATAGRAM_CAPACITY = 65536,
    SEQUENCE_BYTES = 8,
    DATAGRAMS_PER_STAMP = 64, /* reading the clock costs a tenth of what a datagram does */
    OUTGOING_DATAGRAMS = 4096,
    SOCKET_BUFFER_BYTES = 4 * 1024 * 1024,
    ROUND_TRIPS_MAX = 4 * 1000 * 1000
};
static const int64_t QUIET_NS = 300 * 1000 * 1000; /* before the close, so that what is on its way arrives first */
static const int64_t SECOND_NS = 1000 * 1000 * 1000;

static void check(wtgram_status status, const char *what, const char *detail)
{
    if (status != WTGRAM_OK) {
        fprintf(stderr, "wtgram_bench: %s: %s %s\n", what, wtgram_status_name((int32_t)status), detail);
        exit(EXIT_FAILURE);
    }
}

static void fail(const char *what)
{
    fprintf(stderr, "wtgram_bench: %s\n", what);
    exit(EXIT_FAILURE);
}

static int64_t now_ns(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (int64_t)now.tv_sec * SECOND_NS + now.tv_nsec;
}

static void sleep_ns(int64_t duration_ns)
{
    struct timespec duration = {.tv_sec = (time_t)(duration_ns / SECOND_NS),
                                .tv_nsec = (long)(duration_ns % SECOND_NS)};
    nanosleep(&duration, NULL);
}

static void put_sequence(uint8_t *payload, uint64_t sequence)
{
    for (int byte = 0; byte < SEQUENCE_BYTES; byte++) payload[byte] = (uint8_t)(sequence >> (56 - 8 * byte));
}

static uint64_t get_sequence(const uint8_t *payload)
{
    uint64_t sequence = 0;
    for (int byte = 0; byte < SEQUENCE_BYTES; byte++) sequence = sequence << 8 | payload[byte];
    return sequence;
}

/* ---- the session ---- */

static void fill_options(wtgram_connection_options *connection, wtgram_transport_options *transport)
{
    wtgram_connection_options_init(connection);
    connection->socket_receive_buffer_bytes = SOCKET_BUFFER_BYTES;
    connection->socket_send_buffer_bytes = SOCKET_BUFFER_BYTES;
    wtgram_transport_options_init(transport);
    transport->outgoing_max_datagrams = OUTGOING_DATAGRAMS;
    transport->outgoing_full_policy = WTGRAM_FULL_WAIT;
}

static wtgram_transport datagrams(wtgram_session session)
{
    wtgram_transport transport;
    check(wtgram_session_datagrams(session, &transport), "datagrams", "");
    return transport;
}

static wtgram_session accept_one(void)
{
    wtgram_connection_options connection;
    wtgram_transport_options transport;
    fill_options(&connection, &transport);
    wtgram_listen_options options;
    wtgram_listen_options_init(&options);
    options.host = "127.0.0.1";
    options.connection = &connection;
    options.transport = &transport;
    wtgram_server server;
    char detail[256] = "";
    check(wtgram_server_listen(&options, &server, detail, sizeof detail), "listen", detail);
    uint16_t port;
    check(wtgram_server_local_port(server, &port), "local port", "");
    uint8_t hash[WTGRAM_CERTIFICATE_HASH_LENGTH];
    check(wtgram_server_certificate_hash(server, hash), "certificate hash", "");
    printf("LISTENING %u ", (unsigned)port);
    for (size_t byte = 0; byte < sizeof hash; byte++) printf("%02x", hash[byte]);
    printf("\n");
    fflush(stdout);
    wtgram_session session;
    check(wtgram_server_accept(server, 30 * 1000 * 1000, &session), "accept", "");
    return session;
}

static wtgram_session connect_to(const char *port, const char *hash_text)
{
    uint8_t hash[WTGRAM_CERTIFICATE_HASH_LENGTH];
    if (strlen(hash_text) != 2 * sizeof hash) fail("a certificate hash is 64 hexadecimal digits");
    for (size_t byte = 0; byte < sizeof hash; byte++) {
        char digits[3] = {hash_text[2 * byte], hash_text[2 * byte + 1], '\0'};
        hash[byte] = (uint8_t)strtoul(digits, NULL, 16);
    }
    wtgram_connection_options connection;
    wtgram_transport_options transport;
    fill_options(&connection, &transport);
    wtgram_connect_options options;
    wtgram_connect_options_init(&options);
    options.trust = WTGRAM_TRUST_CERTIFICATE_HASHES;
    options.certificate_hashes = hash;
    options.certificate_hashes_count = 1;
    options.connection = &connection;
    options.transport = &transport;
    char url[64];
    snprintf(url, sizeof url, "https://127.0.0.1:%s/", port);
    wtgram_session session;
    char detail[256] = "";
    check(wtgram_session_connect(url, &options, &session, detail, sizeof detail), "connect", detail);
    return session;
}

static wtgram_transport_statistics statistics(wtgram_transport transport)
{
    wtgram_transport_statistics stats;
    wtgram_transport_statistics_init(&stats);
    check(wtgram_transport_stats(transport, &stats), "stats", "");
    return stats;
}

/* Lets what is on its way arrive, then closes. */
static void finish(wtgram_session session)
{
    int64_t deadline_ns = now_ns() + 5 * SECOND_NS;
    while (statistics(datagrams(session)).send_queued > 0 && now_ns() < deadline_ns) sleep_ns(5 * 1000 * 1000);
    sleep_ns(QUIET_NS);
}

static void close_and_shut_down(wtgram_session session)
{
    check(wtgram_session_close(session, 0, "done", 4), "close", "");
    wtgram_session_free(session);
    check(wtgram_shutdown(5 * 1000 * 1000), "shutdown", "");
}

/* ---- receive ---- */

struct arrivals {
    int64_t first_ns, last_stamp_ns;
    uint64_t stamped, delivered, bytes, highest_sequence, reordered, malformed;
};

static void count(struct arrivals *arrivals, const uint8_t *payload, size_t length)
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

static wtgram_status receive_batches(wtgram_transport transport, struct arrivals *arrivals)
{
    static uint8_t arena[ARENA_BYTES];
    static wtgram_received received[RECEIVE_BATCH];
    for (;;) {
        size_t taken;
        wtgram_status status = wtgram_transport_receive_batch(transport, WTGRAM_FOREVER, arena, sizeof arena, received,
                                                              RECEIVE_BATCH, &taken);
        if (status != WTGRAM_OK) return status;
        for (size_t i = 0; i < taken; i++) count(arrivals, arena + received[i].offset, (size_t)received[i].length);
    }
}

static wtgram_status receive_singly(wtgram_transport transport, struct arrivals *arrivals)
{
    static uint8_t buffer[DATAGRAM_CAPACITY];
    for (;;) {
        size_t length;
        wtgram_status status = wtgram_transport_receive(transport, WTGRAM_FOREVER, buffer, sizeof buffer, &length);
        if (status != WTGRAM_OK) return status;
        count(arrivals, buffer, length);
    }
}

static void receive(bool batch)
{
    wtgram_session session = accept_one();
    wtgram_transport transport = datagrams(session);
    struct arrivals arrivals = {0};
    wtgram_status status = batch ? receive_batches(transport, &arrivals) : receive_singly(transport, &arrivals);
    if (status != WTGRAM_ERROR_CLOSED) check(status, "receive", "");
    wtgram_transport_statistics stats = statistics(transport);
    double window_s = (double)(arrivals.last_stamp_ns - arrivals.first_ns) / (double)SECOND_NS;
    printf("{\"delivered\": %" PRIu64 ", \"bytes\": %" PRIu64 ", \"window_datagrams\": %" PRIu64
           ", \"window_s\": %.6f, \"reordered\": %" PRIu64 ", \"malformed\": %" PRIu64 ", \"received\": %" PRIu64
           ", \"dropped_full\": %" PRIu64 ", \"dropped_by_quic\": %" PRIu64 "}\n",
           arrivals.delivered, arrivals.bytes, arrivals.stamped > 0 ? arrivals.stamped - 1 : 0, window_s,
           arrivals.reordered, arrivals.malformed, stats.received, stats.receive_dropped_full,
           stats.receive_dropped_by_quic);
}

/* ---- send ---- */

static uint64_t send_batches(wtgram_transport transport, size_t size_bytes, int64_t until_ns)
{
    static wtgram_slice slices[SEND_BATCH];
    uint8_t *payloads = malloc(SEND_BATCH * size_bytes);
    if (payloads == NULL) fail("out of memory");
    memset(payloads, 0xa5, SEND_BATCH * size_bytes);
    for (size_t i = 0; i < SEND_BATCH; i++)
        slices[i] = (wtgram_slice){.data = payloads + i * size_bytes, .length = size_bytes};
    uint64_t sent = 0;
    while (now_ns() < until_ns) {
        for (size_t i = 0; i < SEND_BATCH; i++) put_sequence(payloads + i * size_bytes, sent + i);
        size_t accepted;
        check(wtgram_transport_send_batch(transport, slices, SEND_BATCH, NULL, NULL, &accepted), "send batch", "");
        sent += accepted;
    }
    free(payloads);
    return sent;
}

static uint64_t send_singly(wtgram_transport transport, size_t size_bytes, int64_t until_ns)
{
    uint8_t *payload = malloc(size_bytes);
    if (payload == NULL) fail("out of memory");
    memset(payload, 0xa5, size_bytes);
    uint64_t sent = 0;
    while (sent % DATAGRAMS_PER_STAMP != 0 || now_ns() < until_ns) {
        put_sequence(payload, sent);
        check(wtgram_transport_send(transport, payload, size_bytes, NULL), "send", "");
        sent++;
    }
    free(payload);
    return sent;
}

struct target {
    const char *port, *hash;
    size_t size_bytes;
    int64_t duration_ns;
};

static struct target parse_target(char **arguments)
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

static void send(bool batch, struct target target)
{
    wtgram_session session = connect_to(target.port, target.hash);
    wtgram_transport transport = datagrams(session);
    int64_t until_ns = now_ns() + target.duration_ns;
    uint64_t sent = batch ? send_batches(transport, target.size_bytes, until_ns)
                          : send_singly(transport, target.size_bytes, until_ns);
    finish(session);
    wtgram_transport_statistics stats = statistics(transport);
    printf("{\"sent\": %" PRIu64 ", \"handed_to_quic\": %" PRIu64 ", \"dropped_by_quic\": %" PRIu64 "}\n", sent,
           stats.sent, stats.sent_dropped_by_quic);
    close_and_shut_down(session);
}

/* ---- echo ---- */

static void echo_server(void)
{
    wtgram_session session = accept_one();
    wtgram_transport transport = datagrams(session);
    static uint8_t buffer[DATAGRAM_CAPACITY];
    uint64_t echoed = 0;
    for (;;) {
        size_t length;
        wtgram_status status = wtgram_transport_receive(transport, WTGRAM_FOREVER, buffer, sizeof buffer, &length);
        if (status == WTGRAM_OK) status = wtgram_transport_send(transport, buffer, length, NULL);
        if (status == WTGRAM_ERROR_CLOSED) break;
        check(status, "echo", "");
        echoed++;
    }
    printf("{\"echoed\": %" PRIu64 "}\n", echoed);
}

static int ascending(const void *left, const void *right)
{
    int64_t a = *(const int64_t *)left, b = *(const int64_t *)right;
    return (a > b) - (a < b);
}

static double percentile_us(const int64_t *sorted_ns, size_t length, size_t percent)
{
    return length == 0 ? 0.0 : (double)sorted_ns[(length - 1) * percent / 100] / 1000.0;
}

/* Waits up to a second for the answer; one that comes late belongs to an earlier ping. */
static bool answered(wtgram_transport transport, const uint8_t *payload, size_t size_bytes)
{
    static uint8_t buffer[DATAGRAM_CAPACITY];
    for (;;) {
        size_t length;
        wtgram_status status = wtgram_transport_receive(transport, 1000 * 1000, buffer, sizeof buffer, &length);
        if (status == WTGRAM_ERROR_TIMED_OUT) return false;
        check(status, "receive the echo", "");
        if (length == size_bytes && memcmp(buffer, payload, length) == 0) return true;
    }
}

static void echo_client(struct target target)
{
    wtgram_session session = connect_to(target.port, target.hash);
    wtgram_transport transport = datagrams(session);
    uint8_t *payload = malloc(target.size_bytes);
    int64_t *round_trips_ns = malloc(ROUND_TRIPS_MAX * sizeof *round_trips_ns);
    if (payload == NULL || round_trips_ns == NULL) fail("out of memory");
    memset(payload, 0xa5, target.size_bytes);
    /* A tenth of the time warms up. */
    int64_t warm_from_ns = now_ns() + target.duration_ns / 10, until_ns = warm_from_ns + target.duration_ns;
    size_t round_trips = 0;
    uint64_t lost = 0;
    for (uint64_t ping = 1; now_ns() < until_ns && round_trips < ROUND_TRIPS_MAX; ping++) {
        put_sequence(payload, ping);
        int64_t asked_ns = now_ns();
        check(wtgram_transport_send(transport, payload, target.size_bytes, NULL), "send", "");
        if (!answered(transport, payload, target.size_bytes)) {
            lost++;
        } else if (asked_ns >= warm_from_ns) {
            round_trips_ns[round_trips++] = now_ns() - asked_ns;
        }
    }
    qsort(round_trips_ns, round_trips, sizeof *round_trips_ns, ascending);
    printf("{\"round_trips\": %zu, \"lost\": %" PRIu64 ", \"p50_us\": %.2f, \"p90_us\": %.2f, \"p99_us\": %.2f}\n",
           round_trips, lost, percentile_us(round_trips_ns, round_trips, 50),
           percentile_us(round_trips_ns, round_trips, 90), percentile_us(round_trips_ns, round_trips, 99));
    free(round_trips_ns);
    free(payload);
    close_and_shut_down(session);
}

int main(int argc, char **argv)
{
    const char *end = argc > 1 ? argv[1] : "", *form = argc > 2 ? argv[2] : "";
    bool batch = strcmp(form, "batch") == 0, known_form = batch || strcmp(form, "single") == 0;
    if (strcmp(end, "receive") == 0 && argc == 3 && known_form) {
        receive(batch);
    } else if (strcmp(end, "send") == 0 && argc == 7 && known_form) {
        send(batch, parse_target(argv + 3));
    } else if (strcmp(end, "echo-server") == 0 && argc == 2) {
        echo_server();
    } else if (strcmp(end, "echo-client") == 0 && argc == 6) {
        echo_client(parse_target(argv + 2));
    } else {
        fail("expected receive, send, echo-server or echo-client");
    }
    return EXIT_SUCCESS;
}
