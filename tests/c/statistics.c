/* The figures that pywebtransport has, after traffic that changes each of them. */
#include "check.h"
#include "pair.h"

static void every_figure_of_the_reference_is_counted(void)
{
    struct pair_options options;
    struct pair pair;
    wtgram_transport_options transport;
    wtgram_transport_stats sent, received;
    uint8_t payload[400] = {0};
    static uint8_t large[70000];
    uint64_t cleared = 0, id = 0;
    memset(&options, 0, sizeof options);
    wtgram_transport_options_init(&transport);
    transport.incoming_max_datagrams = 2;
    options.transport = &transport;
    pair_open(&pair, &options);
    wtgram_transport_stats_init(&sent);
    wtgram_transport_stats_init(&received);
    TEST("what is sent and received, by count, size and time");
    pair_exchange(pair.client_datagrams, pair.accepted_datagrams, payload, 400);
    uint64_t count = 1;
    do { /* repeats until a receive had to wait */
        pair_exchange(pair.client_datagrams, pair.accepted_datagrams, payload, 100);
        count++;
        CHECK_OK(wtgram_transport_get_stats(pair.accepted_datagrams, &received));
    } while (received.max_receive_time_us == 0);
    TEST("a send that fails, a datagram that is dropped on its way out, two that find no room at the other end");
    CHECK_STATUS(wtgram_transport_send(pair.client_datagrams, large, sizeof large, NULL), WTGRAM_ERROR_TOO_LARGE);
    for (int i = 0; i < 4; i++) CHECK_OK(wtgram_transport_send(pair.client_datagrams, payload, 100, NULL));
    for (int64_t end = now_us() + PATIENCE_US; received.receive_drops < 2 && now_us() < end; sleep_us(MILLISECOND_US))
        CHECK_OK(wtgram_transport_get_stats(pair.accepted_datagrams, &received));
    CHECK_OK(wtgram_transport_get_session_id(pair.client_datagrams, &id));
    CHECK_OK(wtgram_transport_set_outgoing_max_age(pair.client_datagrams, 1));
    do {
        CHECK_OK(wtgram_transport_send(pair.client_datagrams, payload, 100, NULL));
        CHECK_OK(wtgram_transport_clear_send_buffer(pair.client_datagrams, &cleared));
        CHECK_OK(wtgram_transport_get_stats(pair.client_datagrams, &sent));
    } while (sent.send_drops == 0 || sent.max_send_time_us == 0); /* a send may take less than a microsecond */
    CHECK(sent.session_id == id && received.session_id == id);
    CHECK(sent.created_at_us > INT64_C(1600000000) * SECOND_US);
    CHECK(sent.datagrams_sent >= count + 4 && sent.bytes_sent >= 400 + 100 * (count + 3));
    CHECK_UINT(sent.send_failures, 1);
    CHECK_UINT(sent.send_drops, sent.handed_in - sent.sent - sent.send_too_large - sent.send_queued);
    CHECK_UINT(received.receive_drops, 2);
    CHECK_UINT(received.receive_errors, 0); /* counts datagrams of another session, which this peer cannot send */
    CHECK_UINT(received.datagrams_received, count);
    CHECK_UINT(received.bytes_received, 400 + 100 * (count - 1));
    CHECK(received.min_datagram_size == 100 && received.max_datagram_size == 400);
    CHECK_UINT(received.total_datagram_size, received.bytes_received);
    double average = (double)received.bytes_received / (double)count;
    CHECK(received.avg_datagram_size > average - 0.1 && received.avg_datagram_size < average + 0.1);
    CHECK(sent.total_send_time_us >= sent.max_send_time_us && sent.max_send_time_us > 0 && sent.avg_send_time_us > 0);
    CHECK(received.total_receive_time_us >= received.max_receive_time_us);
    CHECK(received.avg_receive_time_us > 0);
    TEST("a rate below 1 where something failed; what was dropped is no failure");
    CHECK(sent.send_success_rate > 0.5 && sent.send_success_rate < 1);
    CHECK(received.receive_success_rate >= 1);
    pair_free(&pair);
}

int main(void)
{
    every_figure_of_the_reference_is_counted();
    return 0;
}
