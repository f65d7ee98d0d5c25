/* wtgram-perf: declarations that its client and server share. */
#ifndef WTGRAM_PERF_H
#define WTGRAM_PERF_H

#include <inttypes.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <wtgram.h>

enum { SECOND_US = 1000 * 1000, PRIORITIES = 3, MAX_BATCH = 512, MAX_SIZE = 1500 };

/* Every datagram begins with this, in the byte order of the machine that sent it, because the other end only counts and
 * echoes it. The other end reads only reports: they are little endian. */
struct head {
    uint8_t magic[4]; /* "wtpf" */
    uint8_t type; /* enum type */
    uint8_t reserved[3];
    uint64_t number;
    int64_t sent_at_us; /* on the sender's monotonic clock */
};
enum type { DATA = 0, ECHO_PLEASE = 1, REPORT = 2 };
/* A report has the head and then what the server has received so far on this session. */
enum { REPORT_SIZE = sizeof(struct head) + 16 };
static const uint8_t magic[4] = {'w', 't', 'p', 'f'};

struct options {
    bool server, json;
    /* server */
    const char *host, *certificate, *key;
    uint32_t port;
    /* client */
    const char *url, *hash;
    bool insecure;
    uint64_t size, batch, queue;
    double rate, seconds, ttl_ms;
    unsigned mix[PRIORITIES]; /* shares of priority 0, 1, 2 */
    int policy; /* wtgram_full_policy */
};

/* Reads the command line. On wrong usage or --help it prints a text and ends the program. */
void read_options(struct options *options, int argc, char **argv);
int run_client(const struct options *options);
int run_server(const struct options *options);

extern volatile sig_atomic_t interrupted; /* Ctrl-C */

static inline int64_t now_us(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (int64_t)now.tv_sec * SECOND_US + now.tv_nsec / 1000;
}

/* Prints what failed and returns the program's exit code for it. */
static inline int failed(const char *what, wtgram_status status, const char *detail)
{
    fprintf(stderr, "wtgram-perf: %s: %s%s%s (%s)\n", what, wtgram_status_message(status), *detail ? ": " : "", detail,
            wtgram_status_name(status));
    return 1;
}

/* Whether the status ends the test. A wait that returned nothing does not. */
static inline bool is_over(wtgram_status status)
{
    return status != WTGRAM_OK && status != WTGRAM_ERROR_TIMED_OUT && status != WTGRAM_ERROR_WOULD_BLOCK;
}

#endif
