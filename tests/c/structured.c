/* Structured transports: three serializers, over a transport and beside it. Each thing that goes wrong has a status and
 * a count. */
#include "blocked.h"
#include "check.h"
#include "pair.h"

static const wtgram_object_type TYPES[] = {
    {1, 0, 0, {0, 0}},
    {2, 0, 16, {0, 0}}, /* at most 16 bytes */
    {65535, 0, 0, {0, 0}},
};
enum { TYPE_COUNT = sizeof TYPES / sizeof TYPES[0] };

static wtgram_structured over_transport(wtgram_transport transport, const wtgram_structured_options *options)
{
    wtgram_structured structured;
    CHECK_OK(wtgram_structured_open_over_transport(transport, TYPES, TYPE_COUNT, options, &structured));
    return structured;
}

static wtgram_status send_text(wtgram_structured structured, uint32_t type_id, const char *text)
{
    return wtgram_structured_send(structured, type_id, (const uint8_t *)text, strlen(text), NULL);
}

static void expect_text(wtgram_structured structured, uint32_t type_id, const char *text)
{
    char buffer[4096];
    uint32_t got_type = 99;
    size_t length = 99;
    CHECK_OK(
        wtgram_structured_receive(structured, PATIENCE_US, (uint8_t *)buffer, sizeof buffer - 1, &got_type, &length));
    buffer[length] = 0;
    CHECK_UINT(got_type, type_id);
    CHECK_TEXT(buffer, text);
}

static void expect_failure(wtgram_structured structured, wtgram_status status)
{
    uint8_t buffer[4096];
    uint32_t type_id = 99;
    size_t length = 99;
    CHECK_STATUS(wtgram_structured_receive(structured, PATIENCE_US, buffer, sizeof buffer, &type_id, &length), status);
    CHECK_UINT(type_id, 0);
    CHECK_UINT(length, 0);
}

static void send_raw(wtgram_transport transport, const char *bytes, size_t length)
{
    CHECK_OK(wtgram_transport_send(transport, (const uint8_t *)bytes, length, NULL));
}

static void json_goes_compact_and_comes_checked(void)
{
    struct pair pair;
    uint8_t raw[64];
    size_t length = 0;
    pair_open(&pair, NULL);
    wtgram_structured client = over_transport(pair.client_datagrams, NULL);
    TEST("on the wire: two bytes of type id in network order, then compact JSON");
    CHECK_OK(send_text(client, 1, " {\"a\" : [1, 2.50]}\n"));
    CHECK_OK(wtgram_transport_receive(pair.accepted_datagrams, PATIENCE_US, raw, sizeof raw, &length));
    CHECK_UINT(length, 2 + strlen("{\"a\":[1,2.50]}"));
    CHECK_BYTES(raw, "\x00\x01{\"a\":[1,2.50]}", length);
    wtgram_structured server = over_transport(pair.accepted_datagrams, NULL);
    TEST("both ends of the id range; objects both ways");
    CHECK_OK(send_text(server, 65535, "\"\\u00e9\""));
    expect_text(client, 65535, "\"\xc3\xa9\"");
    CHECK_OK(send_text(client, 1, "null"));
    expect_text(server, 1, "null");
    TEST("what cannot be sent: unknown type, no JSON, more than its type allows, more than the path carries");
    CHECK_STATUS(send_text(client, 3, "1"), WTGRAM_ERROR_UNKNOWN_TYPE);
    CHECK_STATUS(send_text(client, 65536 + 1, "1"), WTGRAM_ERROR_UNKNOWN_TYPE);
    CHECK_STATUS(send_text(client, 1, "{\"a\":NaN}"), WTGRAM_ERROR_SERIALIZATION);
    CHECK_STATUS(send_text(client, 1, "\"\\ud800\""), WTGRAM_ERROR_SERIALIZATION);
    CHECK_STATUS(wtgram_structured_send(client, 1, NULL, 0, NULL), WTGRAM_ERROR_SERIALIZATION);
    CHECK_OK(send_text(client, 2, "\"14 letters....\""));
    CHECK_STATUS(send_text(client, 2, "\"15 letters.....\""), WTGRAM_ERROR_TOO_LARGE);
    static char large[70000];
    memset(large, ' ', sizeof large);
    large[0] = '1';
    CHECK_OK(wtgram_structured_send(client, 1, (const uint8_t *)large, sizeof large, NULL)); /* the rest is spaces */
    memset(large, '1', sizeof large);
    CHECK_STATUS(wtgram_structured_send(client, 1, (const uint8_t *)large, sizeof large, NULL), WTGRAM_ERROR_TOO_LARGE);
    expect_text(server, 2, "\"14 letters....\"");
    expect_text(server, 1, "1");
    TEST("an object that does not fit the buffer is kept; the size it needs is reported");
    uint8_t small[4];
    uint32_t type_id = 9;
    CHECK_OK(send_text(client, 1, "[1,2,3]"));
    for (int i = 0; i < 2; i++) {
        CHECK_STATUS(wtgram_structured_receive(server, PATIENCE_US, small, sizeof small, &type_id, &length),
                     WTGRAM_ERROR_BUFFER_TOO_SMALL);
        CHECK_UINT(length, 7);
        CHECK_UINT(type_id, 0);
    }
    expect_text(server, 1, "[1,2,3]");
    CHECK_STATUS(wtgram_structured_try_receive(server, small, sizeof small, &type_id, &length),
                 WTGRAM_ERROR_WOULD_BLOCK);
    CHECK_STATUS(wtgram_structured_receive(server, 20 * MILLISECOND_US, small, sizeof small, &type_id, &length),
                 WTGRAM_ERROR_TIMED_OUT);
    wtgram_structured_stats statistics;
    wtgram_structured_stats_init(&statistics);
    CHECK_OK(wtgram_structured_get_stats(client, &statistics));
    CHECK_UINT(statistics.sent, 5);
    CHECK_UINT(statistics.send_unknown_type, 2);
    CHECK_UINT(statistics.send_not_serialized, 3);
    CHECK_UINT(statistics.send_too_large, 2);
    CHECK_UINT(statistics.send_failed, 0);
    wtgram_structured_free(client);
    wtgram_structured_free(server);
    pair_free(&pair);
}

static void bad_datagrams_are_counted_and_the_transport_goes_on(void)
{
    struct pair pair;
    pair_open(&pair, NULL);
    wtgram_structured server = over_transport(pair.accepted_datagrams, NULL);
    TEST("each kind of bad datagram has its own status, and the next object arrives");
    send_raw(pair.client_datagrams, "", 0);
    expect_failure(server, WTGRAM_ERROR_TRUNCATED);
    send_raw(pair.client_datagrams, "\x00", 1);
    expect_failure(server, WTGRAM_ERROR_TRUNCATED);
    send_raw(pair.client_datagrams, "\x00\x09{}", 4);
    expect_failure(server, WTGRAM_ERROR_UNKNOWN_TYPE);
    send_raw(pair.client_datagrams, "\x00\x01", 2);
    expect_failure(server, WTGRAM_ERROR_DESERIALIZATION);
    send_raw(pair.client_datagrams, "\x00\x01{\"a\":NaN}", 11);
    expect_failure(server, WTGRAM_ERROR_DESERIALIZATION);
    send_raw(pair.client_datagrams, "\x00\x02\"15 letters.....\"", 19);
    expect_failure(server, WTGRAM_ERROR_TOO_LARGE);
    send_raw(pair.client_datagrams, "\x00\x01 { } ", 7);
    expect_text(server, 1, "{}");
    wtgram_structured_stats statistics;
    wtgram_structured_stats_init(&statistics);
    CHECK_OK(wtgram_structured_get_stats(server, &statistics));
    CHECK_UINT(statistics.receive_truncated, 2);
    CHECK_UINT(statistics.receive_unknown_type, 1);
    CHECK_UINT(statistics.receive_not_deserialized, 2);
    CHECK_UINT(statistics.receive_too_large, 1);
    CHECK_UINT(statistics.received, 1);
    TEST("in a batch they take a place each, with their status");
    wtgram_object objects[4];
    wtgram_received_object received[8];
    wtgram_status results[4];
    uint8_t arena[64];
    size_t accepted = 0, count = 0, got = 0;
    wtgram_structured client = over_transport(pair.client_datagrams, NULL);
    memset(objects, 0, sizeof objects);
    for (int i = 0; i < 4; i++) {
        objects[i].data = (const uint8_t *)"[1]";
        objects[i].length = 3;
        objects[i].type_id = i == 1 ? 7 : 1; /* the type of the second is unknown */
    }
    CHECK_STATUS(wtgram_structured_send_batch(client, objects, 4, NULL, results, &accepted), WTGRAM_ERROR_UNKNOWN_TYPE);
    CHECK_UINT(accepted, 3);
    CHECK_STATUS(results[1], WTGRAM_ERROR_UNKNOWN_TYPE);
    CHECK_OK(results[2]);
    send_raw(pair.client_datagrams, "\x00\x01]", 3);
    while (got < 4) {
        CHECK_OK(wtgram_structured_receive_batch(server, PATIENCE_US, arena, sizeof arena, received, 8, &count));
        for (size_t i = 0; i < count; i++, got++) {
            if (got == 3) {
                CHECK_STATUS(received[i].status, WTGRAM_ERROR_DESERIALIZATION);
                continue;
            }
            CHECK_OK(received[i].status);
            CHECK_UINT(received[i].type_id, 1);
            CHECK_UINT(received[i].length, 3);
            CHECK_BYTES(arena + received[i].offset, "[1]", 3);
            CHECK(received[i].timestamp_us > 0);
        }
    }
    CHECK_STATUS(wtgram_structured_receive_batch(server, 0, arena, sizeof arena, received, 8, &count),
                 WTGRAM_ERROR_WOULD_BLOCK);
    CHECK_OK(send_text(client, 1, "[1,2,3]"));
    CHECK_STATUS(wtgram_structured_receive_batch(server, PATIENCE_US, arena, 3, received, 8, &count),
                 WTGRAM_ERROR_BUFFER_TOO_SMALL);
    CHECK_UINT(received[0].length, 7);
    expect_text(server, 1, "[1,2,3]");
    wtgram_structured_free(client);
    wtgram_structured_free(server);
    pair_free(&pair);
}

static void message_pack_travels_and_json_is_read(void)
{
    struct pair pair;
    wtgram_structured_options options;
    uint8_t raw[64];
    size_t length = 0;
    pair_open(&pair, NULL);
    wtgram_structured_options_init(&options);
    options.serializer = WTGRAM_SERIALIZER_MESSAGE_PACK;
    wtgram_structured client = over_transport(pair.client_datagrams, &options);
    TEST("JSON text becomes MessagePack on the wire and JSON text again");
    CHECK_OK(send_text(client, 1, "{\"id\": 1, \"name\": \"x\"}"));
    CHECK_OK(wtgram_transport_receive(pair.accepted_datagrams, PATIENCE_US, raw, sizeof raw, &length));
    CHECK_UINT(length, 14);
    CHECK_BYTES(raw, "\x00\x01\x82\xa2id\x01\xa4name\xa1x", 14);
    wtgram_structured server = over_transport(pair.accepted_datagrams, &options);
    CHECK_OK(send_text(client, 1, "{\"id\":18446744073709551615,\"x\":[null,true,-0.5]}"));
    expect_text(server, 1, "{\"id\":18446744073709551615,\"x\":[null,true,-0.5]}");
    CHECK_STATUS(send_text(client, 1, "18446744073709551616"), WTGRAM_ERROR_SERIALIZATION);
    send_raw(pair.client_datagrams, "\x00\x01\xc1", 3);
    expect_failure(server, WTGRAM_ERROR_DESERIALIZATION);
    send_raw(pair.client_datagrams, "\x00\x01\xc4\x01\xff", 5);
    expect_text(server, 1, "\"/w==\"");
    wtgram_structured_free(client);
    wtgram_structured_free(server);
    pair_free(&pair);
}

/* A serializer that inverts every byte and counts the results that it returned and freed. */
struct turner {
    int given, taken;
};

static int32_t turn(void *context, uint32_t type_id, const uint8_t *data, size_t length, const uint8_t **result,
                    size_t *result_length)
{
    if (length > 0 && data[0] == '!') return 1; /* refuses */
    uint8_t *turned = (uint8_t *)malloc(length + 1);
    for (size_t i = 0; i < length; i++) turned[i] = (uint8_t)~data[i];
    turned[length] = (uint8_t)type_id;
    *result = turned;
    *result_length = length;
    ((struct turner *)context)->given++;
    return 0;
}

static void take_back(void *context, const uint8_t *data, size_t length)
{
    (void)length;
    free((void *)(uintptr_t)data);
    ((struct turner *)context)->taken++;
}

static void the_programs_own_serializer(void)
{
    struct pair pair;
    struct turner turner = {0, 0};
    wtgram_serializer serializer;
    wtgram_structured_options options;
    wtgram_structured structured = {1};
    uint8_t raw[16];
    size_t length = 0;
    pair_open(&pair, NULL);
    wtgram_serializer_init(&serializer);
    wtgram_structured_options_init(&options);
    options.serializer = WTGRAM_SERIALIZER_CUSTOM;
    TEST("a custom serializer needs its two functions");
    CHECK_STATUS(wtgram_structured_open_over_transport(pair.client_datagrams, TYPES, 1, &options, &structured),
                 WTGRAM_ERROR_INVALID_ARGUMENT);
    CHECK_UINT(structured.id, 0);
    serializer.context = &turner;
    serializer.serialize = turn;
    serializer.deserialize = turn;
    serializer.free_bytes = take_back;
    options.custom = &serializer;
    wtgram_structured client = over_transport(pair.client_datagrams, &options);
    TEST("its functions are called on sending and receiving, and everything they gave is given back");
    CHECK_OK(send_text(client, 1, "abc"));
    CHECK_OK(wtgram_transport_receive(pair.accepted_datagrams, PATIENCE_US, raw, sizeof raw, &length));
    CHECK_UINT(length, 5);
    CHECK_BYTES(raw, "\x00\x01\x9e\x9d\x9c", 5);
    wtgram_structured server = over_transport(pair.accepted_datagrams, &options);
    CHECK_OK(send_text(client, 1, "xyz"));
    expect_text(server, 1, "xyz");
    CHECK_OK(send_text(client, 1, ""));
    expect_text(server, 1, "");
    CHECK_STATUS(send_text(client, 1, "!"), WTGRAM_ERROR_SERIALIZATION);
    send_raw(pair.client_datagrams, "\x00\x01!", 3);
    expect_failure(server, WTGRAM_ERROR_DESERIALIZATION);
    CHECK_UINT(turner.given, 5);
    CHECK_UINT(turner.taken, 5);
    wtgram_structured_free(client);
    wtgram_structured_free(server);
    pair_free(&pair);
}

static void beside_the_transport(void)
{
    struct pair pair;
    wtgram_structured_options options;
    wtgram_structured structured, other;
    uint8_t buffer[16];
    size_t length = 0;
    bool closed = true;
    pair_open(&pair, NULL);
    wtgram_structured_options_init(&options);
    options.queue_datagrams = 3;
    CHECK_OK(wtgram_structured_open_over_session(pair.accepted, TYPES, 1, &options, &structured));
    CHECK_OK(wtgram_structured_open_over_session(pair.accepted, TYPES + 2, 1, NULL, &other));
    TEST("registered ids go to their structured transport, everything else stays with the session's transport");
    send_raw(pair.client_datagrams, "\x00\x01{}", 4);
    send_raw(pair.client_datagrams, "\x00\x02{}", 4);
    send_raw(pair.client_datagrams, "\xff\xff[]", 4);
    send_raw(pair.client_datagrams, "\x00", 1);
    CHECK_OK(wtgram_transport_receive(pair.accepted_datagrams, PATIENCE_US, buffer, sizeof buffer, &length));
    CHECK_UINT(length, 4);
    CHECK_BYTES(buffer, "\x00\x02{}", 4);
    CHECK_OK(wtgram_transport_receive(pair.accepted_datagrams, PATIENCE_US, buffer, sizeof buffer, &length));
    CHECK_UINT(length, 1);
    expect_text(structured, 1, "{}");
    expect_text(other, 65535, "[]");
    TEST("its queue is its own: the newcomer is dropped and counted when it is full");
    for (int i = 0; i < 5; i++) send_raw(pair.client_datagrams, "\x00\x01{}", 4);
    pair_exchange(pair.client_datagrams, pair.accepted_datagrams, "after", 5);
    wtgram_structured_stats statistics;
    wtgram_structured_stats_init(&statistics);
    CHECK_OK(wtgram_structured_get_stats(structured, &statistics));
    CHECK_UINT(statistics.receive_queued, 3);
    CHECK_UINT(statistics.receive_dropped_full, 2);
    TEST("closing it leaves the session alone; what had arrived is still received, then it is closed");
    CHECK_OK(wtgram_structured_close(structured));
    CHECK_OK(wtgram_structured_close(structured));
    CHECK_OK(wtgram_structured_is_closed(structured, &closed));
    CHECK(closed);
    for (int i = 0; i < 3; i++) expect_text(structured, 1, "{}");
    expect_failure(structured, WTGRAM_ERROR_CLOSED);
    CHECK_STATUS(send_text(structured, 1, "{}"), WTGRAM_ERROR_CLOSED);
    send_raw(pair.client_datagrams, "\x00\x01{}", 4);
    CHECK_OK(wtgram_transport_receive(pair.accepted_datagrams, PATIENCE_US, buffer, sizeof buffer, &length));
    CHECK_OK(wtgram_transport_is_closed(pair.accepted_datagrams, &closed));
    CHECK(!closed);
    wtgram_structured_free(structured);
    CHECK_STATUS(wtgram_structured_close(structured), WTGRAM_ERROR_INVALID_HANDLE);
    wtgram_structured_free(other);
    pair_free(&pair);
}

static wtgram_status receive_forever(void *argument)
{
    uint8_t buffer[16];
    uint32_t type_id;
    size_t length;
    return wtgram_structured_receive(*(wtgram_structured *)argument, WTGRAM_FOREVER, buffer, sizeof buffer, &type_id,
                                     &length);
}

static void closing_wakes(void)
{
    struct pair pair;
    wtgram_structured own, beside;
    struct blocked blocked;
    bool closed = false;
    pair_open(&pair, NULL);
    TEST("close wakes a blocked receiver, beside a session and over a transport; the latter closes the transport");
    CHECK_OK(wtgram_structured_open_over_session(pair.client, TYPES, 1, NULL, &beside));
    blocked_start(&blocked, receive_forever, &beside);
    CHECK_OK(wtgram_structured_close(beside));
    blocked_expect(&blocked, WTGRAM_ERROR_CLOSED);
    own = over_transport(pair.client_datagrams, NULL);
    blocked_start(&blocked, receive_forever, &own);
    CHECK_OK(wtgram_structured_close(own));
    blocked_expect(&blocked, WTGRAM_ERROR_CLOSED);
    CHECK_OK(wtgram_transport_is_closed(pair.client_datagrams, &closed));
    CHECK(closed);
    CHECK_STATUS(wtgram_structured_open_over_transport(pair.client_datagrams, TYPES, 1, NULL, &own),
                 WTGRAM_ERROR_CLOSED);
    wtgram_structured_free(beside);
    TEST("the end of the session wakes it too, although datagrams for others wait unread");
    CHECK_OK(wtgram_structured_open_over_session(pair.accepted, TYPES, 1, NULL, &beside));
    blocked_start(&blocked, receive_forever, &beside);
    CHECK_OK(wtgram_session_close(pair.accepted, 0, NULL, 0));
    blocked_expect(&blocked, WTGRAM_ERROR_CLOSED);
    CHECK_OK(wtgram_structured_is_closed(beside, &closed));
    CHECK(closed);
    wtgram_structured_free(beside);
    wtgram_structured_free(own);
    pair_free(&pair);
}

static void pollers_see_it(void)
{
    struct pair pair;
    wtgram_poller poller;
    wtgram_event event;
    wtgram_structured beside, own;
    uint8_t small[1];
    uint32_t type_id;
    size_t count = 0, length = 0;
    pair_open(&pair, NULL);
    CHECK_OK(wtgram_poller_new(&poller));
    TEST("an arrival makes the structured transport readable until it is taken, also when it did not fit at first");
    CHECK_OK(wtgram_structured_open_over_session(pair.accepted, TYPES, 1, NULL, &beside));
    own = over_transport(pair.client_datagrams, NULL);
    CHECK_OK(wtgram_poller_add(poller, beside.id, WTGRAM_READY_READABLE, 1));
    CHECK_OK(wtgram_poller_add(poller, own.id, WTGRAM_READY_READABLE, 2));
    CHECK_STATUS(wtgram_poller_add(poller, own.id, WTGRAM_READY_ACCEPT, 2), WTGRAM_ERROR_INVALID_ARGUMENT);
    CHECK_STATUS(wtgram_poller_wait(poller, 0, &event, 1, &count), WTGRAM_ERROR_WOULD_BLOCK);
    CHECK_OK(send_text(own, 1, "{}"));
    CHECK_OK(wtgram_poller_wait(poller, PATIENCE_US, &event, 1, &count));
    CHECK_UINT(event.object, beside.id);
    CHECK_UINT(event.ready, WTGRAM_READY_READABLE);
    CHECK_STATUS(wtgram_structured_try_receive(beside, small, 1, &type_id, &length), WTGRAM_ERROR_BUFFER_TOO_SMALL);
    CHECK_OK(wtgram_poller_wait(poller, PATIENCE_US, &event, 1, &count));
    expect_text(beside, 1, "{}");
    CHECK_STATUS(wtgram_poller_wait(poller, 0, &event, 1, &count), WTGRAM_ERROR_WOULD_BLOCK);
    CHECK_OK(send_text(beside, 1, "[]"));
    CHECK_OK(wtgram_poller_wait(poller, PATIENCE_US, &event, 1, &count));
    CHECK_UINT(event.cookie, 2);
    expect_text(own, 1, "[]");
    TEST("and its end is an event");
    CHECK_OK(wtgram_structured_close(own));
    CHECK_OK(wtgram_poller_wait(poller, PATIENCE_US, &event, 1, &count));
    CHECK_UINT(event.cookie, 2);
    CHECK_UINT(event.ready & WTGRAM_READY_CLOSED, WTGRAM_READY_CLOSED);
    wtgram_structured_free(own);
    wtgram_structured_free(beside);
    wtgram_poller_free(poller);
    pair_free(&pair);
}

static void registries(void)
{
    struct pair pair;
    wtgram_structured structured = {1};
    wtgram_object_type bad[2];
    pair_open(&pair, NULL);
    TEST("ids are unique and at most 65535; foreign handles are none");
    memset(bad, 0, sizeof bad);
    CHECK_STATUS(wtgram_structured_open_over_session(pair.client, bad, 2, NULL, &structured),
                 WTGRAM_ERROR_INVALID_ARGUMENT);
    CHECK_UINT(structured.id, 0);
    bad[0].type_id = 65536;
    CHECK_STATUS(wtgram_structured_open_over_session(pair.client, bad, 1, NULL, &structured),
                 WTGRAM_ERROR_INVALID_ARGUMENT);
    CHECK_OK(wtgram_structured_open_over_session(pair.client, NULL, 0, NULL, &structured));
    CHECK_STATUS(send_text(structured, 0, "1"), WTGRAM_ERROR_UNKNOWN_TYPE);
    wtgram_transport foreign;
    foreign.id = structured.id;
    CHECK_STATUS(wtgram_transport_close(foreign), WTGRAM_ERROR_INVALID_HANDLE);
    wtgram_structured_free(structured);
    wtgram_structured_free(structured);
    pair_free(&pair);
}

int main(void)
{
    json_goes_compact_and_comes_checked();
    bad_datagrams_are_counted_and_the_transport_goes_on();
    message_pack_travels_and_json_is_read();
    the_programs_own_serializer();
    beside_the_transport();
    closing_wakes();
    pollers_see_it();
    registries();
    return 0;
}
