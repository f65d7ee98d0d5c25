/* Many sessions of one process flat out: the sender takes them in turn, the receiver waits on one poller. */
#define _POSIX_C_SOURCE 200809L
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "ends.h"

enum { SEND_BATCH = 16, EVENTS = 64, READY_MS = 200 };

/* Tells the runner that all sessions are established, so that it can look at both processes before there is traffic. */
static void say_ready(void)
{
    printf("READY\n");
    fflush(stdout);
    sleep_ns(READY_MS * 1000 * 1000);
}

/* ---- receive ---- */

/* Receives all that is there. Returns false when the session has ended and everything is received. */
static bool take(wtgram_transport transport, struct arrivals *arrivals)
{
    static uint8_t arena[ARENA_BYTES];
    static wtgram_received_datagram received[RECEIVE_BATCH];
    size_t taken;
    wtgram_status status =
        wtgram_transport_receive_batch(transport, 0, arena, sizeof arena, received, RECEIVE_BATCH, &taken);
    if (status == WTGRAM_ERROR_CLOSED) return false;
    if (status == WTGRAM_ERROR_WOULD_BLOCK) return true;
    check(status, "receive batch", "");
    for (size_t i = 0; i < taken; i++) count_arrival(arrivals, arena + received[i].offset, (size_t)received[i].length);
    return true;
}

void sessions_receive_command(char **arguments)
{
    size_t count = strtoul(arguments[0], NULL, 10), open = count;
    wtgram_server server = listen_for(count, OUTGOING_DATAGRAMS_DEFAULT);
    wtgram_poller poller;
    check(wtgram_poller_new(&poller), "poller", "");
    wtgram_session *sessions = allocate(count, sizeof *sessions);
    for (size_t i = 0; i < count; i++) {
        check(wtgram_server_accept(server, 60 * SECOND_US, &sessions[i]), "accept", "");
        check(wtgram_poller_add(poller, datagrams(sessions[i]).id, WTGRAM_READY_READABLE | WTGRAM_READY_CLOSED, 0),
              "poller add", "");
    }
    struct arrivals arrivals = {0};
    wtgram_event events[EVENTS];
    while (open > 0) {
        size_t ready;
        check(wtgram_poller_wait(poller, WTGRAM_FOREVER, events, EVENTS, &ready), "poller wait", "");
        for (size_t i = 0; i < ready; i++) {
            wtgram_transport transport = {.id = events[i].object};
            if (take(transport, &arrivals)) continue;
            check(wtgram_poller_remove(poller, transport.id), "poller remove", "");
            open--;
        }
    }
    report_arrivals(&arrivals, sessions, count);
    free(sessions);
}

/* ---- send ---- */

static uint64_t send_round_robin(const wtgram_transport *transports, size_t count, struct target target)
{
    wtgram_slice slices[SEND_BATCH];
    uint8_t *payloads = allocate(SEND_BATCH, target.size_bytes);
    memset(payloads, 0xa5, SEND_BATCH * target.size_bytes);
    for (size_t i = 0; i < SEND_BATCH; i++)
        slices[i] = (wtgram_slice){.data = payloads + i * target.size_bytes, .length = target.size_bytes};
    int64_t until_ns = now_ns() + target.duration_ns;
    uint64_t sent = 0;
    for (size_t next = 0; now_ns() < until_ns; next = (next + 1) % count) {
        for (size_t i = 0; i < SEND_BATCH; i++) put_sequence(payloads + i * target.size_bytes, sent + i);
        size_t accepted;
        check(wtgram_transport_send_batch(transports[next], slices, SEND_BATCH, NULL, NULL, &accepted), "send batch",
              "");
        sent += accepted;
    }
    free(payloads);
    return sent;
}

void sessions_send_command(char **arguments)
{
    size_t count = strtoul(arguments[0], NULL, 10);
    struct target target = parse_target(arguments + 1);
    if (count == 0) fail("at least one session");
    wtgram_session *sessions = allocate(count, sizeof *sessions);
    wtgram_transport *transports = allocate(count, sizeof *transports);
    for (size_t i = 0; i < count; i++) {
        sessions[i] = connect_to(target.port, target.hash, OUTGOING_DATAGRAMS_DEFAULT);
        transports[i] = datagrams(sessions[i]);
    }
    say_ready();
    uint64_t sent = send_round_robin(transports, count, target);
    drain(transports, count);
    uint64_t dropped_by_quic = 0, frames = 0;
    for (size_t i = 0; i < count; i++) {
        dropped_by_quic += statistics(transports[i]).sent_dropped_by_quic;
        frames += quic_statistics(sessions[i]).datagram_frames_sent;
    }
    printf("{\"sent\": %" PRIu64 ", \"dropped_by_quic\": %" PRIu64 ", \"frames\": %" PRIu64
           ", \"peak_memory_bytes\": %" PRId64 "}\n",
           sent, dropped_by_quic, frames, memory_bytes("VmHWM:"));
    check(wtgram_shutdown(30 * SECOND_US), "shutdown", ""); /* closes the sessions */
    free(sessions);
    free(transports);
}
