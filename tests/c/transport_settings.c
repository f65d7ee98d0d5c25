/* What can be changed while a transport runs: limits, policies, ages, water marks, and clearing the incoming queue. */
#include "check.h"
#include "pair.h"

static void ages(wtgram_transport datagrams)
{
    int64_t age = 9;
    TEST("max ages are none at first, and what was set is what is got; negative ones are refused");
    CHECK_OK(wtgram_transport_get_outgoing_max_age(datagrams, &age));
    CHECK_UINT(age, 0);
    CHECK_OK(wtgram_transport_get_incoming_max_age(datagrams, &age));
    CHECK_UINT(age, 0);
    CHECK_OK(wtgram_transport_set_outgoing_max_age(datagrams, 5 * SECOND_US));
    CHECK_OK(wtgram_transport_set_incoming_max_age(datagrams, 7 * SECOND_US));
    CHECK_OK(wtgram_transport_get_outgoing_max_age(datagrams, &age));
    CHECK_UINT(age, 5 * SECOND_US);
    CHECK_OK(wtgram_transport_get_incoming_max_age(datagrams, &age));
    CHECK_UINT(age, 7 * SECOND_US);
    CHECK_STATUS(wtgram_transport_set_outgoing_max_age(datagrams, -1), WTGRAM_ERROR_INVALID_ARGUMENT);
    CHECK_STATUS(wtgram_transport_set_incoming_max_age(datagrams, INT64_MIN), WTGRAM_ERROR_INVALID_ARGUMENT);
    CHECK_OK(wtgram_transport_set_outgoing_max_age(datagrams, INT64_MAX));
    CHECK_OK(wtgram_transport_set_outgoing_max_age(datagrams, 0));
    CHECK_OK(wtgram_transport_set_incoming_max_age(datagrams, 0));
    CHECK_OK(wtgram_transport_get_incoming_max_age(datagrams, &age));
    CHECK_UINT(age, 0);
}

static void limits_and_policies(wtgram_transport datagrams)
{
    uint64_t count = 0, bytes = 0;
    uint32_t policy = 9;
    TEST("limits are 100 datagrams and 4 MiB out, 4096 and 1 MiB in; a limit of no datagrams is refused");
    CHECK_OK(wtgram_transport_get_outgoing_limits(datagrams, &count, &bytes));
    CHECK_UINT(count, 100);
    CHECK_UINT(bytes, 4 << 20);
    CHECK_OK(wtgram_transport_get_incoming_limits(datagrams, &count, &bytes));
    CHECK_UINT(count, 4096);
    CHECK_UINT(bytes, 1 << 20);
    CHECK_STATUS(wtgram_transport_set_outgoing_limits(datagrams, 0, 1), WTGRAM_ERROR_INVALID_ARGUMENT);
    CHECK_STATUS(wtgram_transport_set_incoming_limits(datagrams, 0, 1), WTGRAM_ERROR_INVALID_ARGUMENT);
    CHECK_OK(wtgram_transport_set_outgoing_limits(datagrams, 10, 20000));
    CHECK_OK(wtgram_transport_get_outgoing_limits(datagrams, &count, &bytes));
    CHECK(count == 10 && bytes == 20000);
    CHECK_OK(wtgram_transport_set_incoming_limits(datagrams, 3, UINT64_MAX));
    CHECK_OK(wtgram_transport_get_incoming_limits(datagrams, &count, &bytes));
    CHECK(count == 3 && bytes == UINT64_MAX);
    TEST("policies are evict and drop oldest at first; unknown ones are refused");
    CHECK_OK(wtgram_transport_get_outgoing_full_policy(datagrams, &policy));
    CHECK_UINT(policy, WTGRAM_FULL_EVICT);
    CHECK_OK(wtgram_transport_get_incoming_drop_policy(datagrams, &policy));
    CHECK_UINT(policy, WTGRAM_DROP_OLDEST);
    CHECK_STATUS(wtgram_transport_set_outgoing_full_policy(datagrams, 3), WTGRAM_ERROR_INVALID_ARGUMENT);
    CHECK_STATUS(wtgram_transport_set_incoming_drop_policy(datagrams, 2), WTGRAM_ERROR_INVALID_ARGUMENT);
    for (uint32_t wanted = WTGRAM_FULL_REJECT; wanted <= WTGRAM_FULL_WAIT; wanted++) {
        CHECK_OK(wtgram_transport_set_outgoing_full_policy(datagrams, wanted));
        CHECK_OK(wtgram_transport_get_outgoing_full_policy(datagrams, &policy));
        CHECK_UINT(policy, wanted);
    }
    CHECK_OK(wtgram_transport_set_incoming_drop_policy(datagrams, WTGRAM_DROP_NEWEST));
    CHECK_OK(wtgram_transport_get_incoming_drop_policy(datagrams, &policy));
    CHECK_UINT(policy, WTGRAM_DROP_NEWEST);
}

static void water_marks(wtgram_transport datagrams)
{
    uint64_t mark = 0;
    wtgram_water_marks marks;
    TEST("the high-water mark is the limit, the low one half of it, until they are set");
    CHECK_OK(wtgram_transport_get_outgoing_high_water_mark(datagrams, &mark));
    CHECK_UINT(mark, 100);
    wtgram_water_marks_init(&marks);
    CHECK_OK(wtgram_transport_get_outgoing_water_marks(datagrams, &marks));
    CHECK(marks.high_datagrams == 100 && marks.low_datagrams == 50 && marks.high_bytes == UINT64_MAX);
    CHECK_OK(wtgram_transport_set_outgoing_high_water_mark(datagrams, 30));
    CHECK_OK(wtgram_transport_get_outgoing_water_marks(datagrams, &marks));
    CHECK(marks.high_datagrams == 30 && marks.low_datagrams == 15);
    marks.high_datagrams = 40;
    marks.low_datagrams = 1;
    marks.high_bytes = 5000;
    marks.low_bytes = 100;
    CHECK_OK(wtgram_transport_set_outgoing_water_marks(datagrams, &marks));
    wtgram_water_marks_init(&marks);
    CHECK_OK(wtgram_transport_get_outgoing_water_marks(datagrams, &marks));
    CHECK(marks.high_datagrams == 40 && marks.low_datagrams == 1 && marks.high_bytes == 5000 && marks.low_bytes == 100);
    CHECK_OK(wtgram_transport_set_outgoing_water_marks(datagrams, NULL));
    CHECK_OK(wtgram_transport_get_outgoing_high_water_mark(datagrams, &mark));
    CHECK_UINT(mark, 100);
    CHECK_STATUS(wtgram_transport_set_outgoing_high_water_mark(datagrams, 0), WTGRAM_ERROR_INVALID_ARGUMENT);
    marks.high_bytes = 0;
    CHECK_STATUS(wtgram_transport_set_outgoing_water_marks(datagrams, &marks), WTGRAM_ERROR_INVALID_ARGUMENT);
    marks.struct_size = 1;
    CHECK_STATUS(wtgram_transport_get_outgoing_water_marks(datagrams, &marks), WTGRAM_ERROR_INVALID_ARGUMENT);
    CHECK_STATUS(wtgram_transport_set_outgoing_water_marks(datagrams, &marks), WTGRAM_ERROR_INVALID_ARGUMENT);
}

static void options_of_the_session(void)
{
    struct pair pair;
    wtgram_transport_options transport;
    wtgram_transport_options_init(&transport);
    transport.outgoing_high_water_mark = 8;
    transport.outgoing_max_age_us = 1000;
    transport.incoming_max_datagrams = 5;
    struct pair_options options;
    memset(&options, 0, sizeof options);
    options.transport = &transport;
    pair_open(&pair, &options);
    TEST("what the options of connect and listen say is what the transports begin with");
    uint64_t mark = 0, count = 0, bytes = 0;
    int64_t age = 0;
    CHECK_OK(wtgram_transport_get_outgoing_high_water_mark(pair.client_datagrams, &mark));
    CHECK_UINT(mark, 8);
    CHECK_OK(wtgram_transport_get_outgoing_max_age(pair.accepted_datagrams, &age));
    CHECK_UINT(age, 1000);
    CHECK_OK(wtgram_transport_get_incoming_limits(pair.accepted_datagrams, &count, &bytes));
    CHECK_UINT(count, 5);
    TEST("no places for outcomes, or no place for datagrams, is refused");
    transport.outcome_capacity = 0;
    wtgram_listen_options listen;
    wtgram_server server;
    wtgram_listen_options_init(&listen);
    listen.transport = &transport;
    CHECK_STATUS(wtgram_server_listen(&listen, &server, NULL, 0), WTGRAM_ERROR_INVALID_ARGUMENT);
    pair_free(&pair);
}

static void receive_queue(const struct pair *pair)
{
    uint64_t size = 0, cleared = 0;
    TEST("the receive queue says how much it holds and can be emptied, counted");
    for (int i = 0; i < 6; i++)
        CHECK_OK(wtgram_transport_send(pair->client_datagrams, (const uint8_t *)"abc", 3, NULL));
    for (int64_t end = now_us() + PATIENCE_US; size < 6 && now_us() < end; sleep_us(MILLISECOND_US))
        CHECK_OK(wtgram_transport_get_receive_buffer_size(pair->accepted_datagrams, &size));
    CHECK_UINT(size, 6);
    wtgram_queue_stats queues;
    wtgram_queue_stats_init(&queues);
    CHECK_OK(wtgram_transport_get_queue_stats(pair->accepted_datagrams, &queues));
    CHECK(queues.incoming_datagrams == 6 && queues.incoming_bytes == 18);
    CHECK(queues.incoming_max_datagrams == 4096 && queues.incoming_max_bytes == 1 << 20);
    CHECK(queues.outgoing_max_datagrams == 100 && queues.outgoing_max_bytes == 4 << 20);
    CHECK_OK(wtgram_transport_set_incoming_limits(pair->accepted_datagrams, 4, 1000));
    CHECK_OK(wtgram_transport_clear_receive_buffer(pair->accepted_datagrams, &cleared));
    CHECK_UINT(cleared, 4);
    wtgram_transport_stats stats;
    wtgram_transport_stats_init(&stats);
    CHECK_OK(wtgram_transport_get_stats(pair->accepted_datagrams, &stats));
    CHECK(stats.receive_cleared == 4 && stats.receive_dropped_full == 2 && stats.receive_queued == 0);
    CHECK_UINT(stats.receive_drops, 6);
}

int main(void)
{
    struct pair pair;
    pair_open(&pair, NULL);
    ages(pair.client_datagrams);
    water_marks(pair.client_datagrams);
    receive_queue(&pair);
    limits_and_policies(pair.client_datagrams);
    options_of_the_session();
    pair_free(&pair);
    return 0;
}
