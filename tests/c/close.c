/* How sessions end: code and reason in both directions, and no call stays blocked. */
#include "blocked.h"
#include "check.h"
#include "pair.h"

static void expect_closed(wtgram_session session, uint32_t by, uint32_t code, const char *reason)
{
    wtgram_close_info info;
    uint32_t state = 0;
    wtgram_close_info_init(&info);
    CHECK_OK(wtgram_session_wait_closed(session, PATIENCE_US, &info));
    CHECK_UINT(info.closed_by, by);
    CHECK_UINT(info.code, code);
    CHECK_UINT(info.reason_length, strlen(reason));
    CHECK_TEXT(info.reason, reason);
    wtgram_close_info_init(&info);
    CHECK_OK(wtgram_session_get_close_info(session, &info));
    CHECK_UINT(info.code, code);
    CHECK_OK(wtgram_session_get_state(session, &state));
    CHECK_UINT(state, WTGRAM_SESSION_CLOSED);
}

static void code_and_reason_reach_the_other_side(void)
{
    struct pair pair;
    wtgram_close_info info;
    char longest[1025];
    TEST("while open, close_info would block and wait_closed times out");
    pair_open(&pair, NULL);
    wtgram_close_info_init(&info);
    CHECK_STATUS(wtgram_session_get_close_info(pair.client, &info), WTGRAM_ERROR_WOULD_BLOCK);
    wtgram_close_info_init(&info);
    CHECK_STATUS(wtgram_session_wait_closed(pair.client, 20 * MILLISECOND_US, &info), WTGRAM_ERROR_TIMED_OUT);
    TEST("the server hears the client's code and reason");
    CHECK_OK(wtgram_session_close(pair.client, 4711, "that was it", strlen("that was it")));
    expect_closed(pair.accepted, WTGRAM_CLOSED_BY_PEER, 4711, "that was it");
    expect_closed(pair.client, WTGRAM_CLOSED_BY_LOCAL, 4711, "that was it");
    pair_free(&pair);

    TEST("the client hears the server's, the largest code and the longest reason included");
    pair_open(&pair, NULL);
    memset(longest, 'x', 1024);
    longest[1024] = '\0';
    CHECK_OK(wtgram_session_close(pair.accepted, UINT32_MAX, longest, 1024));
    expect_closed(pair.client, WTGRAM_CLOSED_BY_PEER, UINT32_MAX, longest);
    pair_free(&pair);

    TEST("free closes with code 0 and no reason; close, then free at once, still delivers the code");
    pair_open(&pair, NULL);
    wtgram_session_free(pair.client);
    expect_closed(pair.accepted, WTGRAM_CLOSED_BY_PEER, 0, "");
    pair_free(&pair);
    pair_open(&pair, NULL);
    CHECK_OK(wtgram_session_close(pair.client, 7, "seven", 5));
    wtgram_session_free(pair.client);
    expect_closed(pair.accepted, WTGRAM_CLOSED_BY_PEER, 7, "seven");
    pair_free(&pair);

    TEST("closing a server closes its sessions, and refuses later clients");
    pair_open(&pair, NULL);
    CHECK_OK(wtgram_server_close(pair.server));
    expect_closed(pair.client, WTGRAM_CLOSED_BY_PEER, 0, "");
    expect_closed(pair.accepted, WTGRAM_CLOSED_BY_LOCAL, 0, "");
    wtgram_session none;
    CHECK_STATUS(wtgram_server_accept(pair.server, 0, &none), WTGRAM_ERROR_CLOSED);
    CHECK_UINT(none.id, 0);
    pair_free(&pair);

    TEST("a server gives every peer its code and reason, and the first close counts");
    wtgram_session other_client, other_accepted;
    pair_open(&pair, NULL);
    pair_connect(&pair, NULL, &other_client, &other_accepted);
    CHECK_STATUS(wtgram_server_close_with(pair.server, 1, "\xff", 1), WTGRAM_ERROR_INVALID_ARGUMENT);
    CHECK_STATUS(wtgram_server_close_with(pair.server, 1, longest, sizeof longest), WTGRAM_ERROR_INVALID_ARGUMENT);
    CHECK_OK(wtgram_server_close_with(pair.server, 503, "maintenance", strlen("maintenance")));
    CHECK_OK(wtgram_server_close_with(pair.server, 1, NULL, 0));
    CHECK_OK(wtgram_server_close(pair.server));
    expect_closed(pair.client, WTGRAM_CLOSED_BY_PEER, 503, "maintenance");
    expect_closed(pair.accepted, WTGRAM_CLOSED_BY_LOCAL, 503, "maintenance");
    expect_closed(other_client, WTGRAM_CLOSED_BY_PEER, 503, "maintenance");
    wtgram_session_free(other_client);
    wtgram_session_free(other_accepted);
    pair_free(&pair);
}

static void bad_closes_are_refused(void)
{
    struct pair pair;
    char too_long[1025];
    uint32_t state = 0;
    TEST("a reason over 1024 bytes or not UTF-8 is INVALID_ARGUMENT, and the session lives on");
    pair_open(&pair, NULL);
    memset(too_long, 'x', sizeof too_long);
    CHECK_STATUS(wtgram_session_close(pair.client, 1, too_long, sizeof too_long), WTGRAM_ERROR_INVALID_ARGUMENT);
    CHECK_STATUS(wtgram_session_close(pair.client, 1, "\xff\xfe", 2), WTGRAM_ERROR_INVALID_ARGUMENT);
    CHECK_STATUS(wtgram_session_close(pair.client, 1, NULL, 3), WTGRAM_ERROR_INVALID_ARGUMENT);
    CHECK_OK(wtgram_session_get_state(pair.client, &state));
    CHECK_UINT(state, WTGRAM_SESSION_CONNECTED);
    pair_exchange(pair.client_datagrams, pair.accepted_datagrams, "alive", 5);
    TEST("after a close, sending says CLOSED, and the first code stays");
    CHECK_OK(wtgram_session_close(pair.client, 1, NULL, 0));
    wtgram_status second = wtgram_session_close(pair.client, 2, NULL, 0);
    CHECK(second == WTGRAM_OK || second == WTGRAM_ERROR_CLOSED);
    expect_closed(pair.client, WTGRAM_CLOSED_BY_LOCAL, 1, "");
    CHECK_STATUS(wtgram_transport_send(pair.client_datagrams, (const uint8_t *)"x", 1, NULL), WTGRAM_ERROR_CLOSED);
    CHECK_STATUS(wtgram_transport_try_send(pair.client_datagrams, (const uint8_t *)"x", 1, NULL), WTGRAM_ERROR_CLOSED);
    pair_free(&pair);
}

static void what_arrived_can_still_be_received(void)
{
    struct pair pair;
    uint8_t buffer[64];
    size_t length = 0;
    bool readable = false;
    TEST("datagrams that arrived before the peer's close are received after it, then CLOSED");
    pair_open(&pair, NULL);
    CHECK_OK(wtgram_transport_send(pair.client_datagrams, (const uint8_t *)"one", 3, NULL));
    CHECK_OK(wtgram_transport_send(pair.client_datagrams, (const uint8_t *)"two", 3, NULL));
    for (int64_t start = now_us(); now_us() - start < PATIENCE_US;) {
        wtgram_transport_stats stats;
        wtgram_transport_stats_init(&stats);
        CHECK_OK(wtgram_transport_get_stats(pair.accepted_datagrams, &stats));
        if (stats.receive_queued == 2) break;
        sleep_us(MILLISECOND_US);
    }
    CHECK_OK(wtgram_session_close(pair.client, 3, "gone", 4));
    expect_closed(pair.accepted, WTGRAM_CLOSED_BY_PEER, 3, "gone");
    CHECK_OK(wtgram_transport_is_readable(pair.accepted_datagrams, &readable));
    CHECK(readable);
    CHECK_OK(wtgram_transport_receive(pair.accepted_datagrams, 0, buffer, sizeof buffer, &length));
    CHECK_BYTES(buffer, "one", 3);
    CHECK_OK(wtgram_transport_try_receive(pair.accepted_datagrams, buffer, sizeof buffer, &length));
    CHECK_BYTES(buffer, "two", 3);
    CHECK_STATUS(wtgram_transport_receive(pair.accepted_datagrams, WTGRAM_FOREVER, buffer, sizeof buffer, &length),
                 WTGRAM_ERROR_CLOSED);
    pair_free(&pair);
}

static wtgram_status do_accept(void *argument)
{
    wtgram_session session;
    return wtgram_server_accept(((struct pair *)argument)->server, WTGRAM_FOREVER, &session);
}

static wtgram_status do_receive(void *argument)
{
    uint8_t buffer[64];
    size_t length = 0;
    return wtgram_transport_receive(((struct pair *)argument)->client_datagrams, WTGRAM_FOREVER, buffer, sizeof buffer,
                                    &length);
}

static wtgram_status do_receive_batch(void *argument)
{
    uint8_t arena[64];
    wtgram_received_datagram received[2];
    size_t count = 0;
    return wtgram_transport_receive_batch(((struct pair *)argument)->client_datagrams, WTGRAM_FOREVER, arena,
                                          sizeof arena, received, 2, &count);
}

static wtgram_status do_wait_closed(void *argument)
{
    wtgram_close_info info;
    wtgram_close_info_init(&info);
    return wtgram_session_wait_closed(((struct pair *)argument)->client, WTGRAM_FOREVER, &info);
}

static wtgram_poller poller;

static wtgram_status do_poller_wait(void *argument)
{
    wtgram_event events[2];
    size_t count = 0;
    (void)argument;
    return wtgram_poller_wait(poller, WTGRAM_FOREVER, events, 2, &count);
}

static void a_close_wakes_whoever_waits(void)
{
    struct pair pair;
    struct blocked accept, receive, batch, closed, wait;
    TEST("closing a session wakes receive, receive_batch, wait_closed and the poller");
    pair_open(&pair, NULL);
    CHECK_OK(wtgram_poller_new(&poller));
    CHECK_OK(wtgram_poller_add(poller, pair.client.id, WTGRAM_READY_CLOSED, 1));
    blocked_start(&receive, do_receive, &pair);
    blocked_start(&batch, do_receive_batch, &pair);
    blocked_start(&closed, do_wait_closed, &pair);
    blocked_start(&wait, do_poller_wait, &pair);
    CHECK_OK(wtgram_session_close(pair.client, 5, NULL, 0));
    blocked_expect(&receive, WTGRAM_ERROR_CLOSED);
    blocked_expect(&batch, WTGRAM_ERROR_CLOSED);
    blocked_expect(&closed, WTGRAM_OK);
    blocked_expect(&wait, WTGRAM_OK);
    wtgram_poller_free(poller);

    TEST("closing a server wakes accept");
    blocked_start(&accept, do_accept, &pair);
    CHECK_OK(wtgram_server_close(pair.server));
    blocked_expect(&accept, WTGRAM_ERROR_CLOSED);
    pair_free(&pair);

    TEST("closing only the datagram path wakes its receivers and leaves the session open");
    pair_open(&pair, NULL);
    blocked_start(&receive, do_receive, &pair);
    CHECK_OK(wtgram_transport_close(pair.client_datagrams));
    blocked_expect(&receive, WTGRAM_ERROR_CLOSED);
    bool path_closed = false;
    uint32_t state = 0;
    CHECK_OK(wtgram_transport_is_closed(pair.client_datagrams, &path_closed));
    CHECK(path_closed);
    CHECK_OK(wtgram_session_get_state(pair.client, &state));
    CHECK_UINT(state, WTGRAM_SESSION_CONNECTED);
    pair_free(&pair);
}

int main(void)
{
    code_and_reason_reach_the_other_side();
    bad_closes_are_refused();
    what_arrived_can_still_be_received();
    a_close_wakes_whoever_waits();
    return 0;
}
