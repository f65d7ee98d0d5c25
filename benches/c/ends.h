/* Functions that the C ends of `make bench` share: how they listen and connect, their clocks, and how they count
 * arrivals. Each end is its own process. The Rust program in peers/ takes the same commands and counts in the same
 * way. */
#ifndef WTGRAM_BENCH_ENDS_H
#define WTGRAM_BENCH_ENDS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "wtgram.h"

enum {
    RECEIVE_BATCH = 512,
    ARENA_BYTES = 1024 * 1024,
    DATAGRAM_CAPACITY = 65536,
    SEQUENCE_BYTES = 8,
    DATAGRAMS_PER_STAMP = 64, /* reading the clock costs a tenth of a datagram */
    OUTGOING_DATAGRAMS = 4096,
    OUTGOING_DATAGRAMS_DEFAULT = 100
};

/* ---- failures, clocks, memory ---- */

/* Ends the program unless `status` is WTGRAM_OK. */
void check(wtgram_status status, const char *what, const char *detail);
void fail(const char *what);
void *allocate(size_t count, size_t size);

int64_t now_ns(void);
void sleep_ns(int64_t duration_ns);
static const int64_t SECOND_NS = 1000 * 1000 * 1000;
static const int64_t SECOND_US = 1000 * 1000;
/* Nanoseconds since 1970: a clock that two processes share, even if one is not written in C. */
uint64_t wall_clock_ns(void);
/* Reads a line of /proc/self/status: VmRSS: is the resident memory of the process, VmHWM: the most it ever had. */
int64_t memory_bytes(const char *line_name);

/* ---- payloads ---- */

/* Eight big-endian bytes at the start of a payload: a sequence number or a time. */
void put_sequence(uint8_t *payload, uint64_t sequence);
uint64_t get_sequence(const uint8_t *payload);

/* ---- sessions ---- */

/* Where a client finds its server, and what it sends there. */
struct target {
    const char *port, *hash;
    size_t size_bytes;
    int64_t duration_ns;
};

/* Reads <port> <hash> <size_bytes> <seconds>. */
struct target parse_target(char **arguments);

/* Listens, and prints LISTENING <port> <hash>. `outgoing_datagrams` is how many may wait to be sent; a send waits for
 * space. */
wtgram_server listen_for(size_t sessions, uint32_t outgoing_datagrams);
/* Listens and waits for one session. */
wtgram_session accept_one(uint32_t outgoing_datagrams);
/* How all ends connect, and what the options point to. */
struct connecting {
    wtgram_connect_options options;
    wtgram_connection_options connection;
    wtgram_transport_options transport;
    uint8_t hash[WTGRAM_CERTIFICATE_HASH_LENGTH];
    char url[64];
};
void prepare(struct connecting *connecting, const char *port, const char *hash, uint32_t outgoing_datagrams);
wtgram_session connect_to(const char *port, const char *hash, uint32_t outgoing_datagrams);
wtgram_transport datagrams(wtgram_session session);
wtgram_transport_stats statistics(wtgram_transport transport);
/* Figures of QUIC; for a closed session, the last ones. */
wtgram_session_stats quic_statistics(wtgram_session session);

/* Waits until the queued datagrams were sent, then until they have arrived. */
void drain(const wtgram_transport *transports, size_t count);
void close_and_shut_down(wtgram_session session);

/* ---- arrivals ---- */

/* What arrived, from the first arrival to the last arrival with a time stamp. */
struct arrivals {
    int64_t first_ns, last_stamp_ns;
    uint64_t stamped, delivered, bytes, highest_sequence, reordered, malformed;
};

void count_arrival(struct arrivals *arrivals, const uint8_t *payload, size_t length);
/* Prints the line that the runner reads, for all `count` sessions through which the datagrams arrived. */
void report_arrivals(const struct arrivals *arrivals, const wtgram_session *sessions, size_t count);

/* ---- times ---- */

/* A percentile of sorted times, in microseconds. */
double percentile_us(const int64_t *sorted_ns, size_t length, size_t percent);
void sort_times(int64_t *times_ns, size_t length);

/* ---- commands ---- */

void receive_command(char **arguments);
void send_command(char **arguments);
void echo_server_command(char **arguments);
void echo_client_command(char **arguments);
void sessions_receive_command(char **arguments);
void sessions_send_command(char **arguments);
void crowd_server_command(char **arguments);
void crowd_client_command(char **arguments);
void visitors_command(char **arguments);
void flood_server_command(char **arguments);
void flood_client_command(char **arguments);
void urgent_receive_command(char **arguments);
void urgent_send_command(char **arguments);
void broadcast_command(char **arguments);
void join_command(char **arguments);

#endif
