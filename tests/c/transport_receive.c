/* Datagrams with their metadata, and JSON datagrams. */
#include "blocked.h"
#include "check.h"
#include "pair.h"

struct waiting {
    wtgram_transport transport;
    wtgram_datagram_metadata metadata;
};

static wtgram_status receive_forever(void *argument)
{
    struct waiting *waiting = (struct waiting *)argument;
    uint8_t byte;
    wtgram_datagram_metadata_init(&waiting->metadata);
    return wtgram_transport_receive_with_metadata(waiting->transport, WTGRAM_FOREVER, false, &byte, 1,
                                                  &waiting->metadata);
}

static void ages_and_waits(const struct pair *pair)
{
    enum { PAUSE_US = 20 * MILLISECOND_US };
    struct waiting waiting;
    struct blocked blocked;
    uint64_t waits = 0;
    memset(&waiting, 0, sizeof waiting);
    waiting.transport = pair->accepted_datagrams;
    TEST("the age is the time since arrival; what is there is not waited for");
    CHECK_OK(wtgram_transport_send(pair->client_datagrams, (const uint8_t *)"x", 1, NULL));
    for (int64_t end = now_us() + PATIENCE_US; waits == 0 && now_us() < end; sleep_us(MILLISECOND_US))
        CHECK_OK(wtgram_transport_get_receive_buffer_size(pair->accepted_datagrams, &waits));
    sleep_us(PAUSE_US);
    CHECK_OK(receive_forever(&waiting));
    CHECK(waiting.metadata.age_us >= PAUSE_US);
    CHECK(waiting.metadata.age_us < PATIENCE_US);
    CHECK_UINT(waiting.metadata.waited_us, 0);
    TEST("a call that waits says how long");
    for (int64_t end = now_us() + PATIENCE_US; waiting.metadata.waited_us < PAUSE_US && now_us() < end;) {
        blocked_start(&blocked, receive_forever, &waiting);
        CHECK_OK(wtgram_transport_send(pair->client_datagrams, (const uint8_t *)"x", 1, NULL));
        blocked_expect(&blocked, WTGRAM_OK);
    }
    CHECK(waiting.metadata.waited_us >= PAUSE_US);
    CHECK(waiting.metadata.age_us >= 0 && waiting.metadata.age_us <= waiting.metadata.waited_us);
}

static void metadata_of_a_datagram(const struct pair *pair)
{
    uint8_t buffer[16];
    wtgram_datagram_metadata metadata;
    TEST("a datagram comes with its size, sequence, time, and its checksum if that is asked for");
    wtgram_datagram_metadata_init(&metadata);
    CHECK_OK(wtgram_transport_send(pair->client_datagrams, (const uint8_t *)"abc", 3, NULL));
    CHECK_OK(wtgram_transport_receive_with_metadata(pair->accepted_datagrams, PATIENCE_US, true, buffer, sizeof buffer,
                                                    &metadata));
    CHECK_BYTES(buffer, "abc", 3);
    CHECK(metadata.size == 3 && metadata.sequence == 0);
    CHECK(metadata.timestamp_us > INT64_C(1600000000) * SECOND_US);
    CHECK_TEXT(metadata.checksum, "ba7816bf"); /* SHA-256 of "abc", FIPS 180-4 */
    CHECK_OK(wtgram_transport_send(pair->client_datagrams, NULL, 0, NULL));
    CHECK_OK(wtgram_transport_receive_with_metadata(pair->accepted_datagrams, PATIENCE_US, false, NULL, 0, &metadata));
    CHECK(metadata.size == 0 && metadata.sequence == 1);
    CHECK_TEXT(metadata.checksum, "");
    TEST("a buffer that is too small gets the size needed and loses nothing");
    CHECK_OK(wtgram_transport_send(pair->client_datagrams, (const uint8_t *)"abcdef", 6, NULL));
    CHECK_STATUS(
        wtgram_transport_receive_with_metadata(pair->accepted_datagrams, PATIENCE_US, true, buffer, 5, &metadata),
        WTGRAM_ERROR_BUFFER_TOO_SMALL);
    CHECK_UINT(metadata.size, 6);
    CHECK_TEXT(metadata.checksum, "");
    CHECK_OK(wtgram_transport_receive_with_metadata(pair->accepted_datagrams, 0, true, buffer, 6, &metadata));
    CHECK_UINT(metadata.size, 6);
    TEST("nothing there: WOULD_BLOCK or TIMED_OUT, and zeroes");
    CHECK_STATUS(wtgram_transport_receive_with_metadata(pair->accepted_datagrams, 0, true, buffer, 6, &metadata),
                 WTGRAM_ERROR_WOULD_BLOCK);
    CHECK(metadata.size == 0 && metadata.timestamp_us == 0 && metadata.struct_size == sizeof metadata);
    CHECK_STATUS(wtgram_transport_receive_with_metadata(pair->accepted_datagrams, 1000, true, buffer, 6, &metadata),
                 WTGRAM_ERROR_TIMED_OUT);
}

static void json_both_ways(const struct pair *pair)
{
    char text[200], detail[100];
    size_t length = 9;
    const char *pretty = " { \"b\" : [ 1.50 , true ] , \"a\" : \"x y\" }\n";
    const char *compact = "{\"b\":[1.50,true],\"a\":\"x y\"}";
    TEST("JSON travels without white space, digits and order kept");
    CHECK_OK(wtgram_transport_send_json(pair->client_datagrams, pretty, strlen(pretty), NULL, detail, sizeof detail));
    CHECK_TEXT(detail, "");
    CHECK_OK(wtgram_transport_receive_json(pair->accepted_datagrams, PATIENCE_US, text, sizeof text, &length, detail,
                                           sizeof detail));
    CHECK_TEXT(text, compact);
    CHECK_UINT(length, strlen(compact));
    TEST("a text buffer without room for the NUL is BUFFER_TOO_SMALL; the datagram stays");
    CHECK_OK(wtgram_transport_send(pair->client_datagrams, (const uint8_t *)"[ 1, 2 ]", 8, NULL));
    CHECK_STATUS(wtgram_transport_receive_json(pair->accepted_datagrams, PATIENCE_US, text, 5, &length, NULL, 0),
                 WTGRAM_ERROR_BUFFER_TOO_SMALL);
    CHECK_UINT(length, 5);
    CHECK_STATUS(wtgram_transport_receive_json(pair->accepted_datagrams, 0, NULL, 0, &length, NULL, 0),
                 WTGRAM_ERROR_BUFFER_TOO_SMALL);
    CHECK_OK(wtgram_transport_receive_json(pair->accepted_datagrams, 0, text, 6, &length, NULL, 0));
    CHECK_TEXT(text, "[1,2]");
    CHECK_STATUS(wtgram_transport_receive_json(pair->accepted_datagrams, 0, text, 6, &length, NULL, 0),
                 WTGRAM_ERROR_WOULD_BLOCK);
    CHECK_UINT(length, 0);
}

static void what_is_no_json(const struct pair *pair)
{
    static const struct {
        const char *text, *where;
    } bad[] = {
        {"NaN", "line 1 column"},
        {"[1,\n 2 3]", "line 2 column 4"},
        {"\"\\ud800\"", "line 1 column"},
        {"\"ab\xff\"", "byte 3"},
        {"", "line 1 column"},
        {"[1] 2", "line 1 column 5"},
        {"{\"a\":Infinity}", "line 1 col"},
    };
    char detail[100], text[100];
    size_t length = 0;
    TEST("NaN, Infinity, lone surrogates, text after the value, bytes that are not UTF-8: refused with their place");
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        size_t size = strlen(bad[i].text);
        CHECK_STATUS(wtgram_transport_send_json(pair->client_datagrams, bad[i].text, size, NULL, detail, sizeof detail),
                     WTGRAM_ERROR_SERIALIZATION);
        CHECK(strstr(detail, bad[i].where) != NULL);
        CHECK_OK(wtgram_transport_send(pair->client_datagrams, (const uint8_t *)bad[i].text, size, NULL));
        CHECK_STATUS(wtgram_transport_receive_json(pair->accepted_datagrams, PATIENCE_US, text, sizeof text, &length,
                                                   detail, sizeof detail),
                     WTGRAM_ERROR_SERIALIZATION);
        CHECK(strstr(detail, bad[i].where) != NULL);
        CHECK_UINT(length, 0);
    }
    TEST("nesting of 100,000 levels is refused, a text of more than 1 MiB or than a datagram is TOO_LARGE");
    static char deep[100000], large[(1 << 20) + 1];
    memset(deep, '[', sizeof deep);
    CHECK_STATUS(wtgram_transport_send_json(pair->client_datagrams, deep, sizeof deep, NULL, detail, sizeof detail),
                 WTGRAM_ERROR_SERIALIZATION);
    CHECK(strstr(detail, "recursion limit") != NULL);
    memset(large, ' ', sizeof large);
    CHECK_STATUS(wtgram_transport_send_json(pair->client_datagrams, large, sizeof large, NULL, NULL, 0),
                 WTGRAM_ERROR_TOO_LARGE);
    large[10] = '1';
    CHECK_OK(wtgram_transport_send_json(pair->client_datagrams, large, 1 << 20, NULL, NULL, 0));
    memset(large, '1', 5000);
    CHECK_STATUS(wtgram_transport_send_json(pair->client_datagrams, large, 5000, NULL, NULL, 0),
                 WTGRAM_ERROR_TOO_LARGE);
    CHECK_OK(wtgram_transport_receive_json(pair->accepted_datagrams, PATIENCE_US, text, sizeof text, &length, NULL, 0));
    CHECK_TEXT(text, "1");
    TEST("a detail buffer of one byte gets its NUL");
    detail[0] = 'x';
    CHECK_STATUS(wtgram_transport_send_json(pair->client_datagrams, "x", 1, NULL, detail, 1),
                 WTGRAM_ERROR_SERIALIZATION);
    CHECK_TEXT(detail, "");
}

int main(void)
{
    struct pair pair;
    pair_open(&pair, NULL);
    metadata_of_a_datagram(&pair);
    ages_and_waits(&pair);
    json_both_ways(&pair);
    what_is_no_json(&pair);
    pair_free(&pair);
    return 0;
}
