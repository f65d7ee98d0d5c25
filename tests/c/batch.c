/* Many datagrams in one call, in both directions: order, the result of each, arenas that are too small. */
#include "check.h"
#include "pair.h"

enum { COUNT = 64, SIZE = 100 };

static uint8_t data[COUNT][SIZE];
static wtgram_slice slices[COUNT];

static void make_slices(void)
{
    for (size_t i = 0; i < COUNT; i++) {
        memset(data[i], (int)i, SIZE);
        slices[i].data = data[i];
        slices[i].length = i + 1; /* of different lengths */
    }
}

static void send_all(const struct pair *pair)
{
    wtgram_status results[COUNT];
    size_t accepted = 0;
    memset(results, 0x55, sizeof results);
    CHECK_OK(wtgram_transport_send_batch(pair->client_datagrams, slices, COUNT, NULL, results, &accepted));
    CHECK_UINT(accepted, COUNT);
    for (size_t i = 0; i < COUNT; i++) CHECK_OK(results[i]);
}

static void batches_arrive_in_order(const struct pair *pair)
{
    static uint8_t arena[COUNT * SIZE];
    wtgram_received_datagram received[COUNT];
    size_t got = 0;
    uint64_t last_sequence = 0;
    TEST("a batch of 64 arrives whole, in order, each with its bytes, a rising sequence and a time stamp");
    send_all(pair);
    while (got < COUNT) {
        size_t count = 0;
        CHECK_OK(wtgram_transport_receive_batch(pair->accepted_datagrams, PATIENCE_US, arena, sizeof arena, received,
                                                COUNT, &count));
        CHECK(count >= 1 && count <= COUNT - got);
        for (size_t i = 0; i < count; i++, got++) {
            CHECK_UINT(received[i].length, got + 1);
            CHECK(received[i].offset + received[i].length <= sizeof arena);
            CHECK_BYTES(arena + received[i].offset, data[got], got + 1);
            CHECK(got == 0 || received[i].sequence > last_sequence);
            CHECK(received[i].timestamp_us > INT64_C(1600000000) * SECOND_US);
            last_sequence = received[i].sequence;
        }
    }
}

static void what_does_not_fit_stays(const struct pair *pair)
{
    uint8_t arena[100];
    wtgram_received_datagram received[3];
    size_t count = 0, got = 0, calls = 0;
    TEST("an arena of 100 bytes and room for 3 takes what fits; the rest waits, nothing is lost");
    send_all(pair);
    while (got < COUNT) {
        size_t used = 0;
        CHECK_OK(wtgram_transport_receive_batch(pair->accepted_datagrams, PATIENCE_US, arena, sizeof arena, received, 3,
                                                &count));
        CHECK(count >= 1 && count <= 3);
        for (size_t i = 0; i < count; i++, got++) {
            CHECK_UINT(received[i].length, got + 1);
            CHECK_BYTES(arena + received[i].offset, data[got], got + 1);
            used += (size_t)received[i].length;
        }
        CHECK(used <= sizeof arena);
        calls++;
    }
    CHECK(calls > COUNT / 3);
    TEST("a first datagram larger than the arena is BUFFER_TOO_SMALL and still there afterwards");
    CHECK_OK(wtgram_transport_send(pair->client_datagrams, data[7], SIZE, NULL));
    CHECK_STATUS(
        wtgram_transport_receive_batch(pair->accepted_datagrams, PATIENCE_US, arena, SIZE - 1, received, 3, &count),
        WTGRAM_ERROR_BUFFER_TOO_SMALL);
    CHECK_UINT(count, 0);
    CHECK_OK(wtgram_transport_receive_batch(pair->accepted_datagrams, 0, arena, SIZE, received, 3, &count));
    CHECK_UINT(count, 1);
    CHECK_UINT(received[0].length, SIZE);
}

static void one_bad_datagram_does_not_stop_the_others(const struct pair *pair)
{
    static uint8_t big[70000], arena[1000];
    wtgram_slice mixed[3];
    wtgram_status results[3];
    wtgram_received_datagram received[3];
    size_t accepted = 0, count = 0, got = 0;
    for (size_t i = 0; i < 3; i++) mixed[i] = slices[i];
    mixed[1].data = big;
    mixed[1].length = sizeof big;
    TEST("a batch with one oversized datagram sends the others and says which one was refused");
    CHECK_STATUS(wtgram_transport_send_batch(pair->client_datagrams, mixed, 3, NULL, results, &accepted),
                 WTGRAM_ERROR_TOO_LARGE);
    CHECK_UINT(accepted, 2);
    CHECK_OK(results[0]);
    CHECK_STATUS(results[1], WTGRAM_ERROR_TOO_LARGE);
    CHECK_OK(results[2]);
    while (got < 2) {
        CHECK_OK(wtgram_transport_receive_batch(pair->accepted_datagrams, PATIENCE_US, arena, sizeof arena, received, 3,
                                                &count));
        for (size_t i = 0; i < count; i++, got++) CHECK_UINT(received[i].length, got == 0 ? 1 : 3);
    }
    CHECK_UINT(got, 2);
}

static void empty_batches(const struct pair *pair)
{
    uint8_t arena[10];
    wtgram_received_datagram received[1];
    size_t accepted = 9, count = 9;
    TEST("a batch of none is fine and does nothing; an empty queue would block or time out");
    CHECK_OK(wtgram_transport_send_batch(pair->client_datagrams, NULL, 0, NULL, NULL, &accepted));
    CHECK_UINT(accepted, 0);
    CHECK_STATUS(wtgram_transport_receive_batch(pair->client_datagrams, 0, arena, sizeof arena, received, 1, &count),
                 WTGRAM_ERROR_WOULD_BLOCK);
    CHECK_UINT(count, 0);
    CHECK_STATUS(wtgram_transport_receive_batch(pair->client_datagrams, 20 * MILLISECOND_US, arena, sizeof arena,
                                                received, 1, &count),
                 WTGRAM_ERROR_TIMED_OUT);
    CHECK_UINT(count, 0);
}

int main(void)
{
    struct pair pair;
    make_slices();
    pair_open(&pair, NULL);
    batches_arrive_in_order(&pair);
    what_does_not_fit_stays(&pair);
    one_bad_datagram_does_not_stop_the_others(&pair);
    empty_batches(&pair);
    pair_free(&pair);
    return 0;
}
