/* One datagram at a time, there and back, with calls that wait or with a poller's descriptor in epoll. */
#define _POSIX_C_SOURCE 200809L
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>

#include "ends.h"

enum { ROUND_TRIPS_MAX = 4 * 1000 * 1000 };

/* How datagrams are received: by a call that waits, or through a poller whose descriptor is in the program's epoll. */
struct inlet {
    wtgram_transport transport;
    wtgram_poller poller;
    int epoll; /* -1: the call waits */
};

/* Configures the library for a form. Returns whether it is the form with a poller. */
static bool configure(const char *form)
{
    if (strcmp(form, "no-spin") == 0) {
        wtgram_runtime_options options;
        wtgram_runtime_options_init(&options);
        options.spin_us = 0;
        check(wtgram_runtime_configure(&options), "configure", "");
    } else if (strcmp(form, "as-shipped") != 0 && strcmp(form, "poller") != 0) {
        fail("the form is as-shipped, no-spin or poller");
    }
    return strcmp(form, "poller") == 0;
}

static struct inlet open_inlet(wtgram_session session, bool with_poller)
{
    struct inlet inlet = {.transport = datagrams(session), .epoll = -1};
    if (!with_poller) return inlet;
    check(wtgram_poller_new(&inlet.poller), "poller", "");
    check(wtgram_poller_add(inlet.poller, inlet.transport.id, WTGRAM_READY_READABLE, 0), "poller add", "");
    int descriptor;
    check(wtgram_poller_get_fd(inlet.poller, &descriptor), "poller descriptor", "");
    inlet.epoll = epoll_create1(EPOLL_CLOEXEC);
    struct epoll_event watched = {.events = EPOLLIN};
    if (inlet.epoll < 0 || epoll_ctl(inlet.epoll, EPOLL_CTL_ADD, descriptor, &watched) != 0) fail("no epoll");
    return inlet;
}

/* Follows the rule of the descriptor: waits on the poller until it returns WOULD_BLOCK, then sleeps in epoll. */
static wtgram_status receive_through_epoll(const struct inlet *inlet, int64_t timeout_us, uint8_t *buffer,
                                           size_t *length)
{
    int timeout_ms = timeout_us == WTGRAM_FOREVER ? -1 : (int)(timeout_us / 1000);
    for (;;) {
        wtgram_event event;
        size_t count;
        wtgram_status status = wtgram_poller_wait(inlet->poller, 0, &event, 1, &count);
        if (status == WTGRAM_OK)
            status = wtgram_transport_try_receive(inlet->transport, buffer, DATAGRAM_CAPACITY, length);
        if (status != WTGRAM_ERROR_WOULD_BLOCK) return status;
        struct epoll_event ready;
        if (epoll_wait(inlet->epoll, &ready, 1, timeout_ms) == 0) return WTGRAM_ERROR_TIMED_OUT;
    }
}

static wtgram_status receive_one(const struct inlet *inlet, int64_t timeout_us, uint8_t *buffer, size_t *length)
{
    return inlet->epoll < 0 ? wtgram_transport_receive(inlet->transport, timeout_us, buffer, DATAGRAM_CAPACITY, length)
                            : receive_through_epoll(inlet, timeout_us, buffer, length);
}

void echo_server_command(char **arguments)
{
    bool with_poller = configure(arguments[0]);
    struct inlet inlet = open_inlet(accept_one(OUTGOING_DATAGRAMS), with_poller);
    static uint8_t buffer[DATAGRAM_CAPACITY];
    uint64_t echoed = 0;
    for (;;) {
        size_t length;
        wtgram_status status = receive_one(&inlet, WTGRAM_FOREVER, buffer, &length);
        if (status == WTGRAM_OK) status = wtgram_transport_send(inlet.transport, buffer, length, NULL);
        if (status == WTGRAM_ERROR_CLOSED) break;
        check(status, "echo", "");
        echoed++;
    }
    printf("{\"echoed\": %" PRIu64 "}\n", echoed);
}

/* Waits up to a second for the answer. A late answer belongs to an earlier ping. */
static bool answered(const struct inlet *inlet, const uint8_t *payload, size_t size_bytes)
{
    static uint8_t buffer[DATAGRAM_CAPACITY];
    for (;;) {
        size_t length;
        wtgram_status status = receive_one(inlet, SECOND_US, buffer, &length);
        if (status == WTGRAM_ERROR_TIMED_OUT) return false;
        check(status, "receive the echo", "");
        if (length == size_bytes && memcmp(buffer, payload, length) == 0) return true;
    }
}

void echo_client_command(char **arguments)
{
    bool with_poller = configure(arguments[0]);
    struct target target = parse_target(arguments + 1);
    wtgram_session session = connect_to(target.port, target.hash, OUTGOING_DATAGRAMS);
    struct inlet inlet = open_inlet(session, with_poller);
    uint8_t *payload = allocate(target.size_bytes, 1);
    int64_t *round_trips_ns = malloc(ROUND_TRIPS_MAX * sizeof *round_trips_ns);
    if (round_trips_ns == NULL) fail("out of memory");
    memset(payload, 0xa5, target.size_bytes);
    /* The first tenth of the time warms up. */
    int64_t warm_from_ns = now_ns() + target.duration_ns / 10, until_ns = warm_from_ns + target.duration_ns;
    size_t round_trips = 0;
    uint64_t lost = 0;
    for (uint64_t ping = 1; now_ns() < until_ns && round_trips < ROUND_TRIPS_MAX; ping++) {
        put_sequence(payload, ping);
        int64_t asked_ns = now_ns();
        check(wtgram_transport_send(inlet.transport, payload, target.size_bytes, NULL), "send", "");
        if (!answered(&inlet, payload, target.size_bytes)) {
            lost++;
        } else if (asked_ns >= warm_from_ns) {
            round_trips_ns[round_trips++] = now_ns() - asked_ns;
        }
    }
    sort_times(round_trips_ns, round_trips);
    printf("{\"round_trips\": %zu, \"lost\": %" PRIu64 ", \"p50_us\": %.2f, \"p90_us\": %.2f, \"p99_us\": %.2f}\n",
           round_trips, lost, percentile_us(round_trips_ns, round_trips, 50),
           percentile_us(round_trips_ns, round_trips, 90), percentile_us(round_trips_ns, round_trips, 99));
    free(round_trips_ns);
    free(payload);
    close_and_shut_down(session);
}
