/* Each datagram has one reader: a datagram that a layer or a structured transport takes does not reach the transport's
 * receive. */
#include "check.h"
#include "pair.h"

static void nothing_is_there(wtgram_transport transport)
{
    uint8_t byte;
    size_t length = 0;
    CHECK_STATUS(wtgram_transport_try_receive(transport, &byte, 1, &length), WTGRAM_ERROR_WOULD_BLOCK);
}

static void a_layer_keeps_its_frames(void)
{
    struct pair pair;
    wtgram_reliability near_end, far_end;
    uint8_t buffer[16];
    size_t length = 0;
    pair_open(&pair, NULL);
    CHECK_OK(wtgram_reliability_open_over_session(pair.client, NULL, &near_end));
    CHECK_OK(wtgram_reliability_open_over_session(pair.accepted, NULL, &far_end));
    TEST("a message reaches the layer and not the transport, its acknowledgement neither");
    wtgram_send_options reported;
    wtgram_send_options_init(&reported);
    reported.report_id = 1;
    CHECK_OK(wtgram_reliability_send(near_end, (const uint8_t *)"message", 7, &reported));
    CHECK_OK(wtgram_reliability_receive(far_end, PATIENCE_US, buffer, sizeof buffer, &length));
    CHECK_BYTES(buffer, "message", length);
    wtgram_reliability_outcome outcome;
    CHECK_OK(wtgram_reliability_next_outcome(near_end, PATIENCE_US, &outcome));
    CHECK_UINT(outcome.kind, WTGRAM_RELIABILITY_ACKNOWLEDGED);
    nothing_is_there(pair.accepted_datagrams);
    nothing_is_there(pair.client_datagrams);
    TEST("the program's own datagrams reach the transport and not the layer");
    pair_exchange(pair.client_datagrams, pair.accepted_datagrams, "plain", 5);
    CHECK_STATUS(wtgram_reliability_try_receive(far_end, buffer, sizeof buffer, &length), WTGRAM_ERROR_WOULD_BLOCK);
    wtgram_transport_stats counted;
    wtgram_transport_stats_init(&counted);
    CHECK_OK(wtgram_transport_get_stats(pair.accepted_datagrams, &counted));
    CHECK(counted.receive_routed >= 1 && counted.datagrams_received == counted.receive_routed + 1);
    wtgram_reliability_free(near_end);
    wtgram_reliability_free(far_end);
    pair_free(&pair);
}

static void closing_what_shares_a_transport(void)
{
    struct pair pair;
    wtgram_structured one, other;
    wtgram_object_type type;
    bool closed = false;
    memset(&type, 0, sizeof type);
    type.type_id = 1;
    pair_open(&pair, NULL);
    TEST("over a transport close closes it, also for others that are over it; the session lives on");
    CHECK_OK(wtgram_structured_open_over_transport(pair.client_datagrams, &type, 1, NULL, &one));
    CHECK_OK(wtgram_structured_open_over_transport(pair.client_datagrams, &type, 1, NULL, &other));
    CHECK_OK(wtgram_structured_close(one));
    CHECK_OK(wtgram_structured_is_closed(other, &closed));
    CHECK(closed);
    closed = false;
    CHECK_OK(wtgram_transport_is_closed(pair.client_datagrams, &closed));
    CHECK(closed);
    uint32_t state = 0;
    CHECK_OK(wtgram_session_get_state(pair.client, &state));
    CHECK_UINT(state, WTGRAM_SESSION_CONNECTED);
    wtgram_structured_free(one);
    wtgram_structured_free(other);
    pair_free(&pair);
}

int main(void)
{
    a_layer_keeps_its_frames();
    closing_what_shares_a_transport();
    return 0;
}
