/* Diagnosis, debug state, throughput test, and the statistics that pywebtransport has. */
#include "check.h"
#include "pair.h"

static void statistics(const struct pair *pair)
{
    wtgram_transport_stats sent, received;
    uint64_t id = 9, sequence = 0;
    uint8_t payload[400] = {0};
    TEST("statistics name the session, count datagrams and bytes, and know times, sizes, rates and the path");
    pair_exchange(pair->client_datagrams, pair->accepted_datagrams, payload, 400);
    pair_exchange(pair->client_datagrams, pair->accepted_datagrams, payload, 100);
    wtgram_transport_stats_init(&sent);
    wtgram_transport_stats_init(&received);
    CHECK_UINT(sent.struct_size, sizeof sent);
    CHECK_OK(wtgram_transport_get_stats(pair->client_datagrams, &sent));
    CHECK_OK(wtgram_transport_get_stats(pair->accepted_datagrams, &received));
    CHECK_OK(wtgram_transport_get_session_id(pair->client_datagrams, &id));
    CHECK_UINT(sent.session_id, id);
    CHECK(sent.created_at_us > INT64_C(1600000000) * SECOND_US);
    CHECK(sent.handed_in == 2 && sent.sent == 2 && sent.sent_bytes == 500);
    CHECK(sent.datagrams_sent == 2 && sent.bytes_sent == 500 && sent.send_failures == 0 && sent.send_drops == 0);
    CHECK(received.received == 2 && received.delivered == 2 && received.delivered_bytes == 500);
    CHECK(received.datagrams_received == 2 && received.bytes_received == 500);
    CHECK(received.receive_drops == 0 && received.receive_errors == 0 && received.receive_routed == 0);
    CHECK(received.min_datagram_size == 100 && received.max_datagram_size == 400);
    CHECK(received.total_datagram_size == 500);
    CHECK(received.avg_datagram_size > 249.9 && received.avg_datagram_size < 250.1);
    CHECK(sent.send_success_rate > 0.999 && received.receive_success_rate > 0.999);
    CHECK(sent.total_send_time_us >= sent.max_send_time_us && sent.avg_send_time_us > 0);
    CHECK(received.total_receive_time_us >= received.max_receive_time_us);
    CHECK(sent.rtt_us > 0 && sent.congestion_window_bytes > 0 && sent.packets_sent > 0);
    CHECK(received.silence_us < PATIENCE_US);
    int64_t silence_us = received.silence_us;
    sleep_us(MILLISECOND_US);
    CHECK_OK(wtgram_transport_get_stats(pair->accepted_datagrams, &received));
    CHECK(received.silence_us >= silence_us + MILLISECOND_US); /* the peer sends nothing meanwhile */
    CHECK_UINT(sent.outcomes_waiting, 0);
    CHECK_OK(wtgram_transport_get_send_sequence(pair->client_datagrams, &sequence));
    CHECK_UINT(sequence, 2);
    CHECK_OK(wtgram_transport_get_receive_sequence(pair->accepted_datagrams, &sequence));
    CHECK_UINT(sequence, 2);
    TEST("nothing yet: success rates of 1, a smallest size of 0");
    CHECK_OK(wtgram_transport_get_stats(pair->accepted_datagrams, &received));
    CHECK(received.send_success_rate > 0.999 && received.avg_send_time_us < 0.001);
    CHECK(sent.receive_success_rate > 0.999 && sent.min_datagram_size == 100);
}

static void diagnosis(const struct pair *pair)
{
    char text[4096];
    size_t length = 9;
    TEST("a healthy transport has nothing to diagnose");
    CHECK_OK(wtgram_transport_diagnose(pair->client_datagrams, text, sizeof text, &length));
    CHECK_TEXT(text, "[]");
    CHECK_UINT(length, 2);
    TEST("refused datagrams are found with code, message and figure");
    static uint8_t big[70000];
    CHECK_STATUS(wtgram_transport_send(pair->client_datagrams, big, sizeof big, NULL), WTGRAM_ERROR_TOO_LARGE);
    CHECK_OK(wtgram_transport_diagnose(pair->client_datagrams, text, sizeof text, &length));
    CHECK(strstr(text, "\"code\":\"low_send_success_rate\"") != NULL);
    CHECK(strstr(text, "\"message\":\"Low send success rate: 66.67%\"") != NULL);
    CHECK(strstr(text, "\"figure\":0.666") != NULL);
    CHECK_UINT(length, strlen(text));
    TEST("a buffer that is too small gets the length needed and an empty text");
    size_t needed = 0;
    CHECK_STATUS(wtgram_transport_diagnose(pair->client_datagrams, text, length, &needed),
                 WTGRAM_ERROR_BUFFER_TOO_SMALL);
    CHECK_UINT(needed, length);
    CHECK_TEXT(text, "");
    TEST("the debug state has six groups");
    static char state[8192];
    static const char *const groups[] = {"transport", "statistics", "queues", "configuration", "sequences", "session"};
    CHECK_OK(wtgram_transport_get_debug_state(pair->client_datagrams, state, sizeof state, &length));
    for (size_t i = 0; i < sizeof groups / sizeof groups[0]; i++) {
        char key[32];
        snprintf(key, sizeof key, "\"%s\":{", groups[i]);
        CHECK(strstr(state, key) != NULL);
    }
    CHECK_UINT(length, strlen(state));
    CHECK_STATUS(wtgram_transport_get_debug_state(pair->client_datagrams, state, 10, &needed),
                 WTGRAM_ERROR_BUFFER_TOO_SMALL);
    CHECK(needed > 100);
}

struct progress {
    wtgram_transport datagrams;
    int calls, allowed;
    uint64_t last_sent;
    wtgram_status nested;
    bool finished;
};

static bool on_progress(void *context, const wtgram_throughput_report *report)
{
    struct progress *progress = (struct progress *)context;
    wtgram_throughput_report nested;
    CHECK(!progress->finished); /* never after the function has returned */
    CHECK(report->datagrams_sent >= progress->last_sent && report->duration_us > 0);
    progress->last_sent = report->datagrams_sent;
    wtgram_throughput_report_init(&nested);
    progress->nested = wtgram_transport_throughput_test(progress->datagrams, NULL, &nested);
    return ++progress->calls < progress->allowed;
}

static void throughput(const struct pair *pair)
{
    wtgram_throughput_options options;
    wtgram_throughput_report report;
    wtgram_throughput_options_init(&options);
    TEST("the default is 10 s of datagrams of 1000 bytes");
    CHECK(options.duration_us == 10 * SECOND_US && options.datagram_size == 1000);
    TEST("a test of 300 ms says how much QUIC took");
    struct progress progress;
    memset(&progress, 0, sizeof progress);
    progress.datagrams = pair->client_datagrams;
    progress.allowed = 1000;
    options.duration_us = 300 * MILLISECOND_US;
    options.datagram_size = 500;
    options.progress_interval_us = 50 * MILLISECOND_US;
    options.progress = on_progress;
    options.context = &progress;
    wtgram_throughput_report_init(&report);
    CHECK_OK(wtgram_transport_throughput_test(pair->client_datagrams, &options, &report));
    progress.finished = true;
    CHECK(report.duration_us >= 300 * MILLISECOND_US);
    CHECK(report.datagrams_sent > 0 && report.bytes_sent == 500 * report.datagrams_sent);
    double seconds = (double)report.duration_us / SECOND_US;
    CHECK(report.throughput_dps > 0.99 * (double)report.datagrams_sent / seconds);
    CHECK(report.throughput_bps > 3999 * report.throughput_dps);
    CHECK(report.errors == 0 && report.error_rate < 0.001 && report.cancelled == 0);
    CHECK(progress.calls <= 5);
    TEST("a callback hears of the progress, and ends it by returning false");
    memset(&progress, 0, sizeof progress);
    progress.datagrams = pair->client_datagrams;
    progress.allowed = 2;
    options.duration_us = 3600 * (int64_t)SECOND_US;
    CHECK_OK(wtgram_transport_throughput_test(pair->client_datagrams, &options, &report));
    CHECK(report.cancelled == 1 && progress.calls == 2);
    TEST("from inside a callback a test is INVALID_STATE");
    CHECK_STATUS(progress.nested, WTGRAM_ERROR_INVALID_STATE);
    TEST("what cannot be tried is refused, with a zeroed report");
    options.datagram_size = 70000;
    CHECK_STATUS(wtgram_transport_throughput_test(pair->client_datagrams, &options, &report), WTGRAM_ERROR_TOO_LARGE);
    CHECK(report.datagrams_sent == 0 && report.duration_us == 0 && report.struct_size == sizeof report);
    options.datagram_size = 100;
    options.duration_us = 0;
    CHECK_STATUS(wtgram_transport_throughput_test(pair->client_datagrams, &options, &report),
                 WTGRAM_ERROR_INVALID_ARGUMENT);
    options.duration_us = INT64_MAX;
    CHECK_STATUS(wtgram_transport_throughput_test(pair->client_datagrams, &options, &report),
                 WTGRAM_ERROR_INVALID_ARGUMENT);
    options.duration_us = 1000;
    options.progress_interval_us = -1;
    CHECK_STATUS(wtgram_transport_throughput_test(pair->client_datagrams, &options, &report),
                 WTGRAM_ERROR_INVALID_ARGUMENT);
    CHECK_OK(wtgram_transport_close(pair->client_datagrams));
    wtgram_throughput_options_init(&options);
    CHECK_STATUS(wtgram_transport_throughput_test(pair->client_datagrams, &options, &report), WTGRAM_ERROR_CLOSED);
    char text[4096];
    size_t length = 0;
    CHECK_OK(wtgram_transport_diagnose(pair->client_datagrams, text, sizeof text, &length));
    CHECK(strstr(text, "\"transport_closed\"") != NULL);
}

int main(void)
{
    struct pair pair;
    pair_open(&pair, NULL);
    statistics(&pair);
    diagnosis(&pair);
    throughput(&pair);
    pair_free(&pair);
    return 0;
}
