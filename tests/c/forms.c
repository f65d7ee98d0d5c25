/* Priority, TTL and report id of an object or a broadcast, in each form: over a transport, a session, a layer. */
#include "check.h"
#include "pair.h"

static wtgram_send_options short_lived(uint64_t report_id)
{
    wtgram_send_options options;
    wtgram_send_options_init(&options);
    options.priority = 1;
    options.ttl_us = 1;
    options.report_id = report_id;
    return options;
}

/* Repeats, because QUIC may take an object within its TTL of a microsecond. */
static void expires_over_a_transport(wtgram_structured objects, wtgram_transport transport)
{
    const wtgram_send_options options = short_lived(7);
    wtgram_outcome outcome;
    do {
        wtgram_status status = wtgram_structured_send(objects, 1, (const uint8_t *)"1", 1, &options);
        CHECK(status == WTGRAM_OK || status == WTGRAM_ERROR_TIMED_OUT);
        CHECK_OK(wtgram_transport_next_outcome(transport, PATIENCE_US, &outcome));
        CHECK_UINT(outcome.report_id, 7);
    } while (outcome.kind != WTGRAM_OUTCOME_EXPIRED);
}

static void a_ttl_ends_what_is_not_sent(void)
{
    struct pair pair;
    wtgram_object_type type;
    wtgram_structured objects;
    wtgram_reliability layer;
    wtgram_reliability_options required;
    wtgram_reliability_outcome outcome;
    wtgram_broadcaster broadcaster;
    size_t accepted = 0;
    memset(&type, 0, sizeof type);
    type.type_id = 1;
    pair_open(&pair, NULL);
    TEST("over a session and over a transport the transport has the outcome");
    CHECK_OK(wtgram_structured_open_over_session(pair.client, &type, 1, NULL, &objects));
    expires_over_a_transport(objects, pair.client_datagrams);
    wtgram_structured_free(objects);
    CHECK_OK(wtgram_structured_open_over_transport(pair.client_datagrams, &type, 1, NULL, &objects));
    expires_over_a_transport(objects, pair.client_datagrams);
    wtgram_structured_free(objects);
    TEST("over a layer the layer has it");
    wtgram_reliability_options_init(&required);
    required.negotiation = WTGRAM_NEGOTIATION_REQUIRED; /* nothing is sent before a layer answers, and none answers */
    CHECK_OK(wtgram_reliability_open_over_session(pair.accepted, &required, &layer));
    CHECK_OK(wtgram_structured_open_over_reliability(layer, &type, 1, NULL, &objects));
    wtgram_send_options options = short_lived(8);
    CHECK_OK(wtgram_structured_send(objects, 1, (const uint8_t *)"1", 1, &options));
    CHECK_OK(wtgram_reliability_next_outcome(layer, PATIENCE_US, &outcome));
    CHECK(outcome.report_id == 8 && outcome.kind == WTGRAM_RELIABILITY_EXPIRED);
    TEST("so it is for a broadcast to a layer");
    CHECK_OK(wtgram_broadcaster_new(NULL, &broadcaster));
    CHECK_OK(wtgram_broadcaster_add_reliability(broadcaster, layer));
    options = short_lived(9);
    CHECK_OK(wtgram_broadcaster_broadcast(broadcaster, (const uint8_t *)"x", 1, &options, NULL, 0, NULL, &accepted));
    CHECK_UINT(accepted, 1);
    CHECK_OK(wtgram_reliability_next_outcome(layer, PATIENCE_US, &outcome));
    CHECK(outcome.report_id == 9 && outcome.kind == WTGRAM_RELIABILITY_EXPIRED);
    wtgram_broadcaster_free(broadcaster);
    wtgram_structured_free(objects);
    wtgram_reliability_free(layer);
    pair_free(&pair);
}

int main(void)
{
    a_ttl_ends_what_is_not_sent();
    return 0;
}
