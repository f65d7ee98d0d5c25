#define _POSIX_C_SOURCE 200809L
#include "perf.h"

enum { ECHO_INTERVAL_US = 10 * 1000, MAX_SAMPLES = 1 << 17, PATIENCE_US = 2 * SECOND_US };

static wtgram_transport datagrams;
static int32_t rtt_us[MAX_SAMPLES]; /* of the current line */
static size_t rtt_count;
static int32_t all_rtt_us[MAX_SAMPLES];
static size_t all_rtt_count;
static uint64_t number, delivered, delivered_bytes;
static int64_t last_echo_us;

static bool parse_hash(const char *hex, uint8_t hash[WTGRAM_CERTIFICATE_HASH_LENGTH])
{
    for (int i = 0; i < WTGRAM_CERTIFICATE_HASH_LENGTH; i++)
        if (sscanf(hex + 2 * i, "%2hhx", &hash[i]) != 1) return false;
    return hex[2 * WTGRAM_CERTIFICATE_HASH_LENGTH] == '\0';
}

/* Sends one batch of one priority. The priorities take turns by their shares. */
static wtgram_status send_some(const struct options *options, uint64_t count, int64_t now)
{
    static uint8_t data[MAX_BATCH][MAX_SIZE];
    static unsigned turn;
    wtgram_slice slices[MAX_BATCH];
    wtgram_send_options send;
    struct head head;
    size_t accepted = 0;
    unsigned shares = options->mix[0] + options->mix[1] + options->mix[2], place = turn++ * 7919U % shares;
    wtgram_send_options_init(&send);
    send.priority = place < options->mix[0] ? 0 : place < options->mix[0] + options->mix[1] ? 1 : 2;
    send.ttl_us = (int64_t)(options->ttl_ms * 1000);
    send.timeout_us = 10 * 1000; /* after that it reads the answers */
    memset(&head, 0, sizeof head);
    memcpy(head.magic, magic, sizeof magic);
    for (uint64_t i = 0; i < count; i++) {
        head.type = DATA;
        head.number = number++;
        head.sent_at_us = now;
        if (i == 0 && now - last_echo_us >= ECHO_INTERVAL_US) {
            head.type = ECHO_PLEASE;
            last_echo_us = now;
        }
        memcpy(data[i], &head, sizeof head);
        slices[i].data = data[i];
        slices[i].length = options->size;
    }
    wtgram_status status = wtgram_transport_send_batch(datagrams, slices, count, &send, NULL, &accepted);
    /* This program fills the queue on purpose; its figures say how often it was full. */
    return status == WTGRAM_ERROR_QUEUE_FULL ? WTGRAM_OK : status;
}

static uint64_t le64(const uint8_t *from)
{
    uint64_t value = 0;
    for (int i = 0; i < 8; i++) value |= (uint64_t)from[i] << (8 * i);
    return value;
}

static wtgram_status read_answers(int64_t wait_us)
{
    static uint8_t arena[64 * MAX_SIZE];
    wtgram_received_datagram received[64];
    size_t count = 0;
    wtgram_status status =
        wtgram_transport_receive_batch(datagrams, wait_us, arena, sizeof arena, received, 64, &count);
    int64_t now = now_us();
    for (size_t i = 0; i < count; i++) {
        const uint8_t *data = arena + received[i].offset;
        struct head head;
        if (received[i].length < sizeof head) continue;
        memcpy(&head, data, sizeof head);
        if (memcmp(head.magic, magic, sizeof magic) != 0) continue;
        if (head.type == REPORT && received[i].length >= REPORT_SIZE && le64(data + sizeof head) > delivered) {
            delivered = le64(data + sizeof head);
            delivered_bytes = le64(data + sizeof head + 8);
        } else if (head.type == ECHO_PLEASE && head.sent_at_us <= now) {
            int64_t rtt = now - head.sent_at_us;
            int32_t sample = rtt > INT32_MAX ? INT32_MAX : (int32_t)rtt;
            if (rtt_count < MAX_SAMPLES) rtt_us[rtt_count++] = sample;
            if (all_rtt_count < MAX_SAMPLES) all_rtt_us[all_rtt_count++] = sample;
        }
    }
    return status;
}

static int ascending(const void *a, const void *b)
{
    int32_t x = *(const int32_t *)a, y = *(const int32_t *)b;
    return (x > y) - (x < y);
}

/* The program prints the difference between two of these. */
struct moment {
    int64_t at_us;
    wtgram_transport_stats stats;
    uint64_t delivered, delivered_bytes;
};

static wtgram_status look(struct moment *moment)
{
    wtgram_transport_stats_init(&moment->stats);
    moment->at_us = now_us();
    moment->delivered = delivered;
    moment->delivered_bytes = delivered_bytes;
    return wtgram_transport_get_stats(datagrams, &moment->stats);
}

static void print(const struct options *options, bool summary, const struct moment *start, const struct moment *from,
                  const struct moment *to, int32_t *rtt, size_t count)
{
    double seconds = (double)(to->at_us - from->at_us) / SECOND_US;
    uint64_t sent = to->stats.sent - from->stats.sent, arrived = to->delivered - from->delivered;
    uint64_t evicted = to->stats.send_evicted - from->stats.send_evicted;
    uint64_t expired = to->stats.send_expired - from->stats.send_expired;
    uint64_t rejected = to->stats.send_rejected - from->stats.send_rejected;
    double rate = (double)sent / seconds, share = sent > 0 ? (double)arrived / (double)sent : 0;
    double megabits = (double)(to->delivered_bytes - from->delivered_bytes) * 8 / seconds / 1e6;
    int32_t none = 0;
    if (count == 0) rtt = &none;
    else qsort(rtt, count, sizeof *rtt, ascending);
    int32_t p50 = rtt[count / 2], p90 = rtt[count * 9 / 10], p99 = rtt[count * 99 / 100];
    const char *form =
        options->json ? "{\"summary\":%s,\"at_s\":%.3f,\"seconds\":%.3f,\"sent\":%" PRIu64 ",\"sent_per_second\":%.0f,"
                        "\"delivered\":%" PRIu64 ",\"delivered_share\":%.4f,\"delivered_mbit_per_second\":%.3f,"
                        "\"rtt_us\":{\"samples\":%zu,\"p50\":%" PRId32 ",\"p90\":%" PRId32 ",\"p99\":%" PRId32 "},"
                        "\"queue\":%" PRIu64 ",\"evicted\":%" PRIu64 ",\"expired\":%" PRIu64 ",\"rejected\":%" PRIu64
                        ",\"quic_rtt_us\":%" PRId64 ",\"packets_lost\":%" PRIu64 "}\n"
                      : NULL;
    double at = (double)(to->at_us - start->at_us) / SECOND_US;
    uint64_t lost = to->stats.packets_lost - from->stats.packets_lost;
    if (form != NULL) {
        printf(form, summary ? "true" : "false", at, seconds, sent, rate, arrived, share, megabits, count, p50, p90,
               p99, to->stats.send_queued, evicted, expired, rejected, to->stats.rtt_us, lost);
        return;
    }
    if (summary) printf("\n%s over %.1f s, datagrams of %" PRIu64 " bytes\n", "summary", seconds, options->size);
    printf("%s%6.1f s  sent %8.0f/s  delivered %6.2f %% %9.2f Mbit/s  rtt ms p50 %.2f p90 %.2f p99 %.2f  queue %" PRIu64
           "  evicted %" PRIu64 "  expired %" PRIu64 "  rejected %" PRIu64 "  packets lost %" PRIu64 "\n",
           summary ? "  " : "", at, rate, 100 * share, megabits, p50 / 1e3, p90 / 1e3, p99 / 1e3, to->stats.send_queued,
           evicted, expired, rejected, lost);
}

static wtgram_status measure(const struct options *options)
{
    struct moment start, line, now_seen;
    wtgram_status status = look(&start);
    int64_t now = start.at_us, end = now + (int64_t)(options->seconds * SECOND_US);
    line = start;
    while (!is_over(status) && !interrupted && now < end) {
        uint64_t due = options->batch, wait_us = 0;
        if (options->rate > 0) {
            uint64_t so_far = (uint64_t)((double)(now - start.at_us) / SECOND_US * options->rate) + 1;
            uint64_t behind = so_far > number ? so_far - number : 0;
            due = behind < options->batch ? behind : options->batch;
            /* A short wait gathers a small batch, so that a high rate does not need as many wake-ups. */
            if (behind <= due) wait_us = 500;
        }
        if (due > 0) status = send_some(options, due, now);
        if (!is_over(status)) status = read_answers((int64_t)wait_us);
        now = now_us();
        if (now - line.at_us >= SECOND_US && !is_over(status)) {
            status = look(&now_seen);
            print(options, false, &start, &line, &now_seen, rtt_us, rtt_count);
            rtt_count = 0;
            line = now_seen;
        }
    }
    /* Datagrams on their way may still arrive; the server reports ten times a second. */
    uint64_t before = UINT64_MAX;
    for (int64_t give_up = now_us() + PATIENCE_US; !is_over(status) && before != delivered && now_us() < give_up;) {
        before = delivered;
        for (int64_t until = now_us() + 300 * 1000; now_us() < until && !is_over(status);)
            status = read_answers(50 * 1000);
    }
    if (is_over(status)) return status;
    int64_t ended = now;
    status = look(&now_seen);
    now_seen.at_us = ended; /* only the time of sending, without the wait for the last datagrams */
    print(options, true, &start, &start, &now_seen, all_rtt_us, all_rtt_count);
    return status;
}

int run_client(const struct options *options)
{
    wtgram_connect_options connect;
    wtgram_transport_options transport;
    uint8_t hash[WTGRAM_CERTIFICATE_HASH_LENGTH];
    wtgram_session session = {0};
    char detail[256] = "";
    size_t largest = 0;
    wtgram_connect_options_init(&connect);
    wtgram_transport_options_init(&transport);
    transport.outgoing_max_datagrams = options->queue;
    transport.outgoing_full_policy = (uint32_t)options->policy;
    connect.transport = &transport;
    if (options->insecure) connect.trust = WTGRAM_TRUST_INSECURE_NO_VERIFICATION;
    if (options->hash != NULL) {
        if (!parse_hash(options->hash, hash))
            return fputs("wtgram-perf: --hash is 64 hex digits, as the server prints them\n", stderr), 2;
        connect.trust = WTGRAM_TRUST_CERTIFICATE_HASHES;
        connect.certificate_hashes = hash;
        connect.certificate_hashes_count = 1;
    }
    wtgram_status status = wtgram_session_connect(options->url, &connect, &session, detail, sizeof detail);
    if (status != WTGRAM_OK) return failed("cannot connect", status, detail);
    status = wtgram_session_get_transport(session, &datagrams);
    if (status == WTGRAM_OK) status = wtgram_transport_get_max_datagram_size(datagrams, &largest);
    if (status == WTGRAM_OK && options->size > largest) {
        snprintf(detail, sizeof detail, "this path carries datagrams of up to %zu bytes", largest);
        status = WTGRAM_ERROR_TOO_LARGE;
    }
    if (status == WTGRAM_OK) status = measure(options);
    int code = is_over(status) ? failed("the test ended early", status, detail) : 0;
    wtgram_session_free(session);
    return code;
}
