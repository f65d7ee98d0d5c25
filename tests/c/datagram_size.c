/* The largest datagram passes. A datagram of one byte more is refused, and nothing is queued. An empty datagram is
 * valid. */
#include "check.h"
#include "pair.h"

static uint8_t data[70000];

static wtgram_transport_stats statistics(wtgram_transport transport)
{
    wtgram_transport_stats stats;
    wtgram_transport_stats_init(&stats);
    CHECK_OK(wtgram_transport_get_stats(transport, &stats));
    return stats;
}

static void one_byte_too_many(wtgram_transport from, wtgram_transport to)
{
    size_t max = 0;
    wtgram_transport_stats before = statistics(from);
    CHECK_OK(wtgram_transport_get_max_datagram_size(from, &max));
    CHECK(max >= 1000 && max < sizeof data);
    TEST("exactly the maximum passes");
    pair_exchange(from, to, data, max);
    /* On loopback the limit of the path may rise during the test, but it never falls. So the size must be far beyond
     * it. */
    TEST("beyond any UDP packet: TOO_LARGE from send, try_send and send_batch, and nothing is queued");
    wtgram_slice slice;
    size_t accepted = 9;
    wtgram_status result = WTGRAM_OK;
    slice.data = data;
    slice.length = sizeof data;
    CHECK_STATUS(wtgram_transport_send(from, data, sizeof data, NULL), WTGRAM_ERROR_TOO_LARGE);
    CHECK_STATUS(wtgram_transport_try_send(from, data, sizeof data, NULL), WTGRAM_ERROR_TOO_LARGE);
    CHECK_STATUS(wtgram_transport_send_batch(from, &slice, 1, NULL, &result, &accepted), WTGRAM_ERROR_TOO_LARGE);
    CHECK_STATUS(result, WTGRAM_ERROR_TOO_LARGE);
    CHECK_UINT(accepted, 0);
    wtgram_transport_stats after = statistics(from);
    CHECK_UINT(after.send_too_large, before.send_too_large + 3);
    CHECK_UINT(after.send_queued, 0);
    CHECK_UINT(after.sent, before.sent + 1);
    TEST("one byte over what max_datagram_size says at that moment is refused as well");
    for (int attempt = 0;; attempt++) { /* MTU discovery may raise the limit before the send */
        size_t limit = 0, limit_after = 0;
        CHECK_OK(wtgram_transport_get_max_datagram_size(from, &limit));
        wtgram_status status = wtgram_transport_send(from, data, limit + 1, NULL);
        CHECK_OK(wtgram_transport_get_max_datagram_size(from, &limit_after));
        if (limit == limit_after) {
            CHECK_STATUS(status, WTGRAM_ERROR_TOO_LARGE);
            break;
        }
        if (status == WTGRAM_OK) {
            size_t length = 0;
            static uint8_t buffer[70000];
            CHECK_OK(wtgram_transport_receive(to, PATIENCE_US, buffer, sizeof buffer, &length));
        }
        CHECK(attempt < 100);
    }
    TEST("the path still works");
    pair_exchange(from, to, data, 1000);
}

static void empty_datagrams(wtgram_transport from, wtgram_transport to)
{
    uint8_t arena[16];
    wtgram_received_datagram received[4];
    size_t count = 9, length = 9;
    TEST("an empty datagram arrives as one of length 0, whatever the pointer");
    CHECK_OK(wtgram_transport_send(from, NULL, 0, NULL));
    CHECK_OK(wtgram_transport_receive(to, PATIENCE_US, arena, sizeof arena, &length));
    CHECK_UINT(length, 0);
    CHECK_OK(wtgram_transport_send(from, NULL, 0, NULL));
    CHECK_OK(wtgram_transport_receive(to, PATIENCE_US, NULL, 0, &length));
    CHECK_UINT(length, 0);
    CHECK_OK(wtgram_transport_send(from, NULL, 0, NULL));
    CHECK_OK(wtgram_transport_receive_batch(to, PATIENCE_US, arena, sizeof arena, received, 4, &count));
    CHECK_UINT(count, 1);
    CHECK_UINT(received[0].length, 0);
}

int main(void)
{
    struct pair pair;
    for (size_t i = 0; i < sizeof data; i++) data[i] = (uint8_t)(i * 17);
    pair_open(&pair, NULL);
    one_byte_too_many(pair.client_datagrams, pair.accepted_datagrams);
    one_byte_too_many(pair.accepted_datagrams, pair.client_datagrams);
    empty_datagrams(pair.client_datagrams, pair.accepted_datagrams);
    pair_free(&pair);
    return 0;
}
