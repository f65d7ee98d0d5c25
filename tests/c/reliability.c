/* The reliability layer: each of its exported functions, as documented, and with bad input. */
#include "blocked.h"
#include "check.h"
#include "pair.h"

enum { COUNT = 500, SIZE = 100 };

struct layers {
    wtgram_reliability near_end, far_end;
};

static void open_both(const struct pair *pair, struct layers *layers)
{
    CHECK_OK(wtgram_reliability_open_over_transport(pair->client_datagrams, NULL, &layers->near_end));
    CHECK_OK(wtgram_reliability_open_over_session(pair->accepted, NULL, &layers->far_end));
}

static void free_both(const struct layers *layers)
{
    wtgram_reliability_free(layers->near_end);
    wtgram_reliability_free(layers->far_end);
}

/* Sends within `timeout_us`. The outcome is reported under `report_id`, unless that is 0. */
static wtgram_status send_within(wtgram_reliability layer, const void *data, size_t length, int64_t timeout_us,
                                 uint64_t report_id)
{
    wtgram_send_options options;
    wtgram_send_options_init(&options);
    options.timeout_us = timeout_us;
    options.report_id = report_id;
    return wtgram_reliability_send(layer, (const uint8_t *)data, length, &options);
}

static void receive_is(wtgram_reliability layer, const void *expected, size_t expected_length)
{
    uint8_t buffer[SIZE];
    size_t length = 0;
    CHECK_OK(wtgram_reliability_receive(layer, PATIENCE_US, buffer, sizeof buffer, &length));
    CHECK_UINT(length, expected_length);
    CHECK_BYTES(buffer, expected, length);
}

static void options_have_the_documented_defaults(void)
{
    wtgram_reliability_options options;
    TEST("options have the documented defaults, and NULL is ignored");
    wtgram_reliability_options_init(NULL);
    wtgram_reliability_options_init(&options);
    CHECK_UINT(options.struct_size, sizeof options);
    CHECK_UINT(options.ack_timeout_us, 2 * SECOND_US);
    CHECK_UINT(options.max_retries, 5);
    CHECK_UINT(options.window_messages, 1024);
    CHECK_UINT(options.window_bytes, 1 << 20);
    CHECK_UINT(options.inbound_messages, 4096);
    CHECK_UINT(options.inbound_bytes, 1 << 20);
    CHECK_UINT(options.negotiation, WTGRAM_NEGOTIATION_AUTO);
    CHECK_UINT(options.first_sequence, 0);
}

static void messages_arrive_once_and_each_has_one_outcome(const struct pair *pair)
{
    struct layers layers;
    static uint8_t seen[COUNT], settled[COUNT];
    wtgram_reliability_outcome outcomes[64];
    wtgram_reliability_stats stats;
    TEST("500 messages arrive, each once, and each has one outcome");
    open_both(pair, &layers);
    for (uint64_t i = 0; i < COUNT; i++) CHECK_OK(send_within(layers.near_end, &i, sizeof i, PATIENCE_US, i + 1));
    for (int i = 0; i < COUNT; i++) {
        uint64_t number = COUNT;
        size_t length = 0;
        CHECK_OK(wtgram_reliability_receive(layers.far_end, PATIENCE_US, (uint8_t *)&number, sizeof number, &length));
        CHECK(length == sizeof number && number < COUNT && !seen[number]);
        seen[number] = 1;
    }
    for (size_t fetched = 0; fetched < COUNT;) {
        size_t count = 0;
        CHECK_OK(wtgram_reliability_next_outcomes(layers.near_end, PATIENCE_US, outcomes, 64, &count));
        CHECK(count >= 1 && count <= 64);
        for (size_t i = 0; i < count; i++) {
            uint64_t number = outcomes[i].report_id - 1;
            CHECK(number < COUNT && !settled[number]);
            settled[number] = 1;
            CHECK_UINT(outcomes[i].kind, WTGRAM_RELIABILITY_ACKNOWLEDGED);
            CHECK(outcomes[i].transmissions >= 1 && outcomes[i].elapsed_us > 0);
        }
        fetched += count;
    }
    CHECK_STATUS(wtgram_reliability_next_outcome(layers.near_end, 0, outcomes), WTGRAM_ERROR_WOULD_BLOCK);
    CHECK_UINT(outcomes[0].report_id, 0);

    TEST("statistics add up on both sides");
    wtgram_reliability_stats_init(NULL);
    wtgram_reliability_stats_init(&stats);
    CHECK_OK(wtgram_reliability_get_stats(layers.near_end, &stats));
    CHECK_UINT(stats.struct_size, sizeof stats);
    CHECK_UINT(stats.submitted, COUNT);
    CHECK_UINT(stats.acknowledged, COUNT);
    CHECK_UINT(stats.gave_up + stats.too_large + stats.closed + stats.unresolved + stats.unresolved_bytes, 0);
    CHECK_UINT(stats.transmissions, COUNT + stats.early_retransmits + stats.timer_retransmits);
    CHECK(stats.bytes_transmitted >= COUNT * sizeof(uint64_t) && stats.rtt_us > 0 && stats.rto_us > 0);
    CHECK_UINT(stats.negotiated, 1);
    CHECK_OK(wtgram_reliability_get_stats(layers.far_end, &stats));
    CHECK_UINT(stats.received, COUNT);
    CHECK_UINT(stats.delivered, COUNT);
    CHECK_UINT(stats.receive_queued, 0);

    TEST("a message without a report_id has no outcome to fetch, and the try forms do not wait");
    CHECK_OK(wtgram_reliability_try_send(layers.near_end, (const uint8_t *)"quiet", 5, NULL));
    receive_is(layers.far_end, "quiet", 5);
    wtgram_send_options reported;
    wtgram_send_options_init(&reported);
    reported.report_id = 77;
    CHECK_OK(wtgram_reliability_try_send(layers.near_end, (const uint8_t *)"loud", 4, &reported));
    CHECK_OK(wtgram_reliability_next_outcome(layers.near_end, PATIENCE_US, outcomes));
    CHECK_UINT(outcomes[0].report_id, 77);
    uint8_t buffer[SIZE];
    size_t length = 99;
    CHECK_OK(wtgram_reliability_try_receive(layers.far_end, buffer, sizeof buffer, &length));
    CHECK_BYTES(buffer, "loud", 4);
    CHECK_STATUS(wtgram_reliability_try_receive(layers.far_end, buffer, sizeof buffer, &length),
                 WTGRAM_ERROR_WOULD_BLOCK);
    CHECK_UINT(length, 0);
    CHECK_STATUS(wtgram_reliability_receive(layers.far_end, MILLISECOND_US, buffer, sizeof buffer, &length),
                 WTGRAM_ERROR_TIMED_OUT);

    TEST("an empty message is a message, and its data pointer may be NULL");
    CHECK_OK(send_within(layers.near_end, NULL, 0, PATIENCE_US, 0));
    length = 99;
    CHECK_OK(wtgram_reliability_receive(layers.far_end, PATIENCE_US, NULL, 0, &length));
    CHECK_UINT(length, 0);

    TEST("a buffer that is too small is told what is needed, and loses nothing");
    CHECK_OK(send_within(layers.near_end, "0123456789", 10, PATIENCE_US, 0));
    CHECK_STATUS(wtgram_reliability_receive(layers.far_end, PATIENCE_US, buffer, 9, &length),
                 WTGRAM_ERROR_BUFFER_TOO_SMALL);
    CHECK_UINT(length, 10);
    receive_is(layers.far_end, "0123456789", 10);
    free_both(&layers);
}

static void sizes_and_windows(const struct pair *pair)
{
    static const uint8_t data[65536] = {0};
    wtgram_reliability_options options;
    wtgram_reliability layer;
    wtgram_status status = WTGRAM_OK;
    size_t largest = 0;
    TEST("the largest message is accepted, one that no path carries is TOO_LARGE");
    CHECK_OK(wtgram_reliability_open_with(pair->client_datagrams, SECOND_US, 3, &layer));
    CHECK_OK(wtgram_reliability_get_max_message_size(layer, &largest));
    CHECK(largest > 1000 && largest < 65000);
    CHECK_STATUS(send_within(layer, data, sizeof data, 0, 0), WTGRAM_ERROR_TOO_LARGE);
    CHECK_OK(send_within(layer, data, largest, 0, 0));
    TEST("one transport carries one layer at a time");
    wtgram_reliability second = {99};
    CHECK_STATUS(wtgram_reliability_open_over_session(pair->client, NULL, &second), WTGRAM_ERROR_INVALID_STATE);
    CHECK_UINT(second.id, 0);
    wtgram_reliability_free(layer);
    TEST("a full window is WOULD_BLOCK or TIMED_OUT");
    wtgram_reliability_options_init(&options);
    options.window_messages = 3;
    CHECK_OK(wtgram_reliability_open_over_transport(pair->client_datagrams, &options, &layer));
    for (int i = 0; i < 3; i++) CHECK_OK(wtgram_reliability_try_send(layer, data, 1, NULL));
    CHECK_STATUS(wtgram_reliability_try_send(layer, data, 1, NULL), WTGRAM_ERROR_WOULD_BLOCK);
    CHECK_STATUS(send_within(layer, data, 1, MILLISECOND_US, 0), WTGRAM_ERROR_TIMED_OUT);
    wtgram_reliability_free(layer);
    TEST("a message that nobody acknowledges is given up, not before its time");
    wtgram_reliability_options_init(&options);
    options.ack_timeout_us = 100 * MILLISECOND_US;
    options.max_retries = 1;
    CHECK_OK(wtgram_reliability_open_over_transport(pair->client_datagrams, &options, &layer));
    wtgram_reliability_outcome outcome;
    CHECK_OK(send_within(layer, data, 1, 0, 5));
    status = wtgram_reliability_next_outcome(layer, PATIENCE_US, &outcome);
    CHECK_OK(status);
    CHECK_UINT(outcome.report_id, 5);
    CHECK_UINT(outcome.kind, WTGRAM_RELIABILITY_GAVE_UP);
    CHECK(outcome.elapsed_us >= 200 * MILLISECOND_US && outcome.transmissions >= 2);
    wtgram_reliability_free(layer);
}

static void the_factory_s_parameters(const struct pair *pair)
{
    wtgram_reliability layer;
    wtgram_reliability_outcome outcome;
    TEST("a layer from create gives up as its two parameters say");
    CHECK_OK(wtgram_reliability_open_with(pair->client_datagrams, 50 * MILLISECOND_US, 1, &layer));
    CHECK_OK(send_within(layer, "x", 1, 0, 5));
    CHECK_OK(wtgram_reliability_next_outcome(layer, PATIENCE_US, &outcome));
    CHECK_UINT(outcome.kind, WTGRAM_RELIABILITY_GAVE_UP);
    /* With pywebtransport's defaults, 1 s and 3, it would take at least 4 s; with those of open, 12 s. */
    CHECK(outcome.elapsed_us >= 100 * MILLISECOND_US && outcome.transmissions >= 2);
    wtgram_reliability_free(layer);
    CHECK_OK(wtgram_reliability_open_with(pair->client_datagrams, 400 * MILLISECOND_US, 0, &layer));
    CHECK_OK(send_within(layer, "x", 1, 0, 6));
    CHECK_OK(wtgram_reliability_next_outcome(layer, PATIENCE_US, &outcome));
    CHECK_UINT(outcome.kind, WTGRAM_RELIABILITY_GAVE_UP);
    CHECK(outcome.elapsed_us >= 400 * MILLISECOND_US);
    wtgram_reliability_free(layer);
}

static void ttl_and_negotiation(void)
{
    struct pair pair;
    wtgram_reliability_options options;
    wtgram_reliability near_end, far_end;
    wtgram_send_options short_lived;
    wtgram_reliability_outcome outcome;
    wtgram_reliability_stats stats;
    pair_open(&pair, NULL);
    wtgram_reliability_options_init(&options);
    options.negotiation = WTGRAM_NEGOTIATION_REQUIRED;
    TEST("a message whose TTL passes first has the outcome EXPIRED");
    CHECK_OK(wtgram_reliability_open_over_transport(pair.client_datagrams, &options, &near_end));
    wtgram_send_options_init(&short_lived);
    short_lived.ttl_us = 1;
    short_lived.priority = 2;
    short_lived.report_id = 9;
    CHECK_OK(wtgram_reliability_send(near_end, (const uint8_t *)"late", 4, &short_lived));
    CHECK_OK(wtgram_reliability_next_outcome(near_end, PATIENCE_US, &outcome));
    CHECK(outcome.report_id == 9 && outcome.kind == WTGRAM_RELIABILITY_EXPIRED && outcome.transmissions == 0);
    wtgram_reliability_stats_init(&stats);
    CHECK_OK(wtgram_reliability_get_stats(near_end, &stats));
    CHECK_UINT(stats.expired, 1);
    CHECK_UINT(stats.submitted, 1);

    TEST("the report of an object over a layer comes from the layer");
    wtgram_object_type type;
    memset(&type, 0, sizeof type);
    type.type_id = 1;
    wtgram_structured objects;
    CHECK_OK(wtgram_structured_open_over_reliability(near_end, &type, 1, NULL, &objects));
    short_lived.report_id = 10;
    CHECK_OK(wtgram_structured_send(objects, 1, (const uint8_t *)"1", 1, &short_lived));
    CHECK_OK(wtgram_reliability_next_outcome(near_end, PATIENCE_US, &outcome));
    CHECK(outcome.report_id == 10 && outcome.kind == WTGRAM_RELIABILITY_EXPIRED);

    TEST("layers that require the negotiation never take plain frames: they are the program's own");
    CHECK_OK(wtgram_reliability_open_over_session(pair.accepted, &options, &far_end));
    CHECK_OK(wtgram_reliability_send(near_end, (const uint8_t *)"message", 7, NULL));
    CHECK_OK(wtgram_transport_send(pair.client_datagrams, (const uint8_t *)"\004DATA\0\0\0\0mine", 13, NULL));
    receive_is(far_end, "message", 7);
    uint8_t buffer[SIZE];
    size_t length = 0;
    /* A HELLO that arrived before this side had a layer goes to the reader, too. */
    do {
        CHECK_OK(wtgram_transport_receive(pair.accepted_datagrams, PATIENCE_US, buffer, sizeof buffer, &length));
    } while (length > 7 && memcmp(buffer, "\006WTGRAM", 7) == 0);
    CHECK_UINT(length, 13);
    CHECK_BYTES(buffer, "\004DATA\0\0\0\0mine", 13);
    wtgram_reliability_stats_init(&stats);
    CHECK_OK(wtgram_reliability_get_stats(far_end, &stats));
    CHECK_UINT(stats.plain_left, 1);
    CHECK_UINT(stats.plain_taken, 0);
    CHECK_UINT(stats.takes_plain, 0);
    wtgram_structured_free(objects);
    wtgram_reliability_free(near_end);
    wtgram_reliability_free(far_end);
    pair_free(&pair);
}

static wtgram_status wait_for_a_message(void *layer)
{
    uint8_t buffer[SIZE];
    size_t length;
    return wtgram_reliability_receive(*(wtgram_reliability *)layer, WTGRAM_FOREVER, buffer, sizeof buffer, &length);
}

static wtgram_status wait_for_an_outcome(void *layer)
{
    wtgram_reliability_outcome outcome;
    return wtgram_reliability_next_outcome(*(wtgram_reliability *)layer, WTGRAM_FOREVER, &outcome);
}

static void a_poller_says_when_each_message_has_its_outcome(const struct pair *pair)
{
    struct layers layers;
    wtgram_poller poller;
    wtgram_event event;
    size_t count = 0;
    TEST("a poller says when each message has its outcome");
    CHECK_OK(wtgram_reliability_open_over_session(pair->client, NULL, &layers.near_end));
    CHECK_OK(wtgram_poller_new(&poller));
    CHECK_OK(wtgram_poller_add(poller, layers.near_end.id, WTGRAM_READY_SETTLED, 7));
    CHECK_OK(wtgram_poller_wait(poller, 0, &event, 1, &count));
    CHECK_OK(send_within(layers.near_end, "x", 1, 0, 0));
    CHECK_STATUS(wtgram_poller_wait(poller, 0, &event, 1, &count), WTGRAM_ERROR_WOULD_BLOCK);
    CHECK_OK(wtgram_reliability_open_over_session(pair->accepted, NULL, &layers.far_end));
    CHECK_OK(wtgram_poller_wait(poller, PATIENCE_US, &event, 1, &count));
    CHECK(count == 1 && event.cookie == 7 && event.ready == WTGRAM_READY_SETTLED);
    receive_is(layers.far_end, "x", 1);
    CHECK_STATUS(wtgram_poller_add(poller, pair->client.id, WTGRAM_READY_SETTLED, 0), WTGRAM_ERROR_INVALID_ARGUMENT);
    wtgram_poller_free(poller);
    free_both(&layers);
}

static void closing(const struct pair *pair)
{
    struct layers layers;
    struct blocked blocked[2];
    bool closed = true;
    wtgram_reliability_outcome outcome;
    TEST("closing drains, wakes who waits, and what had arrived can still be received");
    open_both(pair, &layers);
    CHECK_OK(wtgram_reliability_is_closed(layers.near_end, &closed));
    CHECK(!closed);
    CHECK_OK(send_within(layers.near_end, "last", 4, 0, 1));
    CHECK_OK(wtgram_reliability_next_outcome(layers.near_end, PATIENCE_US, &outcome));
    CHECK_OK(send_within(layers.near_end, "words", 5, 0, 2));
    blocked_start(&blocked[0], wait_for_a_message, &layers.near_end);
    CHECK_OK(wtgram_reliability_next_outcome(layers.near_end, PATIENCE_US, &outcome));
    blocked_start(&blocked[1], wait_for_an_outcome, &layers.near_end);
    CHECK_OK(wtgram_reliability_close(layers.near_end, PATIENCE_US));
    for (int i = 0; i < 2; i++) blocked_expect(&blocked[i], WTGRAM_ERROR_CLOSED);
    CHECK_OK(wtgram_reliability_is_closed(layers.near_end, &closed));
    CHECK(closed);
    CHECK_STATUS(wtgram_reliability_try_send(layers.near_end, (const uint8_t *)"x", 1, NULL), WTGRAM_ERROR_CLOSED);
    CHECK_OK(wtgram_reliability_close(layers.far_end, 0));
    receive_is(layers.far_end, "last", 4);
    receive_is(layers.far_end, "words", 5);
    CHECK_STATUS(wait_for_a_message(&layers.far_end), WTGRAM_ERROR_CLOSED);
    CHECK_OK(wtgram_reliability_close(layers.far_end, 0));
    free_both(&layers);

    TEST("closing with a message under way that nobody acknowledges gives it its outcome");
    CHECK_OK(wtgram_reliability_open_over_session(pair->client, NULL, &layers.near_end));
    CHECK_OK(send_within(layers.near_end, "x", 1, 0, 9));
    CHECK_STATUS(wtgram_reliability_close(layers.near_end, 10 * MILLISECOND_US), WTGRAM_ERROR_TIMED_OUT);
    CHECK_OK(wtgram_reliability_next_outcome(layers.near_end, PATIENCE_US, &outcome));
    CHECK(outcome.report_id == 9 && outcome.kind == WTGRAM_RELIABILITY_CLOSED);
    CHECK_STATUS(wtgram_reliability_next_outcome(layers.near_end, PATIENCE_US, &outcome), WTGRAM_ERROR_CLOSED);
    wtgram_reliability_free(layers.near_end);
}

static void bad_input(const struct pair *pair)
{
    struct layers layers;
    wtgram_reliability_options options;
    wtgram_reliability_stats stats;
    wtgram_reliability_outcome outcome;
    wtgram_reliability layer;
    uint8_t buffer[SIZE];
    size_t count = 0;
    bool closed;
    TEST("options that make no sense are INVALID_ARGUMENT and open nothing");
    for (int i = 0; i < 10; i++) {
        wtgram_reliability_options_init(&options);
        if (i == 0) options.struct_size = 0;
        if (i == 1) options.struct_size = 4096;
        if (i == 2) options.ack_timeout_us = 0;
        if (i == 3) options.ack_timeout_us = -1;
        if (i == 4) options.ack_timeout_us = INT64_MAX;
        if (i == 5) options.window_messages = 0;
        if (i == 6) options.window_bytes = 0;
        if (i == 7) options.inbound_messages = 0;
        if (i == 8) options.inbound_bytes = 0;
        if (i == 9) options.negotiation = WTGRAM_NEGOTIATION_OFF + 1;
        layer.id = 99;
        CHECK_STATUS(wtgram_reliability_open_over_transport(pair->client_datagrams, &options, &layer),
                     WTGRAM_ERROR_INVALID_ARGUMENT);
        CHECK_UINT(layer.id, 0);
        CHECK_STATUS(wtgram_reliability_open_over_session(pair->client, &options, &layer),
                     WTGRAM_ERROR_INVALID_ARGUMENT);
    }
    layer.id = 99;
    CHECK_STATUS(wtgram_reliability_open_with(pair->client_datagrams, 0, 3, &layer), WTGRAM_ERROR_INVALID_ARGUMENT);
    CHECK_STATUS(wtgram_reliability_open_with(pair->client_datagrams, -1, 3, &layer), WTGRAM_ERROR_INVALID_ARGUMENT);
    CHECK_UINT(layer.id, 0);
    TEST("NULL where something must be, and negative times, are INVALID_ARGUMENT");
    CHECK_STATUS(wtgram_reliability_open_over_transport(pair->client_datagrams, NULL, NULL),
                 WTGRAM_ERROR_INVALID_ARGUMENT);
    CHECK_STATUS(wtgram_reliability_open_over_session(pair->client, NULL, NULL), WTGRAM_ERROR_INVALID_ARGUMENT);
    CHECK_STATUS(wtgram_reliability_open_with(pair->client_datagrams, SECOND_US, 3, NULL),
                 WTGRAM_ERROR_INVALID_ARGUMENT);
    open_both(pair, &layers);
    CHECK_STATUS(wtgram_reliability_send(layers.near_end, NULL, 1, NULL), WTGRAM_ERROR_INVALID_ARGUMENT);
    CHECK_STATUS(send_within(layers.near_end, buffer, 1, -2, 0), WTGRAM_ERROR_INVALID_ARGUMENT);
    CHECK_STATUS(wtgram_reliability_try_send(layers.near_end, NULL, 1, 0), WTGRAM_ERROR_INVALID_ARGUMENT);
    CHECK_STATUS(wtgram_reliability_receive(layers.near_end, 0, NULL, 1, &count), WTGRAM_ERROR_INVALID_ARGUMENT);
    CHECK_STATUS(wtgram_reliability_receive(layers.near_end, 0, buffer, 1, NULL), WTGRAM_ERROR_INVALID_ARGUMENT);
    CHECK_STATUS(wtgram_reliability_receive(layers.near_end, -2, buffer, 1, &count), WTGRAM_ERROR_INVALID_ARGUMENT);
    CHECK_STATUS(wtgram_reliability_try_receive(layers.near_end, buffer, 1, NULL), WTGRAM_ERROR_INVALID_ARGUMENT);
    CHECK_STATUS(wtgram_reliability_get_max_message_size(layers.near_end, NULL), WTGRAM_ERROR_INVALID_ARGUMENT);
    CHECK_STATUS(wtgram_reliability_is_closed(layers.near_end, NULL), WTGRAM_ERROR_INVALID_ARGUMENT);
    CHECK_STATUS(wtgram_reliability_next_outcome(layers.near_end, 0, NULL), WTGRAM_ERROR_INVALID_ARGUMENT);
    CHECK_STATUS(wtgram_reliability_next_outcome(layers.near_end, -2, &outcome), WTGRAM_ERROR_INVALID_ARGUMENT);
    CHECK_STATUS(wtgram_reliability_next_outcomes(layers.near_end, 0, NULL, 1, &count), WTGRAM_ERROR_INVALID_ARGUMENT);
    CHECK_STATUS(wtgram_reliability_next_outcomes(layers.near_end, 0, &outcome, 0, &count),
                 WTGRAM_ERROR_INVALID_ARGUMENT);
    CHECK_STATUS(wtgram_reliability_next_outcomes(layers.near_end, 0, &outcome, 1, NULL),
                 WTGRAM_ERROR_INVALID_ARGUMENT);
    CHECK_STATUS(wtgram_reliability_get_stats(layers.near_end, NULL), WTGRAM_ERROR_INVALID_ARGUMENT);
    for (int i = 0; i < 2; i++) {
        wtgram_reliability_stats_init(&stats);
        stats.struct_size = i == 0 ? 0 : 4096;
        CHECK_STATUS(wtgram_reliability_get_stats(layers.near_end, &stats), WTGRAM_ERROR_INVALID_ARGUMENT);
    }
    CHECK_STATUS(wtgram_reliability_close(layers.near_end, -2), WTGRAM_ERROR_INVALID_ARGUMENT);
    free_both(&layers);

    TEST("a freed handle, none, and a foreign one are INVALID_HANDLE from every function");
    wtgram_reliability bad[3];
    bad[0] = layers.near_end;
    bad[1].id = 0;
    bad[2].id = pair->client.id;
    for (int i = 0; i < 3; i++) {
        wtgram_reliability_stats_init(&stats);
        CHECK_STATUS(wtgram_reliability_send(bad[i], buffer, 1, NULL), WTGRAM_ERROR_INVALID_HANDLE);
        CHECK_STATUS(wtgram_reliability_try_send(bad[i], buffer, 1, NULL), WTGRAM_ERROR_INVALID_HANDLE);
        CHECK_STATUS(wtgram_reliability_receive(bad[i], 0, buffer, 1, &count), WTGRAM_ERROR_INVALID_HANDLE);
        CHECK_STATUS(wtgram_reliability_try_receive(bad[i], buffer, 1, &count), WTGRAM_ERROR_INVALID_HANDLE);
        CHECK_STATUS(wtgram_reliability_get_max_message_size(bad[i], &count), WTGRAM_ERROR_INVALID_HANDLE);
        CHECK_STATUS(wtgram_reliability_is_closed(bad[i], &closed), WTGRAM_ERROR_INVALID_HANDLE);
        CHECK_STATUS(wtgram_reliability_next_outcome(bad[i], 0, &outcome), WTGRAM_ERROR_INVALID_HANDLE);
        CHECK_STATUS(wtgram_reliability_next_outcomes(bad[i], 0, &outcome, 1, &count), WTGRAM_ERROR_INVALID_HANDLE);
        CHECK_STATUS(wtgram_reliability_get_stats(bad[i], &stats), WTGRAM_ERROR_INVALID_HANDLE);
        CHECK_STATUS(wtgram_reliability_close(bad[i], 0), WTGRAM_ERROR_INVALID_HANDLE);
        wtgram_reliability_free(bad[i]);
    }
    wtgram_transport no_transport = {0};
    wtgram_session no_session = {0};
    CHECK_STATUS(wtgram_reliability_open_over_transport(no_transport, NULL, &layer), WTGRAM_ERROR_INVALID_HANDLE);
    CHECK_STATUS(wtgram_reliability_open_over_session(no_session, NULL, &layer), WTGRAM_ERROR_INVALID_HANDLE);
    CHECK_STATUS(wtgram_reliability_open_with(no_transport, SECOND_US, 3, &layer), WTGRAM_ERROR_INVALID_HANDLE);
}

static void the_session_s_end(struct pair *pair)
{
    struct layers layers;
    bool closed = false;
    int64_t until_us = now_us() + PATIENCE_US;
    size_t size;
    TEST("the end of the session is the end of both layers, and none can be opened on it");
    open_both(pair, &layers);
    CHECK_OK(wtgram_session_close(pair->client, 0, NULL, 0));
    while (!closed) {
        CHECK(now_us() < until_us);
        CHECK_OK(wtgram_reliability_is_closed(layers.far_end, &closed));
        sleep_us(MILLISECOND_US);
    }
    CHECK_STATUS(wait_for_a_message(&layers.far_end), WTGRAM_ERROR_CLOSED);
    CHECK_STATUS(wait_for_an_outcome(&layers.far_end), WTGRAM_ERROR_CLOSED);
    CHECK_STATUS(wtgram_reliability_get_max_message_size(layers.near_end, &size), WTGRAM_ERROR_CLOSED);
    wtgram_reliability layer;
    CHECK_STATUS(wtgram_reliability_open_over_session(pair->client, NULL, &layer), WTGRAM_ERROR_CLOSED);
    CHECK_STATUS(wtgram_reliability_open_with(pair->client_datagrams, SECOND_US, 3, &layer), WTGRAM_ERROR_CLOSED);
    free_both(&layers);
}

int main(void)
{
    struct pair pair, late, quiet;
    options_have_the_documented_defaults();
    pair_open(&pair, NULL);
    messages_arrive_once_and_each_has_one_outcome(&pair);
    closing(&pair);
    bad_input(&pair);
    pair_open(&late, NULL);
    a_poller_says_when_each_message_has_its_outcome(&late);
    pair_free(&late);
    /* Here the other end never opens a layer. */
    pair_open(&quiet, NULL);
    sizes_and_windows(&quiet);
    the_factory_s_parameters(&quiet);
    pair_free(&quiet);
    ttl_and_negotiation();
    the_session_s_end(&pair);
    pair_free(&pair);
    CHECK_OK(wtgram_shutdown(PATIENCE_US));
    return 0;
}
