/* Over a lossy or slow link: both sides send flat out, or urgent datagrams pass others. */
#define _POSIX_C_SOURCE 200809L
#include <inttypes.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "ends.h"

/* ---- both sides flood each other ---- */

static const int64_t FLOOD_WAIT_US = 100 * 1000;
static const int64_t FLOOD_TAIL_NS = 500 * 1000 * 1000; /* until the time of the other side is up, too */

struct flood {
    wtgram_transport transport;
    size_t size_bytes;
    int64_t until_ns;
    uint64_t sent;
};

static void *send_flood(void *argument)
{
    struct flood *flood = argument;
    uint8_t *payload = allocate(flood->size_bytes, 1);
    wtgram_send_options options;
    wtgram_send_options_init(&options);
    options.timeout_us = FLOOD_WAIT_US;
    while (now_ns() < flood->until_ns) {
        put_sequence(payload, flood->sent);
        wtgram_status status = wtgram_transport_send(flood->transport, payload, flood->size_bytes, &options);
        if (status == WTGRAM_ERROR_TIMED_OUT) continue;
        check(status, "send", "");
        flood->sent++;
    }
    free(payload);
    return NULL;
}

/* Sends and receives for the given time, and prints what arrived in it. */
static void flood(wtgram_session session, size_t size_bytes, int64_t duration_ns)
{
    struct flood flood = {
        .transport = datagrams(session), .size_bytes = size_bytes, .until_ns = now_ns() + duration_ns};
    pthread_t sender;
    if (pthread_create(&sender, NULL, send_flood, &flood) != 0) fail("no thread");
    static uint8_t buffer[DATAGRAM_CAPACITY];
    uint64_t delivered = 0, bytes = 0;
    for (int64_t left_ns; (left_ns = flood.until_ns - now_ns()) > 0;) {
        size_t length;
        wtgram_status status =
            wtgram_transport_receive(flood.transport, left_ns / 1000, buffer, sizeof buffer, &length);
        if (status == WTGRAM_ERROR_TIMED_OUT || status == WTGRAM_ERROR_WOULD_BLOCK) continue;
        check(status, "receive", "");
        delivered++;
        bytes += length;
    }
    pthread_join(sender, NULL);
    sleep_ns(FLOOD_TAIL_NS);
    printf("{\"sent\": %" PRIu64 ", \"delivered\": %" PRIu64 ", \"bytes\": %" PRIu64 "}\n", flood.sent, delivered,
           bytes);
    check(wtgram_shutdown(5 * SECOND_US), "shutdown", "");
}

void flood_server_command(char **arguments)
{
    size_t size_bytes = strtoul(arguments[0], NULL, 10);
    double seconds = strtod(arguments[1], NULL);
    if (size_bytes < SEQUENCE_BYTES) fail("a datagram carries an 8-byte sequence number");
    flood(accept_one(OUTGOING_DATAGRAMS_DEFAULT), size_bytes, (int64_t)(seconds * 1e9));
}

void flood_client_command(char **arguments)
{
    struct target target = parse_target(arguments);
    flood(connect_to(target.port, target.hash, OUTGOING_DATAGRAMS_DEFAULT), target.size_bytes, target.duration_ns);
}

/* ---- urgent datagrams among others ---- */

enum { URGENT_BYTES = 100, URGENT_MAX = 4096 };
static const int64_t URGENT_EVERY_NS = 250 * 1000 * 1000, OTHERS_EVERY_NS = 2 * 1000 * 1000;
/* until the link is full and the window has adapted to it */
static const int64_t WARM_UP_NS = 2 * 1000 * 1000 * 1000LL;

/* Prints how long the urgent datagrams took; they contain the time of sending. The others are longer. */
void urgent_receive_command(char **arguments)
{
    (void)arguments;
    wtgram_transport transport = datagrams(accept_one(OUTGOING_DATAGRAMS_DEFAULT));
    static uint8_t buffer[DATAGRAM_CAPACITY];
    static double times_ms[URGENT_MAX];
    size_t urgent = 0;
    uint64_t other_bytes = 0;
    for (;;) {
        size_t length;
        wtgram_status status = wtgram_transport_receive(transport, WTGRAM_FOREVER, buffer, sizeof buffer, &length);
        if (status == WTGRAM_ERROR_CLOSED) break;
        check(status, "receive", "");
        if (length != URGENT_BYTES) {
            other_bytes += length;
        } else if (urgent < URGENT_MAX) {
            times_ms[urgent++] = (double)(int64_t)(wall_clock_ns() - get_sequence(buffer)) / 1e6;
        }
    }
    printf("{\"other_bytes\": %" PRIu64 ", \"urgent_ms\": [", other_bytes);
    for (size_t i = 0; i < urgent; i++) printf("%s%.2f", i ? ", " : "", times_ms[i]);
    printf("]}\n");
}

/* Sends four times as much as a link of 1 Mbit/s carries. The rest is evicted, the oldest first. */
void urgent_send_command(char **arguments)
{
    struct target target = parse_target(arguments);
    wtgram_session session = connect_to(target.port, target.hash, OUTGOING_DATAGRAMS_DEFAULT);
    wtgram_transport transport = datagrams(session);
    check(wtgram_transport_set_outgoing_full_policy(transport, WTGRAM_FULL_EVICT), "policy", "");
    uint8_t *other = allocate(target.size_bytes, 1), urgent[URGENT_BYTES] = {0};
    wtgram_send_options options;
    wtgram_send_options_init(&options);
    options.priority = 2;
    int64_t started_ns = now_ns(), next_urgent_ns = started_ns + WARM_UP_NS;
    int64_t until_ns = next_urgent_ns + target.duration_ns;
    size_t sent = 0;
    for (int64_t next_ns = started_ns; next_ns < until_ns; next_ns += OTHERS_EVERY_NS) {
        int64_t early_ns = next_ns - now_ns();
        if (early_ns > 0) sleep_ns(early_ns);
        check(wtgram_transport_send(transport, other, target.size_bytes, NULL), "send", "");
        if (next_ns < next_urgent_ns) continue;
        put_sequence(urgent, wall_clock_ns());
        check(wtgram_transport_send(transport, urgent, sizeof urgent, &options), "send", "");
        next_urgent_ns += URGENT_EVERY_NS;
        sent++;
    }
    drain(&transport, 1);
    printf("{\"urgent\": %zu}\n", sent);
    free(other);
    close_and_shut_down(session);
}
