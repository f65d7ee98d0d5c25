/* A broadcaster over many sessions, and its members. peers/broadcast.rs is the same over raw quinn. */
#define _POSIX_C_SOURCE 200809L
#include <inttypes.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>

#include "ends.h"

enum { SETTLE_S = 2, PAUSE_MS = 100, EVENTS = 64 };

/* ---- the broadcaster ---- */

static uint64_t sent_by(wtgram_transport transport) { return statistics(transport).sent; }

struct times {
    int64_t returned_ns, last_ns, looked_ns;
};

/* Broadcasts. If `look` is set, it waits until every member's datagram was handed to QUIC. Looking takes processor
 * time, so every other broadcast runs without it; the members measure their arrivals with those. It waits for the last
 * member first, then looks at the others: `last_ns` is when the last wait ended, `looked_ns` is when all were seen.
 * `looked_ns` includes the cost of 1,000 looks, so it is never less than the true time. */
static struct times broadcast(wtgram_broadcaster room, const wtgram_transport *members, size_t count, uint64_t sent,
                              bool look, uint8_t *payload, size_t size_bytes)
{
    struct times times;
    size_t accepted;
    put_sequence(payload, wall_clock_ns()); /* the members measure from here */
    int64_t begun_ns = now_ns();
    check(wtgram_broadcaster_broadcast(room, payload, size_bytes, NULL, NULL, 0, NULL, &accepted), "broadcast", "");
    times.returned_ns = times.last_ns = now_ns() - begun_ns;
    if (accepted != count) fail("not all members accepted");
    for (size_t i = count; look && i-- > 0;) {
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

void broadcast_command(char **arguments)
{
    size_t sessions = strtoul(arguments[0], NULL, 10), rounds = strtoul(arguments[1], NULL, 10);
    size_t size_bytes = strtoul(arguments[2], NULL, 10);
    if (size_bytes < SEQUENCE_BYTES) fail("a datagram carries the time in 8 bytes");
    wtgram_server server = listen_for(sessions, OUTGOING_DATAGRAMS_DEFAULT);
    int64_t before_bytes = memory_bytes("VmRSS:");
    wtgram_session *accepted = allocate(sessions, sizeof *accepted);
    for (size_t i = 0; i < sessions; i++)
        check(wtgram_server_accept(server, 60 * SECOND_US, &accepted[i]), "accept", "");
    sleep_ns(SETTLE_S * SECOND_NS);
    double idle_bytes = (double)(memory_bytes("VmRSS:") - before_bytes) / (double)sessions;

    wtgram_broadcaster room;
    check(wtgram_broadcaster_new(NULL, &room), "broadcaster", "");
    wtgram_transport *members = allocate(sessions, sizeof *members);
    for (size_t i = 0; i < sessions; i++) {
        members[i] = datagrams(accepted[i]);
        check(wtgram_broadcaster_add_session(room, accepted[i]), "add", "");
    }
    uint8_t *payload = allocate(size_bytes, 1);
    int64_t *returned_ns = allocate(rounds, sizeof *returned_ns), *last_ns = allocate(rounds, sizeof *last_ns);
    int64_t *looked_ns = allocate(rounds, sizeof *looked_ns);
    for (size_t round = 0; round < rounds; round++) {
        sleep_ns(PAUSE_MS * 1000 * 1000);
        struct times times = broadcast(room, members, sessions, round + 1, round % 2 == 0, payload, size_bytes);
        returned_ns[round] = times.returned_ns;
        if (round % 2 != 0) continue;
        last_ns[round / 2] = times.last_ns;
        looked_ns[round / 2] = times.looked_ns;
    }
    sleep_ns(PAUSE_MS * 1000 * 1000);
    printf("{\"idle_bytes_per_session\": %.0f", idle_bytes);
    print_times("returned_us", returned_ns, rounds);
    print_times("last_us", last_ns, (rounds + 1) / 2);
    print_times("looked_us", looked_ns, (rounds + 1) / 2);
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

/* The broadcasts that arrived so far, each with its start and the arrival at the last member. */
struct broadcasts {
    uint64_t begun_ns[1024], last_arrival_ns[1024];
    size_t count;
    uint64_t received;
};

static void arrived(struct broadcasts *broadcasts, const uint8_t *datagram, size_t length)
{
    uint64_t now = wall_clock_ns(), begun = length >= SEQUENCE_BYTES ? get_sequence(datagram) : 0;
    size_t at = broadcasts->count;
    while (at > 0 && broadcasts->begun_ns[at - 1] != begun) at--;
    if (at == 0) {
        at = ++broadcasts->count;
        if (at > sizeof broadcasts->begun_ns / sizeof *broadcasts->begun_ns) fail("too many broadcasts");
        broadcasts->begun_ns[at - 1] = begun;
    }
    broadcasts->last_arrival_ns[at - 1] = now;
    broadcasts->received++;
}

/* Receives all that is there. Returns false when the session has ended and everything is received. */
static bool take(wtgram_transport transport, struct broadcasts *broadcasts)
{
    uint8_t datagram[2048];
    size_t length;
    wtgram_status status;
    while ((status = wtgram_transport_try_receive(transport, datagram, sizeof datagram, &length)) == WTGRAM_OK)
        arrived(broadcasts, datagram, length);
    if (status != WTGRAM_ERROR_WOULD_BLOCK && status != WTGRAM_ERROR_CLOSED) check(status, "receive", "");
    return status == WTGRAM_ERROR_WOULD_BLOCK;
}

void join_command(char **arguments)
{
    size_t sessions = strtoul(arguments[2], NULL, 10), open = sessions;
    wtgram_poller poller;
    check(wtgram_poller_new(&poller), "poller", "");
    for (size_t i = 0; i < sessions; i++) {
        wtgram_session session = connect_to(arguments[0], arguments[1], OUTGOING_DATAGRAMS_DEFAULT);
        check(wtgram_poller_add(poller, datagrams(session).id, WTGRAM_READY_READABLE | WTGRAM_READY_CLOSED, 0),
              "poller add", "");
    }
    static struct broadcasts broadcasts;
    wtgram_event events[EVENTS];
    while (open > 0) {
        size_t count;
        check(wtgram_poller_wait(poller, WTGRAM_FOREVER, events, EVENTS, &count), "poller wait", "");
        for (size_t i = 0; i < count; i++) {
            wtgram_transport transport = {.id = events[i].object};
            if (take(transport, &broadcasts)) continue;
            check(wtgram_poller_remove(poller, transport.id), "poller remove", "");
            open--;
        }
    }
    printf("{\"received\": %" PRIu64 ", \"last_arrival_us\": [", broadcasts.received);
    for (size_t i = 0; i < broadcasts.count; i++)
        printf("%s%.1f", i ? ", " : "",
               (double)(int64_t)(broadcasts.last_arrival_ns[i] - broadcasts.begun_ns[i]) / 1000.0);
    printf("]}\n");
    wtgram_poller_free(poller);
    check(wtgram_shutdown(5 * SECOND_US), "shutdown", "");
}
