/* Our end of the reliability interop test (run_reliability.py says what both ends do), with the C header alone.
 *
 *   reliability_peer server COUNT
 *   reliability_peer client URL COUNT
 *
 * Sends COUNT numbered messages, and receives COUNT, each exactly once. Prints this as one JSON object a line, and ends
 * when its standard input ends. A message has a 4-byte big-endian number and a pattern, whose size depends on the
 * number. */
#include <inttypes.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "wtgram.h"

enum { SIZE_RANGE_BYTES = 592, SIZE_MAX_BYTES = 600, BUFFER_BYTES = 2048, OUTCOMES = 256 };
static const int64_t PATIENCE_US = INT64_C(120) * 1000 * 1000;

struct work {
    wtgram_reliability layer;
    uint32_t count;
    bool sent_all;
};

static int fail(const char *what, wtgram_status status, const char *detail)
{
    printf("{\"event\": \"error\", \"what\": \"%s\", \"status\": \"%s\", \"message\": \"%s\"}\n", what,
           wtgram_status_name(status), detail != NULL ? detail : "");
    fflush(stdout);
    return 1;
}

static size_t make_message(uint32_t number, uint8_t *bytes)
{
    size_t size = 8 + (size_t)number * 37 % SIZE_RANGE_BYTES;
    for (size_t i = 0; i < size; i++) bytes[i] = (uint8_t)(number * 31 + i);
    for (int i = 0; i < 4; i++) bytes[i] = (uint8_t)(number >> (24 - 8 * i));
    return size;
}

/* Runs in its own thread, because messages are sent and received at the same time. */
static void *send_all(void *argument)
{
    struct work *work = (struct work *)argument;
    for (uint32_t number = 0; number < work->count; number++) {
        uint8_t bytes[SIZE_MAX_BYTES];
        size_t size = make_message(number, bytes);
        wtgram_send_options options;
        wtgram_send_options_init(&options);
        options.timeout_us = PATIENCE_US;
        options.report_id = (uint64_t)number + 1;
        wtgram_status status = wtgram_reliability_send(work->layer, bytes, size, &options);
        if (status != WTGRAM_OK) {
            fail("send", status, NULL);
            return NULL;
        }
    }
    work->sent_all = true;
    return NULL;
}

/* Returns the number of a message that is exactly as it was sent, or -1. */
static int64_t number_of(const uint8_t *bytes, size_t length, uint32_t count)
{
    uint8_t expected[SIZE_MAX_BYTES];
    if (length < 8) return -1;
    uint32_t number = (uint32_t)bytes[0] << 24 | (uint32_t)bytes[1] << 16 | (uint32_t)bytes[2] << 8 | bytes[3];
    if (number >= count || make_message(number, expected) != length || memcmp(expected, bytes, length) != 0) return -1;
    return number;
}

static int receive_all(const struct work *work)
{
    uint32_t received = 0, doubled = 0, wrong = 0;
    uint8_t buffer[BUFFER_BYTES];
    bool *seen = (bool *)calloc(work->count, sizeof *seen);
    if (seen == NULL) return fail("calloc", WTGRAM_ERROR_INTERNAL, NULL);
    while (received < work->count) {
        size_t length = 0;
        wtgram_status status = wtgram_reliability_receive(work->layer, PATIENCE_US, buffer, sizeof buffer, &length);
        if (status != WTGRAM_OK) {
            free(seen);
            printf("{\"event\": \"note\", \"received\": %" PRIu32 "}\n", received);
            return fail("receive", status, NULL);
        }
        int64_t number = number_of(buffer, length, work->count);
        wrong += number < 0;
        doubled += number >= 0 && seen[number];
        if (number >= 0 && !seen[number]) {
            seen[number] = true;
            received++;
        }
    }
    free(seen);
    printf("{\"event\": \"received\", \"messages\": %" PRIu32 ", \"doubled\": %" PRIu32 ", \"wrong\": %" PRIu32 "}\n",
           received, doubled, wrong);
    fflush(stdout);
    return 0;
}

/* Each message must have exactly one outcome. */
static int fetch_outcomes(const struct work *work)
{
    static wtgram_reliability_outcome outcomes[OUTCOMES];
    uint32_t settled = 0, acknowledged = 0, doubled = 0;
    bool *seen = (bool *)calloc(work->count, sizeof *seen);
    if (seen == NULL) return fail("calloc", WTGRAM_ERROR_INTERNAL, NULL);
    while (settled < work->count) {
        size_t count = 0;
        wtgram_status status = wtgram_reliability_next_outcomes(work->layer, PATIENCE_US, outcomes, OUTCOMES, &count);
        if (status != WTGRAM_OK) {
            free(seen);
            return fail("outcomes", status, NULL);
        }
        for (size_t i = 0; i < count; i++) {
            uint64_t number = outcomes[i].report_id - 1;
            doubled += number >= work->count || seen[number];
            if (number < work->count) seen[number] = true;
            acknowledged += outcomes[i].kind == WTGRAM_RELIABILITY_ACKNOWLEDGED;
            settled++;
        }
    }
    free(seen);
    printf("{\"event\": \"settled\", \"acknowledged\": %" PRIu32 ", \"doubled\": %" PRIu32 "}\n", acknowledged,
           doubled);
    fflush(stdout);
    return 0;
}

static int run(wtgram_session session, uint32_t count)
{
    struct work work = {{0}, count, false};
    pthread_t sender;
    wtgram_reliability_stats statistics;
    wtgram_reliability_stats_init(&statistics);
    wtgram_status status = wtgram_reliability_open_over_session(session, NULL, &work.layer);
    if (status != WTGRAM_OK) return fail("open", status, NULL);
    if (pthread_create(&sender, NULL, send_all, &work) != 0) return fail("thread", WTGRAM_ERROR_INTERNAL, NULL);
    int result = receive_all(&work);
    if (result != 0) wtgram_reliability_close(work.layer, 0); /* wakes the sender */
    if (result == 0) result = fetch_outcomes(&work);
    pthread_join(sender, NULL);
    status = wtgram_reliability_get_stats(work.layer, &statistics);
    if (status == WTGRAM_OK)
        printf("{\"event\": \"statistics\", \"transmissions\": %" PRIu64 ", \"early\": %" PRIu64
               ", \"by_timer\": %" PRIu64 ", \"gave_up\": %" PRIu64 ", \"duplicates\": %" PRIu64
               ", \"negotiated\": %" PRIu32 ", \"rtt_us\": %" PRId64 "}\n",
               statistics.transmissions, statistics.early_retransmits, statistics.timer_retransmits, statistics.gave_up,
               statistics.duplicates, statistics.negotiated, statistics.rtt_us);
    fflush(stdout);
    /* The peer may still need acknowledgements. The runner ends the input when both peers are done. */
    while (result == 0 && getchar() != EOF) {}
    wtgram_reliability_free(work.layer);
    return result != 0 || !work.sent_all;
}

static int client(const char *url, uint32_t count)
{
    char detail[512] = "";
    wtgram_session session;
    wtgram_connect_options options;
    wtgram_connect_options_init(&options);
    options.trust = WTGRAM_TRUST_INSECURE_NO_VERIFICATION;
    wtgram_status status = wtgram_session_connect(url, &options, &session, detail, sizeof detail);
    if (status != WTGRAM_OK) return fail("connect", status, detail);
    int result = run(session, count);
    wtgram_session_free(session);
    return result;
}

static int server(uint32_t count)
{
    char detail[512] = "";
    uint16_t port = 0;
    wtgram_server server;
    wtgram_session session;
    wtgram_listen_options options;
    wtgram_listen_options_init(&options);
    options.host = "127.0.0.1";
    wtgram_status status = wtgram_server_listen(&options, &server, detail, sizeof detail);
    if (status != WTGRAM_OK) return fail("listen", status, detail);
    status = wtgram_server_get_local_port(server, &port);
    if (status != WTGRAM_OK) return fail("port", status, NULL);
    printf("{\"event\": \"listening\", \"port\": %u}\n", port);
    fflush(stdout);
    status = wtgram_server_accept(server, PATIENCE_US, &session);
    if (status != WTGRAM_OK) return fail("accept", status, NULL);
    int result = run(session, count);
    wtgram_session_free(session);
    wtgram_server_free(server);
    return result;
}

int main(int argc, char **argv)
{
    int result = 2;
    if (argc == 3 && strcmp(argv[1], "server") == 0) result = server((uint32_t)strtoul(argv[2], NULL, 10));
    else if (argc == 4 && strcmp(argv[1], "client") == 0)
        result = client(argv[2], (uint32_t)strtoul(argv[3], NULL, 10));
    else fprintf(stderr, "usage: reliability_peer server COUNT | reliability_peer client URL COUNT\n");
    wtgram_status status = wtgram_shutdown(5 * 1000 * 1000);
    return result == 0 && status != WTGRAM_OK ? fail("shutdown", status, NULL) : result;
}
