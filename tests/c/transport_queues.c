/* What waits in both queues: by priority, and after clearing. And when a side is no longer readable or writable. */
#include "check.h"
#include "pair.h"
#include "wire.h"

static wtgram_queue_stats queues_of(wtgram_transport transport)
{
    wtgram_queue_stats queues;
    wtgram_queue_stats_init(&queues);
    CHECK_OK(wtgram_transport_get_queue_stats(transport, &queues));
    return queues;
}

static wtgram_transport_stats stats_of(wtgram_transport transport)
{
    wtgram_transport_stats stats;
    wtgram_transport_stats_init(&stats);
    CHECK_OK(wtgram_transport_get_stats(transport, &stats));
    return stats;
}

/* Sends `count` datagrams of `size` bytes. */
static void queue(wtgram_transport transport, int32_t priority, int count, size_t size)
{
    static const uint8_t data[16] = {0};
    wtgram_send_options options;
    wtgram_send_options_init(&options);
    options.priority = priority;
    for (int i = 0; i < count; i++) CHECK_OK(wtgram_transport_send(transport, data, size, &options));
}

static void what_waits_and_is_cleared(void)
{
    struct pair pair;
    struct wire wire;
    uint64_t waiting = 99, cleared = 99;
    wire_open(&wire, &pair, NULL);
    wire_stop(&wire, &pair);
    wtgram_transport from = pair.client_datagrams;
    TEST("what waits is told by priority, in datagrams and bytes");
    uint64_t sent = stats_of(from).sent, cleared_before = stats_of(from).send_cleared;
    queue(from, 0, 2, 3);
    queue(from, 1, 3, 5);
    queue(from, 2, 4, 7);
    wtgram_queue_stats queues = queues_of(from);
    static const uint64_t datagrams[3] = {2, 3, 4}, bytes[3] = {6, 15, 28};
    for (int i = 0; i < 3; i++) {
        CHECK_UINT(queues.outgoing_priority_datagrams[i], datagrams[i]);
        CHECK_UINT(queues.outgoing_priority_bytes[i], bytes[i]);
    }
    CHECK_UINT(queues.outgoing_datagrams, 9);
    CHECK_UINT(queues.outgoing_bytes, 49);
    CHECK_OK(wtgram_transport_get_send_buffer_size(from, &waiting));
    CHECK_UINT(waiting, 9);
    CHECK_UINT(stats_of(from).send_queued, 9);
    CHECK_UINT(stats_of(from).send_queued_bytes, 49);
    TEST("clearing drops all of it, says how many that were, and counts them");
    CHECK_OK(wtgram_transport_clear_send_buffer(from, &cleared));
    CHECK_UINT(cleared, 9);
    wtgram_transport_stats stats = stats_of(from);
    CHECK_UINT(stats.send_cleared, cleared_before + 9);
    CHECK_UINT(stats.send_queued + stats.send_queued_bytes, 0);
    CHECK_UINT(stats.sent, sent);
    CHECK_UINT(stats.handed_in, stats.sent + stats.send_expired + stats.send_evicted + stats.send_rejected +
                                    stats.send_too_large + stats.send_failed + stats.send_cleared);
    queues = queues_of(from);
    for (int i = 0; i < 3; i++)
        CHECK_UINT(queues.outgoing_priority_datagrams[i] + queues.outgoing_priority_bytes[i], 0);
    CHECK_UINT(queues.outgoing_datagrams + queues.outgoing_bytes, 0);
    CHECK_OK(wtgram_transport_get_send_buffer_size(from, &waiting));
    CHECK_UINT(waiting, 0);
    CHECK_OK(wtgram_transport_clear_send_buffer(from, &cleared));
    CHECK_UINT(cleared, 0);
    pair_free(&pair);
    wire_close(&wire);
}

static bool is_readable(wtgram_transport transport)
{
    bool readable = false;
    CHECK_OK(wtgram_transport_is_readable(transport, &readable));
    return readable;
}

static bool is_writable(wtgram_transport transport)
{
    bool writable = false;
    CHECK_OK(wtgram_transport_is_writable(transport, &writable));
    return writable;
}

static void open_and_closed_sides(void)
{
    struct pair pair;
    uint8_t buffer[8];
    size_t length = 0;
    pair_open(&pair, NULL);
    wtgram_transport to = pair.accepted_datagrams;
    TEST("a transport is readable and writable while it is open, with nothing to read and with much");
    CHECK(is_readable(to) && is_writable(to));
    CHECK_OK(wtgram_transport_send(pair.client_datagrams, (const uint8_t *)"last", 4, NULL));
    for (int64_t start = now_us(); queues_of(to).incoming_datagrams == 0 && now_us() - start < PATIENCE_US;)
        sleep_us(MILLISECOND_US);
    CHECK_UINT(queues_of(to).incoming_bytes, 4);
    TEST("closed, it is not writable, and readable until what has arrived was received");
    CHECK_OK(wtgram_transport_close(to));
    CHECK(!is_writable(to));
    CHECK(is_readable(to));
    CHECK_OK(wtgram_transport_receive(to, WTGRAM_FOREVER, buffer, sizeof buffer, &length));
    CHECK_UINT(length, 4);
    CHECK_STATUS(wtgram_transport_receive(to, WTGRAM_FOREVER, buffer, sizeof buffer, &length), WTGRAM_ERROR_CLOSED);
    CHECK(!is_readable(to));
    CHECK(!is_writable(to));
    pair_free(&pair);
}

int main(void)
{
    what_waits_and_is_cleared();
    open_and_closed_sides();
    return 0;
}
