/* A datagram that is sent with a report id has exactly one outcome. */
#include "blocked.h"
#include "check.h"
#include "pair.h"

static void expect(wtgram_transport datagrams, uint64_t report_id, uint32_t kind)
{
    wtgram_outcome outcome;
    CHECK_OK(wtgram_transport_next_outcome(datagrams, PATIENCE_US, &outcome));
    CHECK_UINT(outcome.report_id, report_id);
    CHECK_UINT(outcome.kind, kind);
    CHECK_UINT(outcome.reserved, 0);
}

static void handed_and_too_large(wtgram_transport datagrams)
{
    wtgram_send_options options;
    wtgram_outcome outcome;
    static uint8_t big[70000];
    wtgram_send_options_init(&options);
    TEST("without a report_id nothing is reported: WOULD_BLOCK, and TIMED_OUT after a wait, with a zeroed outcome");
    CHECK_OK(wtgram_transport_send(datagrams, big, 10, &options));
    memset(&outcome, 0x55, sizeof outcome);
    CHECK_STATUS(wtgram_transport_next_outcome(datagrams, 0, &outcome), WTGRAM_ERROR_WOULD_BLOCK);
    CHECK(outcome.report_id == 0 && outcome.kind == 0);
    CHECK_STATUS(wtgram_transport_next_outcome(datagrams, 20 * MILLISECOND_US, &outcome), WTGRAM_ERROR_TIMED_OUT);
    TEST("a datagram that QUIC took is HANDED, one that is too large TOO_LARGE");
    options.report_id = 42;
    CHECK_OK(wtgram_transport_send(datagrams, big, 10, &options));
    expect(datagrams, 42, WTGRAM_OUTCOME_SENT);
    options.report_id = UINT64_MAX;
    CHECK_STATUS(wtgram_transport_send(datagrams, big, sizeof big, &options), WTGRAM_ERROR_TOO_LARGE);
    expect(datagrams, UINT64_MAX, WTGRAM_OUTCOME_TOO_LARGE);
    options.report_id = 43;
    CHECK_OK(wtgram_transport_send_json(datagrams, "[1]", 3, &options, NULL, 0));
    expect(datagrams, 43, WTGRAM_OUTCOME_SENT);
}

static void evicted_and_handed(wtgram_transport datagrams)
{
    /* Few enough for one lock: between the parts of a larger batch the lane may take some datagrams out. */
    enum { COUNT = 50, ROOM = 10 };
    wtgram_slice slices[COUNT];
    wtgram_outcome outcomes[COUNT];
    wtgram_send_options options;
    size_t accepted = 0, count = 0, got = 0;
    TEST("a batch of 50 into a queue of 10: 40 are EVICTED, 10 HANDED, each once");
    CHECK_OK(wtgram_transport_set_outgoing_limits(datagrams, ROOM, 1 << 20));
    for (size_t i = 0; i < COUNT; i++) slices[i].data = (const uint8_t *)"x", slices[i].length = 1;
    wtgram_send_options_init(&options);
    options.report_id = 7;
    CHECK_OK(wtgram_transport_send_batch(datagrams, slices, COUNT, &options, NULL, &accepted));
    CHECK_UINT(accepted, COUNT);
    while (got < COUNT) {
        CHECK_OK(wtgram_transport_next_outcomes(datagrams, PATIENCE_US, outcomes, COUNT, &count));
        CHECK(count >= 1 && count <= COUNT - got);
        for (size_t i = 0; i < count; i++, got++) {
            CHECK_UINT(outcomes[i].report_id, 7);
            CHECK_UINT(outcomes[i].kind, got < COUNT - ROOM ? WTGRAM_OUTCOME_EVICTED : WTGRAM_OUTCOME_SENT);
        }
    }
    count = 9;
    CHECK_STATUS(wtgram_transport_next_outcomes(datagrams, 0, outcomes, COUNT, &count), WTGRAM_ERROR_WOULD_BLOCK);
    CHECK_UINT(count, 0);
    CHECK_STATUS(wtgram_transport_next_outcomes(datagrams, 0, outcomes, 0, &count), WTGRAM_ERROR_INVALID_ARGUMENT);
    TEST("a queue that rejects takes 10 and reports 40 as REJECTED");
    CHECK_OK(wtgram_transport_set_outgoing_full_policy(datagrams, WTGRAM_FULL_REJECT));
    CHECK_STATUS(wtgram_transport_send_batch(datagrams, slices, COUNT, &options, NULL, &accepted),
                 WTGRAM_ERROR_QUEUE_FULL);
    CHECK_UINT(accepted, ROOM);
    for (got = 0; got < COUNT; got++) {
        expect(datagrams, 7, got < COUNT - ROOM ? WTGRAM_OUTCOME_REJECTED : WTGRAM_OUTCOME_SENT);
    }
    TEST("a TTL of a microsecond that has passed already is EXPIRED");
    options.ttl_us = 1;
    options.report_id = 8;
    do {
        wtgram_status status = wtgram_transport_send(datagrams, slices[0].data, 1, &options);
        CHECK(status == WTGRAM_OK || status == WTGRAM_ERROR_TIMED_OUT);
        CHECK_OK(wtgram_transport_next_outcome(datagrams, PATIENCE_US, outcomes));
        CHECK_UINT(outcomes[0].report_id, 8);
    } while (outcomes[0].kind != WTGRAM_OUTCOME_EXPIRED);
}

static void poller_reports(wtgram_transport datagrams)
{
    wtgram_poller poller;
    wtgram_event event;
    size_t count = 0;
    wtgram_send_options options;
    TEST("a poller reports WTGRAM_READY_OUTCOME while one waits, and no longer");
    CHECK_OK(wtgram_poller_new(&poller));
    CHECK_OK(wtgram_poller_add(poller, datagrams.id, WTGRAM_READY_OUTCOME, 5));
    CHECK_STATUS(wtgram_poller_wait(poller, 0, &event, 1, &count), WTGRAM_ERROR_WOULD_BLOCK);
    wtgram_send_options_init(&options);
    options.report_id = 9;
    CHECK_OK(wtgram_transport_send(datagrams, (const uint8_t *)"x", 1, &options));
    for (int i = 0; i < 2; i++) {
        CHECK_OK(wtgram_poller_wait(poller, PATIENCE_US, &event, 1, &count));
        CHECK(count == 1 && event.cookie == 5 && event.ready == WTGRAM_READY_OUTCOME);
    }
    expect(datagrams, 9, WTGRAM_OUTCOME_SENT);
    CHECK_STATUS(wtgram_poller_wait(poller, 0, &event, 1, &count), WTGRAM_ERROR_WOULD_BLOCK);
    wtgram_poller_free(poller);
}

static void places_are_bounded(void)
{
    struct pair pair;
    struct pair_options options;
    wtgram_transport_options transport;
    wtgram_send_options send;
    wtgram_transport_options_init(&transport);
    CHECK_UINT(transport.outcome_capacity, 1024);
    transport.outcome_capacity = 2;
    memset(&options, 0, sizeof options);
    options.transport = &transport;
    pair_open(&pair, &options);
    wtgram_send_options_init(&send);
    TEST("when all places for outcomes are taken, a datagram with a report_id is LIMIT_REACHED; others still go");
    for (send.report_id = 1; send.report_id <= 2; send.report_id++)
        CHECK_OK(wtgram_transport_send(pair.client_datagrams, (const uint8_t *)"x", 1, &send));
    CHECK_STATUS(wtgram_transport_send(pair.client_datagrams, (const uint8_t *)"x", 1, &send),
                 WTGRAM_ERROR_LIMIT_REACHED);
    CHECK_OK(wtgram_transport_send(pair.client_datagrams, (const uint8_t *)"x", 1, NULL));
    expect(pair.client_datagrams, 1, WTGRAM_OUTCOME_SENT);
    CHECK_OK(wtgram_transport_send(pair.client_datagrams, (const uint8_t *)"x", 1, &send));
    expect(pair.client_datagrams, 2, WTGRAM_OUTCOME_SENT);
    expect(pair.client_datagrams, 3, WTGRAM_OUTCOME_SENT);
    pair_free(&pair);
}

static wtgram_status wait_for_one(void *argument)
{
    wtgram_outcome outcome;
    return wtgram_transport_next_outcome(*(wtgram_transport *)argument, WTGRAM_FOREVER, &outcome);
}

static void close_wakes(wtgram_transport datagrams)
{
    struct blocked blocked;
    TEST("closing the transport wakes a call that waits for an outcome,");
    blocked_start(&blocked, wait_for_one, &datagrams);
    CHECK_OK(wtgram_transport_close(datagrams));
    blocked_expect(&blocked, WTGRAM_ERROR_CLOSED);
}

int main(void)
{
    struct pair pair;
    pair_open(&pair, NULL);
    handed_and_too_large(pair.client_datagrams);
    evicted_and_handed(pair.client_datagrams);
    poller_reports(pair.client_datagrams);
    places_are_bounded();
    close_wakes(pair.client_datagrams);
    pair_free(&pair);
    return 0;
}
