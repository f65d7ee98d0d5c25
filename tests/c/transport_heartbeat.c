/* Heartbeats, and the check for a silent peer. */
#include "check.h"
#include "pair.h"

#include <time.h>

static void payload(void)
{
    uint8_t buffer[WTGRAM_HEARTBEAT_MAX_LENGTH + 1];
    size_t length = 0;
    bool heartbeat = false;
    TEST("a heartbeat is HEARTBEAT: and the Unix time in seconds");
    CHECK_OK(wtgram_datagram_write_heartbeat(buffer, WTGRAM_HEARTBEAT_MAX_LENGTH, &length));
    CHECK(length <= WTGRAM_HEARTBEAT_MAX_LENGTH);
    CHECK_BYTES(buffer, "HEARTBEAT:", 10);
    buffer[length] = '\0';
    long long seconds = strtoll((char *)buffer + 10, NULL, 10);
    CHECK(llabs(seconds - (long long)time(NULL)) <= 1);
    TEST("is_heartbeat looks at the beginning only");
    CHECK_OK(wtgram_datagram_is_heartbeat(buffer, length, &heartbeat));
    CHECK(heartbeat);
    CHECK_OK(wtgram_datagram_is_heartbeat((const uint8_t *)"HEARTBEAT:", 10, &heartbeat));
    CHECK(heartbeat);
    CHECK_OK(wtgram_datagram_is_heartbeat((const uint8_t *)"HEARTBEAT", 9, &heartbeat));
    CHECK(!heartbeat);
    heartbeat = true;
    CHECK_OK(wtgram_datagram_is_heartbeat(NULL, 0, &heartbeat));
    CHECK(!heartbeat);
    TEST("a buffer that is too small gets the length needed");
    size_t needed = 0;
    CHECK_STATUS(wtgram_datagram_write_heartbeat(buffer, 5, &needed), WTGRAM_ERROR_BUFFER_TOO_SMALL);
    CHECK_UINT(needed, length);
    CHECK_STATUS(wtgram_datagram_write_heartbeat(NULL, 0, &needed), WTGRAM_ERROR_BUFFER_TOO_SMALL);
    CHECK_UINT(needed, length);
}

static void expect_heartbeat(wtgram_transport datagrams)
{
    uint8_t buffer[100];
    size_t length = 0;
    bool heartbeat = false;
    CHECK_OK(wtgram_transport_receive(datagrams, PATIENCE_US, buffer, sizeof buffer, &length));
    CHECK_OK(wtgram_datagram_is_heartbeat(buffer, length, &heartbeat));
    CHECK(heartbeat);
}

static void beats(const struct pair *pair)
{
    wtgram_heartbeat_options options;
    wtgram_heartbeat_options_init(&options);
    TEST("the default is one heartbeat at once and one every 30 s, without a watch");
    CHECK_UINT(options.interval_us, 30 * SECOND_US);
    CHECK_UINT(options.silent_after_intervals, 0);
    CHECK_OK(wtgram_transport_start_heartbeat(pair->client_datagrams, NULL));
    expect_heartbeat(pair->accepted_datagrams);
    TEST("with an interval of 20 ms they keep coming, until they are stopped");
    options.interval_us = 20 * MILLISECOND_US;
    CHECK_OK(wtgram_transport_start_heartbeat(pair->client_datagrams, &options));
    for (int i = 0; i < 5; i++) expect_heartbeat(pair->accepted_datagrams);
    CHECK_OK(wtgram_transport_stop_heartbeat(pair->client_datagrams));
    CHECK_OK(wtgram_transport_stop_heartbeat(pair->client_datagrams));
    wtgram_transport_stats then, later;
    wtgram_transport_stats_init(&then);
    wtgram_transport_stats_init(&later);
    CHECK_OK(wtgram_transport_get_stats(pair->client_datagrams, &then));
    sleep_us(100 * MILLISECOND_US);
    CHECK_OK(wtgram_transport_get_stats(pair->client_datagrams, &later));
    CHECK(later.datagrams_sent <= then.datagrams_sent + 1); /* one may have been on its way to QUIC */
    TEST("an interval of 0, below 0 or below a millisecond is refused");
    for (options.interval_us = -1; options.interval_us <= 999; options.interval_us += 500)
        CHECK_STATUS(wtgram_transport_start_heartbeat(pair->client_datagrams, &options), WTGRAM_ERROR_INVALID_ARGUMENT);
}

static void silent_peer(const struct pair *pair)
{
    wtgram_heartbeat_options options;
    wtgram_poller poller;
    wtgram_event event;
    size_t count = 0, length = 0;
    bool silent = true;
    char text[4096];
    TEST("a peer that says nothing for 3 intervals is silent: for the poller, the getter and the diagnosis");
    wtgram_heartbeat_options_init(&options);
    options.interval_us = 30 * MILLISECOND_US;
    options.silent_after_intervals = 3;
    CHECK_OK(wtgram_poller_new(&poller));
    CHECK_OK(wtgram_poller_add(poller, pair->client_datagrams.id, WTGRAM_READY_PEER_SILENT, 1));
    CHECK_OK(wtgram_transport_is_peer_silent(pair->client_datagrams, &silent));
    CHECK(!silent);
    int64_t start = now_us();
    CHECK_OK(wtgram_transport_start_heartbeat(pair->client_datagrams, &options));
    CHECK_OK(wtgram_poller_wait(poller, PATIENCE_US, &event, 1, &count));
    CHECK(count == 1 && event.ready == WTGRAM_READY_PEER_SILENT);
    CHECK(now_us() - start >= 90 * MILLISECOND_US);
    CHECK_OK(wtgram_transport_is_peer_silent(pair->client_datagrams, &silent));
    CHECK(silent);
    CHECK_OK(wtgram_transport_diagnose(pair->client_datagrams, text, sizeof text, &length));
    CHECK(strstr(text, "\"silent_peer\"") != NULL);
    TEST("a datagram of any kind ends that");
    /* Repeats, because on a busy machine the peer may be silent again before this thread looks. */
    for (int64_t end = now_us() + PATIENCE_US; silent && now_us() < end; sleep_us(100)) {
        CHECK_OK(wtgram_transport_send(pair->accepted_datagrams, (const uint8_t *)"x", 1, NULL));
        CHECK_OK(wtgram_transport_is_peer_silent(pair->client_datagrams, &silent));
    }
    CHECK(!silent);
    CHECK_OK(wtgram_transport_stop_heartbeat(pair->client_datagrams));
    wtgram_poller_free(poller);
    TEST("a closed transport does not beat");
    CHECK_OK(wtgram_transport_close(pair->client_datagrams));
    CHECK_STATUS(wtgram_transport_start_heartbeat(pair->client_datagrams, NULL), WTGRAM_ERROR_CLOSED);
}

int main(void)
{
    struct pair pair;
    payload();
    pair_open(&pair, NULL);
    beats(&pair);
    silent_peer(&pair);
    pair_free(&pair);
    return 0;
}
