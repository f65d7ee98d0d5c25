/* The C ends of `make bench-broadcast`: a broadcaster over many sessions, and its members. peers/broadcast.rs is the
 * same over raw quinn.
 *
 *   broadcast_bench broadcast <sessions> <rounds> <size_bytes>   prints LISTENING <port> <hash>, then one line of JSON
 *   broadcast_bench join <port> <hash> <sessions>
 */
#define _POSIX_C_SOURCE 200809L
#include <inttypes.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "wtgram.h"

static const int64_t SECOND_NS = 1000 * 1000 * 1000;
static const int64_t SECOND_US = 1000 * 1000;
enum { SETTLE_S = 2, PAUSE_MS = 100 };

static void check(wtgram_status status, const char *what, const char *detail)
{
    if (status != WTGRAM_OK) {
        fprintf(stderr, "broadcast_bench: %s: %s %s\n", what, wtgram_status_name((int32_t)status), detail);
        exit(EXIT_FAILURE);
    }
}

static void fail(const char *what)
{
    fprintf(stderr, "broadcast_bench: %s\n", what);
    exit(EXIT_FAILURE);
}

static void *allocate(size_t count, size_t size)
{
    void *memory = calloc(count, size);
    if (memory == NULL) fail("out of memory");
    return memory;
}

static int64_t now_ns(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (int64_t)now.tv_sec * SECOND_NS + now.tv_nsec;
}

static void pause_ns(int64_t duration_ns)
{
    struct timespec duration = {.tv_sec = (time_t)(duration_ns / SECOND_NS),
                                .tv_nsec = (long)(duration_ns % SECOND_NS)};
    nanosleep(&duration, NULL);
}

/* The process's resident memory. */
static int64_t resident_bytes(void)
{
    FILE *file = fopen("/proc/self/status", "r");
    char line[256];
    int64_t kib = -1;
    if (file == NULL) fail("no /proc/self/status");
    while (kib < 0 && fgets(line, sizeof line, file) != NULL)
        if (strncmp(line, "VmRSS:", 6) == 0) kib = strtoll(line + 6, NULL, 10);
    fclose(file);
    if (kib < 0) fail("no VmRSS");
    return kib * 1024;
}

/* ---- the room ---- */

static wtgram_server listen_for(size_t sessions)
{
    wtgram_listen_options options;
    wtgram_listen_options_init(&options);
    options.host = "127.0.0.1";
    options.accept_backlog = (uint32_t)sessions;
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
    return server;
}

static uint64_t sent_by(wtgram_transport transport)
{
    wtgram_transport_statistics stats;
    wtgram_transport_statistics_init(&stats);
    check(wtgram_transport_stats(transport, &stats), "stats", "");
    return stats.sent;
}

struct times {
    int64_t returned_ns, last_ns, looked_ns;
};

/* Waits until every member's datagram was handed to QUIC. The last member is awaited first, then the others are looked
 * at: `last_ns` is when the last wait ended, `looked_ns` when all were seen, which costs 1,000 looks and is no less
 * than the truth. */
static struct times broadcast(wtgram_broadcaster room, const wtgram_transport *members, size_t count, uint64_t sent,
                              const uint8_t *payload, size_t size_bytes)
{
    struct times times;
    size_t accepted;
    int64_t begun_ns = now_ns();
    check(wtgram_broadcaster_broadcast(room, payload, size_bytes, NULL, NULL, 0, NULL, &accepted), "broadcast", "");
    times.returned_ns = times.last_ns = now_ns() - begun_ns;
    if (accepted != count) fail("not all members accepted");
    for (size_t i = count; i-- > 0;) {
        if (sent_by(members[i]) >= sent) continue;
        while (sent_by(members[i]) < sent) {
            if (now_ns() - begun_ns > 10 * SECOND_NS) fail("a member's datagram was never handed over");
            sched_yield();
        }
        times.last_ns = now_ns() - begun_ns;
    }
    times.looked_ns = now_ns() - begun_ns;
    return times;
}

static void print_times(const char *name, const int64_t *times_ns, size_t rounds)
{
    printf(", \"%s\": [", name);
    for (size_t i = 0; i < rounds; i++) printf("%s%.1f", i ? ", " : "", (double)times_ns[i] / 1000.0);
    printf("]");
}

static void serve(size_t sessions, size_t rounds, size_t size_bytes)
{
    wtgram_server server = listen_for(sessions);
    int64_t before_bytes = resident_bytes();
    wtgram_session *accepted = allocate(sessions, sizeof *accepted);
    for (size_t i = 0; i < sessions; i++)
        check(wtgram_server_accept(server, 60 * SECOND_US, &accepted[i]), "accept", "");
    pause_ns(SETTLE_S * SECOND_NS);
    double idle_bytes = (double)(resident_bytes() - before_bytes) / (double)sessions;

    wtgram_broadcaster room;
    check(wtgram_broadcaster_new(NULL, &room), "broadcaster", "");
    wtgram_transport *members = allocate(sessions, sizeof *members);
    for (size_t i = 0; i < sessions; i++) {
        check(wtgram_session_datagrams(accepted[i], &members[i]), "datagrams", "");
        check(wtgram_broadcaster_add_session(room, accepted[i]), "add", "");
    }
    uint8_t *payload = allocate(size_bytes, 1);
    int64_t *returned_ns = allocate(rounds, sizeof *returned_ns), *last_ns = allocate(rounds, sizeof *last_ns);
    int64_t *looked_ns = allocate(rounds, sizeof *looked_ns);
    for (size_t round = 0; round < rounds; round++) {
        pause_ns(PAUSE_MS * 1000 * 1000);
        struct times times = broadcast(room, members, sessions, round + 1, payload, size_bytes);
        returned_ns[round] = times.returned_ns;
        last_ns[round] = times.last_ns;
        looked_ns[round] = times.looked_ns;
    }
    pause_ns(PAUSE_MS * 1000 * 1000);
    printf("{\"idle_bytes_per_session\": %.0f", idle_bytes);
    print_times("returned_us", returned_ns, rounds);
    print_times("last_us", last_ns, rounds);
    print_times("looked_us", looked_ns, rounds);
    printf("}\n");
    wtgram_broadcaster_free(room);
    check(wtgram_shutdown(30 * SECOND_US), "shutdown", ""); /* closes the sessions */
    free(accepted);
    free(members);
    free(payload);
    free(returned_ns);
    free(last_ns);
    free(looked_ns);
}

/* ---- its members ---- */

static void join(const char *port, const char *hash_text, size_t sessions)
{
    uint8_t hash[WTGRAM_CERTIFICATE_HASH_LENGTH];
    if (strlen(hash_text) != 2 * sizeof hash) fail("a certificate hash is 64 hexadecimal digits");
    for (size_t byte = 0; byte < sizeof hash; byte++) {
        char digits[3] = {hash_text[2 * byte], hash_text[2 * byte + 1], '\0'};
        hash[byte] = (uint8_t)strtoul(digits, NULL, 16);
    }
    wtgram_connect_options options;
    wtgram_connect_options_init(&options);
    options.trust = WTGRAM_TRUST_CERTIFICATE_HASHES;
    options.certificate_hashes = hash;
    options.certificate_hashes_count = 1;
    char url[64], detail[256] = "";
    snprintf(url, sizeof url, "https://127.0.0.1:%s/", port);
    wtgram_session *opened = allocate(sessions, sizeof *opened);
    for (size_t i = 0; i < sessions; i++)
        check(wtgram_session_connect(url, &options, &opened[i], detail, sizeof detail), "connect", detail);
    uint64_t received = 0;
    for (size_t i = 0; i < sessions; i++) {
        wtgram_transport transport;
        uint8_t datagram[2048];
        size_t length;
        check(wtgram_session_datagrams(opened[i], &transport), "datagrams", "");
        while (wtgram_transport_receive(transport, WTGRAM_FOREVER, datagram, sizeof datagram, &length) == WTGRAM_OK)
            received++;
    }
    printf("{\"received\": %" PRIu64 "}\n", received);
    check(wtgram_shutdown(5 * SECOND_US), "shutdown", "");
    free(opened);
}

int main(int argc, char **argv)
{
    if (argc == 5 && strcmp(argv[1], "broadcast") == 0) {
        serve(strtoul(argv[2], NULL, 10), strtoul(argv[3], NULL, 10), strtoul(argv[4], NULL, 10));
    } else if (argc == 5 && strcmp(argv[1], "join") == 0) {
        join(argv[2], argv[3], strtoul(argv[4], NULL, 10));
    } else {
        fprintf(stderr,
                "usage: broadcast_bench broadcast <sessions> <rounds> <size_bytes> | join <port> <hash> <sessions>\n");
        return 2;
    }
    return 0;
}
