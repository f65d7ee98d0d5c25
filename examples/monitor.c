/* Connects to an echo server, keeps it busy, and monitors the transport. Prints the newest sample every second, alerts
 * when they begin and end, and at the end the figures as Prometheus reads them.
 *
 *   monitor URL HASH [SECONDS]
 *
 * echo_server prints URL and HASH. SECONDS (default 5) is how long the program runs. Every third second it sends faster
 * than any path carries, so that the outgoing queue evicts and the monitor raises alerts.
 * Exit codes: 0 all went well, 1 something failed, 2 wrong usage. */
#define _POSIX_C_SOURCE 200809L
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <wtgram.h>

enum { MILLISECOND_US = 1000, SECOND_US = 1000 * 1000, BURST = 2000 };

static int failed(const char *what, wtgram_status status)
{
    return fprintf(stderr, "monitor: %s: %s\n", what, wtgram_status_message(status)), 1;
}

static bool parse_hash(const char *text, uint8_t *hash)
{
    if (strlen(text) != 2 * WTGRAM_CERTIFICATE_HASH_LENGTH) return false;
    for (size_t i = 0; i < WTGRAM_CERTIFICATE_HASH_LENGTH; i++) {
        unsigned byte = 0;
        if (sscanf(text + 2 * i, "%2x", &byte) != 1) return false;
        hash[i] = (uint8_t)byte;
    }
    return true;
}

/* Sends the datagrams of one second: a few, or far too many. The echoes are never received, so the queue drops them. */
static wtgram_status work(wtgram_transport datagrams, int second)
{
    static const uint8_t payload[1000];
    for (int i = 0; i < (second % 3 == 2 ? BURST : 20); i++) {
        wtgram_status status = wtgram_transport_send(datagrams, payload, sizeof payload, NULL);
        if (status != WTGRAM_OK) return status;
    }
    return WTGRAM_OK;
}

static void print_sample(const wtgram_sample *sample)
{
    printf("sent %" PRIu64 ", received %" PRIu64 ", waiting %" PRIu64 ", evicted %" PRIu64 ", round trip %" PRId64
           " us, lost %" PRIu64 " of %" PRIu64 " packets\n",
           sample->datagrams_sent, sample->datagrams_received, sample->outgoing_queue_size, sample->evicted,
           sample->rtt_us, sample->packets_lost, sample->packets_sent);
}

/* Prints the alerts of one second when they arrive. */
static wtgram_status print_alerts(wtgram_monitor monitor)
{
    struct timespec start, now;
    int64_t left = SECOND_US;
    clock_gettime(CLOCK_MONOTONIC, &start);
    while (left > 0) {
        wtgram_alert alert;
        wtgram_status status = wtgram_monitor_next_alert(monitor, left, &alert);
        if (status != WTGRAM_OK) return status == WTGRAM_ERROR_TIMED_OUT ? WTGRAM_OK : status;
        printf("%s %s\n", alert.began ? "ALERT" : "     ", alert.message);
        clock_gettime(CLOCK_MONOTONIC, &now);
        left = SECOND_US - (now.tv_sec - start.tv_sec) * SECOND_US - (now.tv_nsec - start.tv_nsec) / 1000;
    }
    return WTGRAM_OK;
}

static int watch(wtgram_transport datagrams, wtgram_monitor monitor, int seconds)
{
    for (int second = 0; second < seconds; second++) {
        wtgram_sample sample;
        size_t count = 0;
        wtgram_status status = work(datagrams, second);
        if (status == WTGRAM_OK) status = print_alerts(monitor);
        if (status == WTGRAM_OK) status = wtgram_monitor_get_samples(monitor, &sample, 1, &count);
        if (status != WTGRAM_OK) return failed("watch", status);
        if (count > 0) print_sample(&sample);
        fflush(stdout);
    }
    static char text[16384];
    size_t length = 0;
    wtgram_status status = wtgram_transport_get_prometheus(datagrams, text, sizeof text, &length);
    if (status != WTGRAM_OK) return failed("prometheus", status);
    printf("%s", text);
    return 0;
}

int main(int argc, char **argv)
{
    uint8_t hash[WTGRAM_CERTIFICATE_HASH_LENGTH];
    if (argc < 3 || argc > 4 || !parse_hash(argv[2], hash))
        return fprintf(stderr, "usage: monitor URL HASH [SECONDS]\n"), 2;
    wtgram_connect_options connect;
    wtgram_connect_options_init(&connect);
    connect.trust = WTGRAM_TRUST_CERTIFICATE_HASHES;
    connect.certificate_hashes = hash;
    connect.certificate_hashes_count = 1;
    wtgram_session session = {0};
    wtgram_transport datagrams = {0};
    wtgram_monitor monitor = {0};
    char detail[256] = "";
    wtgram_status status = wtgram_session_connect(argv[1], &connect, &session, detail, sizeof detail);
    if (status != WTGRAM_OK) return fprintf(stderr, "monitor: %s\n", detail), failed("connect", status);

    wtgram_monitor_options options;
    wtgram_monitor_options_init(&options);
    options.interval_us = 200 * MILLISECOND_US; /* the default is 5 s; this program runs only for a few seconds */
    status = wtgram_session_get_transport(session, &datagrams);
    if (status == WTGRAM_OK) status = wtgram_monitor_open(datagrams, &options, &monitor);
    int exit_code =
        status == WTGRAM_OK ? watch(datagrams, monitor, argc == 4 ? atoi(argv[3]) : 5) : failed("open", status);
    wtgram_monitor_free(monitor);
    wtgram_session_free(session);
    status = wtgram_shutdown(SECOND_US);
    return status == WTGRAM_OK ? exit_code : failed("shutdown", status);
}
