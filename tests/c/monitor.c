/* Monitors: samples in a ring, alerts when a condition begins and ends, Prometheus text. */
#include "blocked.h"
#include "check.h"
#include "pair.h"

static wtgram_monitor watch(wtgram_transport transport, int64_t interval_us)
{
    wtgram_monitor_options options;
    wtgram_monitor monitor;
    wtgram_monitor_options_init(&options);
    options.interval_us = interval_us;
    options.max_samples = 5;
    options.max_alerts = 3;
    CHECK_OK(wtgram_monitor_open(transport, &options, &monitor));
    return monitor;
}

/* Returns how many samples there are, and copies up to `limit` of them. */
static size_t samples_of(wtgram_monitor monitor, wtgram_sample *samples, size_t limit)
{
    size_t count = 99;
    CHECK_OK(wtgram_monitor_get_samples(monitor, samples, limit, &count));
    return count;
}

static void defaults_are_the_references(void)
{
    wtgram_monitor_options options;
    TEST("the defaults: 5 s, 100 samples, 50 alerts, 0.9, 0.8, a window of 10");
    wtgram_monitor_options_init(&options);
    CHECK_UINT(options.interval_us, 5 * SECOND_US);
    CHECK_UINT(options.max_samples, 100);
    CHECK_UINT(options.max_alerts, 50);
    CHECK(options.queue_size_threshold > 0.89 && options.queue_size_threshold < 0.91);
    CHECK(options.success_rate_threshold > 0.79 && options.success_rate_threshold < 0.81);
    CHECK_UINT(options.trend_window, 10);
}

static void samples_in_a_ring(void)
{
    struct pair pair;
    wtgram_sample samples[10];
    bool monitoring = false;
    pair_open(&pair, NULL);
    wtgram_monitor monitor = watch(pair.client_datagrams, 20 * MILLISECOND_US);
    TEST("a sample for each interval, of which the newest are kept, oldest first");
    CHECK_UINT(samples_of(monitor, samples, 10), 0);
    CHECK_OK(wtgram_monitor_is_monitoring(monitor, &monitoring));
    CHECK(monitoring);
    for (int i = 0; i < 7; i++) pair_exchange(pair.client_datagrams, pair.accepted_datagrams, "x", 1);
    int64_t start = now_us();
    int64_t first = 0;
    while (samples_of(monitor, samples, 10) < 1 && now_us() - start < PATIENCE_US) sleep_us(MILLISECOND_US);
    first = samples[0].timestamp_us;
    while ((samples_of(monitor, samples, 10) < 5 || samples[0].timestamp_us == first) && now_us() - start < PATIENCE_US)
        sleep_us(5 * MILLISECOND_US);
    CHECK_UINT(samples_of(monitor, samples, 10), 5);
    CHECK(samples[0].timestamp_us > first);
    for (int i = 1; i < 5; i++) {
        int64_t apart = samples[i].timestamp_us - samples[i - 1].timestamp_us;
        CHECK(apart > 0);
    }
    CHECK_UINT(samples[4].datagrams_sent, 7);
    CHECK_UINT(samples[4].bytes_sent, 7);
    CHECK(samples[4].send_success_rate > 0.99);
    CHECK(samples[4].rtt_us > 0);
    CHECK(samples[4].packets_sent >= 7);
    TEST("a limit gives the newest");
    wtgram_sample two[2];
    CHECK_UINT(samples_of(monitor, two, 2), 5);
    CHECK(two[1].timestamp_us >= samples[4].timestamp_us);
    CHECK(two[1].timestamp_us > two[0].timestamp_us);
    TEST("without a place for any it says how many there are");
    CHECK_UINT(samples_of(monitor, NULL, 0), 5);
    TEST("after close nothing is added, and what it has can be read");
    CHECK_OK(wtgram_monitor_close(monitor));
    CHECK_OK(wtgram_monitor_is_monitoring(monitor, &monitoring));
    CHECK(!monitoring);
    CHECK_UINT(samples_of(monitor, samples, 10), 5);
    sleep_us(60 * MILLISECOND_US);
    two[1].timestamp_us = 0;
    CHECK_UINT(samples_of(monitor, two, 1), 5);
    CHECK_UINT(two[0].timestamp_us, samples[4].timestamp_us);
    CHECK_UINT(two[1].timestamp_us, 0);
    wtgram_monitor_free(monitor);
    wtgram_monitor_free(monitor);
    pair_free(&pair);
}

static void alerts_begin_and_end(void)
{
    struct pair pair;
    wtgram_poller poller;
    wtgram_event event;
    wtgram_alert alert, kept[4];
    static uint8_t large[70000];
    size_t count = 0;
    pair_open(&pair, NULL);
    wtgram_monitor monitor = watch(pair.client_datagrams, 20 * MILLISECOND_US);
    CHECK_OK(wtgram_poller_new(&poller));
    CHECK_OK(wtgram_poller_add(poller, monitor.id, WTGRAM_READY_ALERT, 5));
    CHECK_STATUS(wtgram_poller_wait(poller, 0, &event, 1, &count), WTGRAM_ERROR_WOULD_BLOCK);
    CHECK_STATUS(wtgram_monitor_next_alert(monitor, 0, &alert), WTGRAM_ERROR_WOULD_BLOCK);
    CHECK_STATUS(wtgram_monitor_next_alert(monitor, 50 * MILLISECOND_US, &alert), WTGRAM_ERROR_TIMED_OUT);
    CHECK_UINT(alert.kind, 0);
    TEST("sends that fail are an alert, told once while they stand, and heard of through the poller");
    pair_exchange(pair.client_datagrams, pair.accepted_datagrams, "x", 1);
    CHECK_STATUS(wtgram_transport_send(pair.client_datagrams, large, sizeof large, NULL), WTGRAM_ERROR_TOO_LARGE);
    CHECK_OK(wtgram_poller_wait(poller, PATIENCE_US, &event, 1, &count));
    CHECK_UINT(event.object, monitor.id);
    CHECK_UINT(event.ready, WTGRAM_READY_ALERT);
    CHECK_OK(wtgram_monitor_next_alert(monitor, 0, &alert));
    CHECK_UINT(alert.kind, WTGRAM_ALERT_LOW_SUCCESS_RATE);
    CHECK_UINT(alert.began, 1);
    CHECK(alert.value > 0.49 && alert.value < 0.51 && alert.threshold > 0.79 && alert.threshold < 0.81);
    CHECK_TEXT(alert.message, "low send success rate: 50.00%");
    CHECK_STATUS(wtgram_monitor_next_alert(monitor, 100 * MILLISECOND_US, &alert), WTGRAM_ERROR_TIMED_OUT);
    CHECK_STATUS(wtgram_poller_wait(poller, 0, &event, 1, &count), WTGRAM_ERROR_WOULD_BLOCK);
    TEST("and when enough succeed it ends");
    for (int i = 0; i < 4; i++) pair_exchange(pair.client_datagrams, pair.accepted_datagrams, "x", 1);
    CHECK_OK(wtgram_monitor_next_alert(monitor, PATIENCE_US, &alert));
    CHECK_UINT(alert.kind, WTGRAM_ALERT_LOW_SUCCESS_RATE);
    CHECK_UINT(alert.began, 0);
    CHECK_OK(wtgram_monitor_get_alerts(monitor, kept, 4, &count));
    CHECK_UINT(count, 2);
    CHECK_UINT(kept[0].began, 1);
    CHECK_UINT(kept[1].began, 0);
    kept[0].began = kept[1].began = 7;
    CHECK_OK(wtgram_monitor_get_alerts(monitor, kept, 1, &count));
    CHECK_UINT(count, 2);
    CHECK(kept[0].began == 0 && kept[1].began == 7);
    CHECK_OK(wtgram_monitor_get_alerts(monitor, NULL, 0, &count));
    CHECK_UINT(count, 2);
    wtgram_poller_free(poller);
    wtgram_monitor_free(monitor);
    pair_free(&pair);
}

static wtgram_status next_alert(void *argument)
{
    wtgram_alert alert;
    return wtgram_monitor_next_alert(*(wtgram_monitor *)argument, WTGRAM_FOREVER, &alert);
}

/* Waits until the monitor reports an end that is later than the last one. */
static void wait_for_the_end(wtgram_monitor monitor, int64_t *ended_us)
{
    wtgram_alert newest[1];
    for (int64_t start = now_us(); now_us() - start < PATIENCE_US; sleep_us(MILLISECOND_US)) {
        size_t count = 0;
        CHECK_OK(wtgram_monitor_get_alerts(monitor, newest, 1, &count));
        if (count == 0 || newest[0].began == 1 || newest[0].timestamp_us <= *ended_us) continue;
        *ended_us = newest[0].timestamp_us;
        return;
    }
    CHECK(!"the monitor tells of the end");
}

static void drops_and_missed_alerts(void)
{
    int64_t ended_us = 0;
    struct pair pair;
    wtgram_alert alert;
    struct blocked blocked;
    pair_open(&pair, NULL);
    wtgram_monitor monitor = watch(pair.accepted_datagrams, 10 * MILLISECOND_US);
    TEST("incoming datagrams that are dropped alert; alerts nobody fetches are dropped and counted");
    static uint8_t data[1000];
    /* Each burst overflows the incoming queue of 1 MiB, so a condition begins and ends. At most 3 alerts wait to be
     * fetched. */
    for (int burst = 0; burst < 4; burst++) {
        wtgram_transport_stats statistics;
        uint64_t before;
        wtgram_transport_stats_init(&statistics);
        CHECK_OK(wtgram_transport_get_stats(pair.accepted_datagrams, &statistics));
        before = statistics.receive_dropped_full;
        int64_t start = now_us();
        while (statistics.receive_dropped_full == before && now_us() - start < PATIENCE_US) {
            for (int i = 0; i < 50; i++)
                CHECK_OK(wtgram_transport_send(pair.client_datagrams, data, sizeof data, NULL));
            sleep_us(200);
            CHECK_OK(wtgram_transport_get_stats(pair.accepted_datagrams, &statistics));
        }
        CHECK(statistics.receive_dropped_full > before);
        wait_for_the_end(monitor, &ended_us);
    }
    CHECK_OK(wtgram_monitor_next_alert(monitor, 0, &alert));
    CHECK_UINT(alert.kind, WTGRAM_ALERT_INBOUND_DROPS);
    CHECK(alert.missed >= 1);
    CHECK_OK(wtgram_monitor_next_alert(monitor, 0, &alert));
    CHECK_UINT(alert.missed, 0);
    TEST("close wakes who waits for an alert, and so does the end of the session");
    while (wtgram_monitor_next_alert(monitor, 100 * MILLISECOND_US, &alert) == WTGRAM_OK) {}
    blocked_start(&blocked, next_alert, &monitor);
    CHECK_OK(wtgram_monitor_close(monitor));
    blocked_expect(&blocked, WTGRAM_ERROR_CLOSED);
    wtgram_monitor other = watch(pair.accepted_datagrams, SECOND_US);
    blocked_start(&blocked, next_alert, &other);
    CHECK_OK(wtgram_session_close(pair.accepted, 0, NULL, 0));
    blocked_expect(&blocked, WTGRAM_ERROR_CLOSED);
    wtgram_monitor none = {1};
    CHECK_STATUS(wtgram_monitor_open(pair.accepted_datagrams, NULL, &none), WTGRAM_ERROR_CLOSED);
    CHECK_UINT(none.id, 0);
    wtgram_monitor_free(other);
    wtgram_monitor_free(monitor);
    pair_free(&pair);
}

static void options_are_checked(void)
{
    struct pair pair;
    wtgram_monitor_options options;
    wtgram_monitor monitor = {1};
    pair_open(&pair, NULL);
    TEST("no interval below 10 ms, no empty or huge rings, no thresholds that are no numbers");
    wtgram_monitor_options_init(&options);
    options.interval_us = 0;
    CHECK_STATUS(wtgram_monitor_open(pair.client_datagrams, &options, &monitor), WTGRAM_ERROR_INVALID_ARGUMENT);
    CHECK_UINT(monitor.id, 0);
    options.interval_us = 10 * MILLISECOND_US - 1;
    CHECK_STATUS(wtgram_monitor_open(pair.client_datagrams, &options, &monitor), WTGRAM_ERROR_INVALID_ARGUMENT);
    wtgram_monitor_options_init(&options);
    options.max_samples = 0;
    CHECK_STATUS(wtgram_monitor_open(pair.client_datagrams, &options, &monitor), WTGRAM_ERROR_INVALID_ARGUMENT);
    options.max_samples = 65537;
    CHECK_STATUS(wtgram_monitor_open(pair.client_datagrams, &options, &monitor), WTGRAM_ERROR_INVALID_ARGUMENT);
    wtgram_monitor_options_init(&options);
    options.loss_rise = -1;
    CHECK_STATUS(wtgram_monitor_open(pair.client_datagrams, &options, &monitor), WTGRAM_ERROR_INVALID_ARGUMENT);
    TEST("an interval beyond the clock is never, not a fault");
    wtgram_monitor_options_init(&options);
    options.interval_us = INT64_MAX;
    options.max_samples = options.max_alerts = 65536;
    CHECK_OK(wtgram_monitor_open(pair.client_datagrams, &options, &monitor));
    wtgram_monitor_free(monitor);
    pair_free(&pair);
}

static uint64_t figure(const char *text, const char *name)
{
    const char *place = strstr(text, name);
    CHECK(place != NULL);
    return strtoull(place + strlen(name), NULL, 10);
}

static const char SENT[] = "\nwtgram_send_datagrams_total{outcome=\"sent\"} ";
static const char TRANSPORTS[] = "\nwtgram_transports ";

/* Waits until `count` transports exist. Returns how many datagrams were sent; this number must not fall meanwhile. */
static uint64_t wait_for_transports(char *text, size_t capacity, uint64_t count)
{
    uint64_t sent = 0;
    size_t length = 0;
    int64_t start = now_us();
    do {
        CHECK_OK(wtgram_process_get_prometheus(text, capacity, &length));
        CHECK(figure(text, SENT) >= sent);
        sent = figure(text, SENT);
    } while (figure(text, TRANSPORTS) != count && now_us() - start < PATIENCE_US);
    CHECK_UINT(figure(text, TRANSPORTS), count);
    return sent;
}

static void prometheus_text(void)
{
    static char text[16384];
    struct pair pair;
    size_t length = 0, needed = 0;
    TEST("transports of freed sessions go, soon");
    uint64_t before = wait_for_transports(text, sizeof text, 0);
    pair_open(&pair, NULL);
    for (int i = 0; i < 3; i++) pair_exchange(pair.client_datagrams, pair.accepted_datagrams, "abc", 3);
    TEST("one transport: labelled with its peer, with its path's figures, ending as OpenMetrics does");
    CHECK_OK(wtgram_transport_get_prometheus(pair.client_datagrams, text, sizeof text, &length));
    CHECK_UINT(length, strlen(text));
    CHECK(strstr(text, "wtgram_send_datagrams_total{peer=\"127.0.0.1:") != NULL);
    CHECK(strstr(text, "outcome=\"sent\"} 3\n") != NULL);
    CHECK(strstr(text, "# TYPE wtgram_rtt_seconds gauge\n") != NULL);
    CHECK_TEXT(text + length - 6, "# EOF\n");
    TEST("a buffer that is too small says what is needed");
    CHECK_STATUS(wtgram_transport_get_prometheus(pair.client_datagrams, text, 10, &needed),
                 WTGRAM_ERROR_BUFFER_TOO_SMALL);
    CHECK(needed > 1000);
    TEST("the whole process: sums, and what was counted once stays counted when sessions end");
    CHECK_OK(wtgram_process_get_prometheus(text, sizeof text, &length));
    CHECK_UINT(figure(text, SENT), before + 3);
    CHECK_UINT(figure(text, TRANSPORTS), 2);
    pair_free(&pair);
    CHECK_UINT(wait_for_transports(text, sizeof text, 0), before + 3);
}

int main(void)
{
    defaults_are_the_references();
    samples_in_a_ring();
    alerts_begin_and_end();
    drops_and_missed_alerts();
    options_are_checked();
    prometheus_text();
    return 0;
}
