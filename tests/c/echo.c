/* One session, in both directions, one datagram at a time; and what the getters return about it. */
#include "check.h"
#include "pair.h"

static void every_size_comes_back(const struct pair *pair)
{
    uint8_t data[1100];
    for (size_t i = 0; i < sizeof data; i++) data[i] = (uint8_t)(i * 31);
    TEST("datagrams of 1, 2, 100 and 1100 bytes arrive unchanged, both ways");
    size_t sizes[] = {1, 2, 100, 1100};
    for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
        pair_exchange(pair->client_datagrams, pair->accepted_datagrams, data, sizes[i]);
        pair_exchange(pair->accepted_datagrams, pair->client_datagrams, data, sizes[i]);
    }
}

static void waits_end_as_they_say(const struct pair *pair)
{
    uint8_t buffer[64];
    size_t length = 99;
    TEST("nothing there: try_receive and timeout 0 would block, a wait times out, and the output is zeroed");
    CHECK_STATUS(wtgram_transport_try_receive(pair->client_datagrams, buffer, sizeof buffer, &length),
                 WTGRAM_ERROR_WOULD_BLOCK);
    CHECK_UINT(length, 0);
    length = 99;
    CHECK_STATUS(wtgram_transport_receive(pair->client_datagrams, 0, buffer, sizeof buffer, &length),
                 WTGRAM_ERROR_WOULD_BLOCK);
    CHECK_UINT(length, 0);
    length = 99;
    int64_t before = now_us();
    CHECK_STATUS(wtgram_transport_receive(pair->client_datagrams, 50 * MILLISECOND_US, buffer, sizeof buffer, &length),
                 WTGRAM_ERROR_TIMED_OUT);
    int64_t took = now_us() - before;
    CHECK_UINT(length, 0);
    CHECK(took >= 50 * MILLISECOND_US);
}

static void a_small_buffer_loses_nothing(const struct pair *pair)
{
    uint8_t buffer[10];
    size_t length = 0;
    TEST("a buffer that is too small reports the size needed and the datagram stays");
    CHECK_OK(wtgram_transport_send(pair->client_datagrams, (const uint8_t *)"0123456789", 10, NULL));
    CHECK_STATUS(wtgram_transport_receive(pair->accepted_datagrams, PATIENCE_US, buffer, 9, &length),
                 WTGRAM_ERROR_BUFFER_TOO_SMALL);
    CHECK_UINT(length, 10);
    CHECK_OK(wtgram_transport_try_receive(pair->accepted_datagrams, buffer, 10, &length));
    CHECK_UINT(length, 10);
    CHECK_BYTES(buffer, "0123456789", 10);
}

static void the_getters_agree(const struct pair *pair)
{
    uint32_t state = 99;
    char text[128];
    size_t length = 0;
    wtgram_transport again;
    wtgram_session owner;
    bool flag = false;
    TEST("state, path, addresses, ids and the transport's owner are what they should be");
    CHECK_OK(wtgram_session_get_state(pair->client, &state));
    CHECK_UINT(state, WTGRAM_SESSION_CONNECTED);
    CHECK_OK(wtgram_session_get_state(pair->accepted, &state));
    CHECK_UINT(state, WTGRAM_SESSION_CONNECTED);
    CHECK_OK(wtgram_session_get_path(pair->accepted, text, sizeof text, &length));
    CHECK_TEXT(text, "/test");
    CHECK_UINT(length, strlen(text));
    CHECK_OK(wtgram_session_get_remote_address(pair->client, text, sizeof text, &length));
    CHECK(strncmp(pair->url + strlen("https://"), text, length) == 0);
    CHECK_OK(wtgram_server_get_local_address(pair->server, text, sizeof text, &length));
    CHECK(strncmp(pair->url + strlen("https://"), text, length) == 0);
    CHECK_OK(wtgram_session_get_remote_address(pair->accepted, text, sizeof text, &length));
    CHECK(strncmp(text, "127.0.0.1:", 10) == 0);
    CHECK_OK(wtgram_session_get_transport(pair->client, &again));
    CHECK_UINT(again.id, pair->client_datagrams.id);
    CHECK_OK(wtgram_transport_get_session(pair->client_datagrams, &owner));
    CHECK_UINT(owner.id, pair->client.id);
    CHECK_OK(wtgram_transport_is_closed(pair->client_datagrams, &flag));
    CHECK(!flag);
    CHECK_OK(wtgram_transport_is_writable(pair->client_datagrams, &flag));
    CHECK(flag);
    CHECK_OK(wtgram_transport_is_readable(pair->client_datagrams, &flag));
    CHECK(flag);
}

static void the_counters_add_up(const struct pair *pair)
{
    wtgram_transport_stats out, in;
    wtgram_session_stats session;
    TEST("each datagram handed in is in exactly one counter, on both sides");
    wtgram_transport_stats_init(&out);
    wtgram_transport_stats_init(&in);
    wtgram_session_stats_init(&session);
    CHECK_OK(wtgram_transport_get_stats(pair->client_datagrams, &out));
    CHECK_UINT(out.handed_in, out.sent + out.send_expired + out.send_evicted + out.send_rejected + out.send_too_large +
                                  out.send_failed + out.send_cleared + out.send_queued);
    CHECK_UINT(out.sent, 5);
    CHECK_UINT(out.sent_bytes, 1 + 2 + 100 + 1100 + 10);
    CHECK_OK(wtgram_transport_get_stats(pair->accepted_datagrams, &in));
    CHECK_UINT(in.received,
               in.delivered + in.receive_expired + in.receive_dropped_full + in.receive_cleared + in.receive_queued);
    CHECK_UINT(in.delivered, 5);
    CHECK_UINT(in.delivered_bytes, 1 + 2 + 100 + 1100 + 10);
    CHECK_OK(wtgram_session_get_stats(pair->client, &session));
    CHECK(session.rtt_us > 0);
    CHECK(session.congestion_window_bytes > 0);
    CHECK(session.udp_bytes_sent >= out.sent_bytes);
}

int main(void)
{
    struct pair pair;
    pair_open(&pair, NULL);
    every_size_comes_back(&pair);
    waits_end_as_they_say(&pair);
    a_small_buffer_loses_nothing(&pair);
    the_getters_agree(&pair);
    the_counters_add_up(&pair);
    pair_free(&pair);
    return 0;
}
