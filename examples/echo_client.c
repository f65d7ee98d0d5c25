/* Sends numbered datagrams to an echo server, compares each echo byte for byte, and measures round trips.
 *
 *   echo_client --url URL --hash HEX [--seconds S] [--rate PER_SECOND] [--size BYTES] [--count N]
 *
 * Exit codes: 0 echoes came back and all were right, 1 something failed, 2 wrong usage, 3 nothing came back, or
 * something that was not sent. A datagram that is not back within a second counts as lost. */
#define _POSIX_C_SOURCE 200809L
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <wtgram.h>

enum { BATCH = 64, MAX_SIZE = 1500, WINDOW = 1 << 17, MAX_SAMPLES = 1 << 20, SECOND_US = 1000 * 1000 };
static int64_t sent_at_us[WINDOW]; /* by sequence number modulo WINDOW; 0: it came back */
static int32_t rtt_us[MAX_SAMPLES];
static uint64_t sent, echoed, lost, corrupt, judged; /* all datagrams before `judged` are echoed or lost */
static size_t samples;

static int64_t now_us(void)
{
    struct timespec now;
    return clock_gettime(CLOCK_MONOTONIC, &now), (int64_t)now.tv_sec * SECOND_US + now.tv_nsec / 1000;
}

static int parse_hash(const char *hex, uint8_t hash[WTGRAM_CERTIFICATE_HASH_LENGTH])
{
    for (int i = 0; i < WTGRAM_CERTIFICATE_HASH_LENGTH; i++)
        if (sscanf(hex + 2 * i, "%2hhx", &hash[i]) != 1) return 0; /* a text that ends early does not match, either */
    return hex[2 * WTGRAM_CERTIFICATE_HASH_LENGTH] == '\0';
}

/* Writes the number, then bytes that are computed from it. So the number alone says what the datagram must contain. */
static void fill(uint8_t *data, size_t size, uint64_t number)
{
    memcpy(data, &number, sizeof number);
    for (size_t i = sizeof number; i < size; i++) data[i] = (uint8_t)((number + i) * 167 >> 3);
}

static void check(const uint8_t *data, size_t length, size_t size, int64_t now)
{
    uint8_t expected[MAX_SIZE];
    uint64_t number = UINT64_MAX;
    if (length == size) memcpy(&number, data, sizeof number);
    fill(expected, size, number);
    if (number >= sent || memcmp(data, expected, size) != 0) corrupt++;
    else if (number >= judged && sent_at_us[number % WINDOW] != 0) { /* otherwise it is too late, or a second copy */
        if (samples < MAX_SAMPLES) rtt_us[samples++] = (int32_t)(now - sent_at_us[number % WINDOW]);
        sent_at_us[number % WINDOW] = 0;
        echoed++;
    }
}

static void judge(int64_t now)
{
    for (; judged < sent; judged++) {
        int64_t sent_at = sent_at_us[judged % WINDOW];
        if (sent_at != 0 && now - sent_at < SECOND_US) return;
        lost += sent_at != 0;
    }
}

static int ascending(const void *a, const void *b) { return *(const int32_t *)a - *(const int32_t *)b; }

static void print_line(const char *label, int64_t span_us, uint64_t echoed_before, size_t first_sample)
{
    size_t count = samples - first_sample;
    int32_t none = 0, *rtt = count > 0 ? rtt_us + first_sample : &none;
    qsort(rtt, count, sizeof *rtt, ascending);
    printf("%s sent %" PRIu64 "  echoed %" PRIu64 "  lost %" PRIu64 "  rate %.0f/s"
           "  rtt us p50 %" PRId32 "  p90 %" PRId32 "  p99 %" PRId32 "\n",
           label, sent, echoed, lost, (double)(echoed - echoed_before) * SECOND_US / (double)span_us, rtt[count / 2],
           rtt[count * 9 / 10], rtt[count * 99 / 100]);
    fflush(stdout);
}

static wtgram_status run(wtgram_transport datagrams, double seconds, double rate, size_t size, uint64_t count)
{
    static uint8_t out[MAX_SIZE], arena[BATCH * MAX_SIZE];
    wtgram_received_datagram received[BATCH];
    wtgram_status status = WTGRAM_OK;
    size_t n = 0, line_samples = 0;
    uint64_t line_echoed = 0;
    int64_t start = now_us(), now = start, line = start, end = start + (int64_t)(seconds * SECOND_US);
    while (status == WTGRAM_OK && ((now < end && sent < count) || judged < sent)) {
        uint64_t due = now < end ? (uint64_t)((double)(now - start) / SECOND_US * rate) + 1 : sent;
        due = due < count ? due : count;
        for (int i = 0; i < BATCH && status == WTGRAM_OK && sent < due && sent - judged < WINDOW; i++) {
            fill(out, size, sent);
            sent_at_us[sent++ % WINDOW] = now;
            status = wtgram_transport_send(datagrams, out, size, NULL);
        }
        int64_t wait_us = sent < due ? 0 : rate > 20 ? (int64_t)(SECOND_US / rate) : SECOND_US / 20;
        if (status == WTGRAM_OK)
            status = wtgram_transport_receive_batch(datagrams, wait_us, arena, sizeof arena, received, BATCH, &n);
        if (status == WTGRAM_ERROR_TIMED_OUT || status == WTGRAM_ERROR_WOULD_BLOCK) status = WTGRAM_OK; /* n is 0 */
        now = now_us();
        for (size_t i = 0; i < n; i++) check(arena + received[i].offset, received[i].length, size, now);
        judge(now);
        if (now - line >= SECOND_US) {
            print_line("  ", now - line, line_echoed, line_samples);
            line = now, line_echoed = echoed, line_samples = samples;
        }
    }
    print_line("total:", now - start, 0, 0);
    return status;
}

int main(int argc, char **argv)
{
    const char *url = NULL;
    uint8_t hash[WTGRAM_CERTIFICATE_HASH_LENGTH];
    double seconds = 5, rate = 1000;
    uint64_t size = 64, count = UINT64_MAX;
    int ok = argc % 2, have_hash = 0;
    for (int i = 1; ok && i + 1 < argc; i += 2) {
        if (strcmp(argv[i], "--url") == 0) url = argv[i + 1];
        else if (strcmp(argv[i], "--hash") == 0) ok = have_hash = parse_hash(argv[i + 1], hash);
        else if (strcmp(argv[i], "--seconds") == 0) seconds = strtod(argv[i + 1], NULL);
        else if (strcmp(argv[i], "--rate") == 0) rate = strtod(argv[i + 1], NULL);
        else if (strcmp(argv[i], "--size") == 0) size = strtoul(argv[i + 1], NULL, 10);
        else if (strcmp(argv[i], "--count") == 0) count = strtoull(argv[i + 1], NULL, 10);
        else ok = 0;
    }
    if (!ok || !url || !have_hash || !(seconds > 0) || !(rate > 0) || size < sizeof(uint64_t) || size > MAX_SIZE)
        return fputs("usage: echo_client --url U --hash H [--seconds S] [--rate N] [--size B] [--count N]\n", stderr),
               2;

    wtgram_connect_options options;
    wtgram_connect_options_init(&options);
    options.trust = WTGRAM_TRUST_CERTIFICATE_HASHES;
    options.certificate_hashes = hash;
    options.certificate_hashes_count = 1;
    wtgram_session session = {0};
    wtgram_transport datagrams = {0};
    char detail[256] = "";
    wtgram_status status = wtgram_session_connect(url, &options, &session, detail, sizeof detail);
    if (status != WTGRAM_OK) return fprintf(stderr, "connect: %s %s\n", wtgram_status_message(status), detail), 1;
    status = wtgram_session_get_transport(session, &datagrams);
    if (status == WTGRAM_OK) status = run(datagrams, seconds, rate, size, count);
    if (status == WTGRAM_OK) status = wtgram_session_close(session, 0, "done", 4);
    wtgram_session_free(session);
    if (status == WTGRAM_OK) status = wtgram_shutdown(SECOND_US); /* waits until the server is notified */
    if (status != WTGRAM_OK) return fprintf(stderr, "echo: %s\n", wtgram_status_message(status)), 1;

    printf("%" PRIu64 " of %" PRIu64 " came back right, byte for byte; %" PRIu64 " corrupt\n", echoed, sent, corrupt);
    return echoed > 0 && corrupt == 0 ? 0 : 3;
}
