/* One session flat out: in batches, or one datagram a call. */
#define _POSIX_C_SOURCE 200809L
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "ends.h"

enum { SEND_BATCH = 64 };

static bool is_batch(const char *form)
{
    bool batch = strcmp(form, "batch") == 0;
    if (!batch && strcmp(form, "single") != 0) fail("the form is batch or single");
    return batch;
}

/* ---- receive ---- */

static wtgram_status receive_batches(wtgram_transport transport, struct arrivals *arrivals)
{
    static uint8_t arena[ARENA_BYTES];
    static wtgram_received_datagram received[RECEIVE_BATCH];
    for (;;) {
        size_t taken;
        wtgram_status status = wtgram_transport_receive_batch(transport, WTGRAM_FOREVER, arena, sizeof arena, received,
                                                              RECEIVE_BATCH, &taken);
        if (status != WTGRAM_OK) return status;
        for (size_t i = 0; i < taken; i++)
            count_arrival(arrivals, arena + received[i].offset, (size_t)received[i].length);
    }
}

static wtgram_status receive_singly(wtgram_transport transport, struct arrivals *arrivals)
{
    static uint8_t buffer[DATAGRAM_CAPACITY];
    for (;;) {
        size_t length;
        wtgram_status status = wtgram_transport_receive(transport, WTGRAM_FOREVER, buffer, sizeof buffer, &length);
        if (status != WTGRAM_OK) return status;
        count_arrival(arrivals, buffer, length);
    }
}

void receive_command(char **arguments)
{
    bool batch = is_batch(arguments[0]);
    wtgram_session session = accept_one(OUTGOING_DATAGRAMS);
    wtgram_transport transport = datagrams(session);
    struct arrivals arrivals = {0};
    wtgram_status status = batch ? receive_batches(transport, &arrivals) : receive_singly(transport, &arrivals);
    if (status != WTGRAM_ERROR_CLOSED) check(status, "receive", "");
    report_arrivals(&arrivals, &session, 1);
}

/* ---- send ---- */

static uint64_t send_batches(wtgram_transport transport, size_t size_bytes, int64_t until_ns)
{
    static wtgram_slice slices[SEND_BATCH];
    uint8_t *payloads = allocate(SEND_BATCH, size_bytes);
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
    uint8_t *payload = allocate(size_bytes, 1);
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

void send_command(char **arguments)
{
    bool batch = is_batch(arguments[0]);
    struct target target = parse_target(arguments + 1);
    wtgram_session session = connect_to(target.port, target.hash, OUTGOING_DATAGRAMS);
    wtgram_transport transport = datagrams(session);
    int64_t until_ns = now_ns() + target.duration_ns;
    uint64_t sent = batch ? send_batches(transport, target.size_bytes, until_ns)
                          : send_singly(transport, target.size_bytes, until_ns);
    drain(&transport, 1);
    printf("{\"sent\": %" PRIu64 ", \"dropped_by_quic\": %" PRIu64 ", \"frames\": %" PRIu64 "}\n", sent,
           statistics(transport).sent_dropped_by_quic, quic_statistics(session).datagram_frames_sent);
    close_and_shut_down(session);
}
