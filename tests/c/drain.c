/* How a session is asked to end soon, and how it ends in order. */
#include "blocked.h"
#include "check.h"
#include "pair.h"
#include "wire.h"

static uint32_t state_of(wtgram_session session)
{
    uint32_t state = 0;
    CHECK_OK(wtgram_session_get_state(session, &state));
    return state;
}

static void wait_until_draining(wtgram_session session)
{
    for (int64_t start = now_us(); state_of(session) != WTGRAM_SESSION_DRAINING; sleep_us(MILLISECOND_US)) {
        CHECK_UINT(state_of(session), WTGRAM_SESSION_CONNECTED);
        CHECK(now_us() - start < PATIENCE_US);
    }
}

static void either_side_asks_and_the_session_goes_on(void)
{
    struct pair pair;
    wtgram_close_info info;
    for (int from_client = 0; from_client <= 1; from_client++) {
        TEST(from_client ? "a client asks its server to end soon" : "a server asks its client to end soon");
        pair_open(&pair, NULL);
        wtgram_session asks = from_client ? pair.client : pair.accepted;
        wtgram_session asked = from_client ? pair.accepted : pair.client;
        CHECK_OK(wtgram_session_drain(asks));
        wait_until_draining(asked);
        TEST("the side that asks is not asked, and datagrams flow both ways");
        CHECK_UINT(state_of(asks), WTGRAM_SESSION_CONNECTED);
        pair_exchange(pair.client_datagrams, pair.accepted_datagrams, "there", 5);
        pair_exchange(pair.accepted_datagrams, pair.client_datagrams, "back", 4);
        TEST("to ask again, or back, changes nothing");
        CHECK_OK(wtgram_session_drain(asks));
        CHECK_OK(wtgram_session_drain(asked));
        wait_until_draining(asks);
        pair_exchange(pair.client_datagrams, pair.accepted_datagrams, "there", 5);
        TEST("a session that is closed cannot be drained");
        CHECK_OK(wtgram_session_close(asked, 9, "as asked", 8));
        wtgram_close_info_init(&info);
        CHECK_OK(wtgram_session_wait_closed(asks, PATIENCE_US, &info));
        CHECK_UINT(info.code, 9);
        CHECK_STATUS(wtgram_session_drain(asked), WTGRAM_ERROR_CLOSED);
        CHECK_STATUS(wtgram_session_drain(asks), WTGRAM_ERROR_CLOSED);
        pair_free(&pair);
        CHECK_STATUS(wtgram_session_drain(asks), WTGRAM_ERROR_INVALID_HANDLE);
    }
}

/* Waits for one event, and checks that it reports exactly this. */
static void expect_ready(wtgram_poller poller, uint32_t ready)
{
    wtgram_event event;
    size_t count = 0;
    CHECK_OK(wtgram_poller_wait(poller, PATIENCE_US, &event, 1, &count));
    CHECK_UINT(count, 1);
    CHECK_UINT(event.ready, ready);
}

static void a_poller_reports_it_until_the_session_is_closed(void)
{
    struct pair pair;
    for (int from_client = 0; from_client <= 1; from_client++) {
        wtgram_poller poller;
        wtgram_event event;
        size_t count = 0;
        pair_open(&pair, NULL);
        wtgram_session asks = from_client ? pair.client : pair.accepted;
        wtgram_session asked = from_client ? pair.accepted : pair.client;
        TEST("DRAINING is reported for the session that was asked, again and again");
        CHECK_OK(wtgram_poller_new(&poller));
        CHECK_OK(wtgram_poller_add(poller, asked.id, WTGRAM_READY_DRAINING, 1));
        CHECK_OK(wtgram_poller_add(poller, asks.id, WTGRAM_READY_DRAINING, 2));
        CHECK_STATUS(wtgram_poller_wait(poller, 20 * MILLISECOND_US, &event, 1, &count), WTGRAM_ERROR_TIMED_OUT);
        CHECK_OK(wtgram_session_drain(asks));
        for (int i = 0; i < 3; i++) expect_ready(poller, WTGRAM_READY_DRAINING);
        TEST("a session that was asked before it was added is reported at once, and once if one shot");
        CHECK_OK(wtgram_poller_remove(poller, asked.id));
        CHECK_OK(wtgram_poller_add(poller, asked.id, WTGRAM_READY_DRAINING | WTGRAM_READY_ONE_SHOT, 1));
        expect_ready(poller, WTGRAM_READY_DRAINING);
        CHECK_STATUS(wtgram_poller_wait(poller, 0, &event, 1, &count), WTGRAM_ERROR_WOULD_BLOCK);
        TEST("it is still connected, and a closed session drains no more");
        CHECK_OK(wtgram_poller_modify(poller, asked.id, WTGRAM_READY_DRAINING | WTGRAM_READY_CONNECTED, 1));
        expect_ready(poller, WTGRAM_READY_DRAINING | WTGRAM_READY_CONNECTED);
        CHECK_OK(wtgram_poller_remove(poller, asks.id));
        CHECK_OK(wtgram_session_close(asked, 0, NULL, 0));
        expect_ready(poller, WTGRAM_READY_CLOSED);
        TEST("a transport or a server never drains");
        CHECK_STATUS(wtgram_poller_add(poller, pair.client_datagrams.id, WTGRAM_READY_DRAINING, 3),
                     WTGRAM_ERROR_INVALID_ARGUMENT);
        CHECK_STATUS(wtgram_poller_add(poller, pair.server.id, WTGRAM_READY_DRAINING, 3),
                     WTGRAM_ERROR_INVALID_ARGUMENT);
        wtgram_poller_free(poller);
        pair_free(&pair);
    }
}

enum { DATAGRAMS = 300, DATAGRAM_LENGTH = 100 };

/* Receives until the transport is closed, and returns how many datagrams there were. */
static uint64_t receive_all(wtgram_transport transport)
{
    uint8_t buffer[2000];
    size_t length = 0;
    uint64_t count = 0;
    wtgram_status status;
    while ((status = wtgram_transport_receive(transport, PATIENCE_US, buffer, sizeof buffer, &length)) == WTGRAM_OK)
        count++;
    CHECK_STATUS(status, WTGRAM_ERROR_CLOSED);
    return count;
}

static void expect_closed(wtgram_session session, uint32_t by, uint32_t code, const char *reason)
{
    wtgram_close_info info;
    wtgram_close_info_init(&info);
    CHECK_OK(wtgram_session_wait_closed(session, PATIENCE_US, &info));
    CHECK_UINT(info.closed_by, by);
    CHECK_UINT(info.code, code);
    CHECK_TEXT(info.reason, reason);
}

static void what_is_queued_leaves_before_the_close(void)
{
    wtgram_transport_options transport;
    struct pair_options options = {&transport, NULL};
    struct pair pair;
    static uint8_t data[DATAGRAM_LENGTH];
    wtgram_transport_options_init(&transport);
    transport.outgoing_max_datagrams = 1000;
    for (int waits = 0; waits <= 1; waits++) {
        wtgram_transport_stats stats;
        TEST(waits ? "drain_and_close returns when everything has left, and the peer got it and the reason"
                   : "drain_and_close_start does the same in the background");
        pair_open(&pair, &options);
        for (int i = 0; i < DATAGRAMS; i++)
            CHECK_OK(wtgram_transport_send(pair.client_datagrams, data, sizeof data, NULL));
        if (waits) CHECK_OK(wtgram_session_drain_and_close(pair.client, 17, "all sent", 8, PATIENCE_US));
        else CHECK_OK(wtgram_session_drain_and_close_start(pair.client, 17, "all sent", 8));
        expect_closed(pair.client, WTGRAM_CLOSED_BY_LOCAL, 17, "all sent");
        expect_closed(pair.accepted, WTGRAM_CLOSED_BY_PEER, 17, "all sent");
        wtgram_transport_stats_init(&stats);
        CHECK_OK(wtgram_transport_get_stats(pair.client_datagrams, &stats));
        CHECK_UINT(stats.sent, DATAGRAMS);
        CHECK_UINT(stats.send_failed, 0);
        CHECK_UINT(receive_all(pair.accepted_datagrams), DATAGRAMS);
        CHECK_STATUS(wtgram_session_drain_and_close(pair.client, 1, NULL, 0, PATIENCE_US), WTGRAM_ERROR_CLOSED);
        CHECK_STATUS(wtgram_session_drain_and_close_start(pair.client, 1, NULL, 0), WTGRAM_ERROR_CLOSED);
        pair_free(&pair);
    }
}

static wtgram_status do_drain_and_close(void *argument)
{
    return wtgram_session_drain_and_close(((struct pair *)argument)->client, 18, "given up", 8, WTGRAM_FOREVER);
}

static wtgram_status do_send(void *argument)
{
    static uint8_t data[1000];
    wtgram_send_options send;
    wtgram_send_options_init(&send);
    send.timeout_us = WTGRAM_FOREVER;
    return wtgram_transport_send(((struct pair *)argument)->client_datagrams, data, sizeof data, &send);
}

static void what_cannot_leave_does_not_keep_the_session_open(void)
{
    static uint8_t data[1000];
    wtgram_transport_options transport;
    struct pair_options options = {&transport, NULL};
    struct wire wire;
    struct pair pair;
    struct blocked sending, closing;
    wtgram_transport_options_init(&transport);
    transport.outgoing_max_datagrams = 10;
    transport.outgoing_full_policy = WTGRAM_FULL_WAIT;
    TEST("after the timeout the session is closed although something is queued");
    for (int timeout_us = 0; timeout_us <= 50 * MILLISECOND_US; timeout_us += 50 * MILLISECOND_US) {
        wire_open(&wire, &pair, &options);
        wire_stop(&wire, &pair);
        for (int i = 0; i < 10; i++)
            CHECK_OK(wtgram_transport_try_send(pair.client_datagrams, data, sizeof data, NULL));
        CHECK_STATUS(wtgram_session_drain_and_close(pair.client, 18, "given up", 8, timeout_us),
                     timeout_us == 0 ? WTGRAM_ERROR_WOULD_BLOCK : WTGRAM_ERROR_TIMED_OUT);
        expect_closed(pair.client, WTGRAM_CLOSED_BY_LOCAL, 18, "given up");
        pair_free(&pair);
        wire_close(&wire);
    }

    TEST("meanwhile nothing more is accepted, and a sender that waits for space returns");
    wire_open(&wire, &pair, &options);
    wire_stop(&wire, &pair);
    for (int i = 0; i < 10; i++) CHECK_OK(wtgram_transport_try_send(pair.client_datagrams, data, sizeof data, NULL));
    blocked_start(&sending, do_send, &pair);
    blocked_start(&closing, do_drain_and_close, &pair);
    blocked_expect(&sending, WTGRAM_ERROR_CLOSED);
    CHECK_STATUS(wtgram_transport_try_send(pair.client_datagrams, data, 1, NULL), WTGRAM_ERROR_CLOSED);
    CHECK_STATUS(wtgram_session_drain_and_close(pair.client, 1, NULL, 0, 0), WTGRAM_ERROR_INVALID_STATE);
    CHECK_STATUS(wtgram_session_drain_and_close_start(pair.client, 1, NULL, 0), WTGRAM_ERROR_INVALID_STATE);
    CHECK_UINT(state_of(pair.client), WTGRAM_SESSION_CONNECTED);
    TEST("a close ends it at once");
    CHECK_OK(wtgram_session_close(pair.client, 19, "now", 3));
    blocked_expect(&closing, WTGRAM_ERROR_CLOSED);
    expect_closed(pair.client, WTGRAM_CLOSED_BY_LOCAL, 19, "now");
    pair_free(&pair);
    wire_close(&wire);
}

static void bad_reasons_are_refused_and_change_nothing(void)
{
    struct pair pair;
    static char too_long[1025];
    TEST("a bad reason or timeout is refused, and the session goes on");
    pair_open(&pair, NULL);
    CHECK_STATUS(wtgram_session_drain_and_close(pair.client, 1, too_long, sizeof too_long, 0),
                 WTGRAM_ERROR_INVALID_ARGUMENT);
    CHECK_STATUS(wtgram_session_drain_and_close_start(pair.client, 1, "\xff", 1), WTGRAM_ERROR_INVALID_ARGUMENT);
    CHECK_STATUS(wtgram_session_drain_and_close(pair.client, 1, NULL, 0, -2), WTGRAM_ERROR_INVALID_ARGUMENT);
    pair_exchange(pair.client_datagrams, pair.accepted_datagrams, "alive", 5);
    CHECK_UINT(state_of(pair.accepted), WTGRAM_SESSION_CONNECTED);
    pair_free(&pair);
}

int main(void)
{
    either_side_asks_and_the_session_goes_on();
    a_poller_reports_it_until_the_session_is_closed();
    what_is_queued_leaves_before_the_close();
    what_cannot_leave_does_not_keep_the_session_open();
    bad_reasons_are_refused_and_change_nothing();
    return 0;
}
