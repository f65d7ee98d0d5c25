/* Our end of the echo test, with the C header alone. ../echo_test.py says what both ends do. */
#ifndef WTGRAM_TESTS_INTEROP_PEER_H
#define WTGRAM_TESTS_INTEROP_PEER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "wtgram.h"

enum { RECEIVE_CAPACITY = 65536, MAX_PROTOCOLS = 8 };
static const int64_t QUIET_US = 250000;
static const int64_t SECOND_US = 1000000;

struct arguments {
    bool is_server, insecure, server_closes;
    const char *url, *certificate, *key, *hash, *close_reason;
    const char *protocols[MAX_PROTOCOLS];
    size_t protocols_count;
    uint32_t close_code, count, sessions, seconds;
};

int run_client(const struct arguments *arguments);
int run_server(const struct arguments *arguments);

/* payloads.c */

enum { PAYLOAD_RANGE_BYTES = 992, PAYLOAD_MAX_BYTES = 1000 };
size_t make_payload(uint32_t number, uint8_t *bytes);
/* Returns the number of a payload that came back exactly as it was sent, or -1. */
int64_t echoed_number(const uint8_t *bytes, size_t length, uint32_t sent);

bool is_close_request(const uint8_t *bytes, size_t length);
wtgram_status send_close_request(wtgram_transport transport);

extern const char ASK_LARGE[], ANSWER_LARGE[];
/* Sends a large datagram: as large as fits now, with the marker and the size that the other end's had. */
wtgram_status send_large(wtgram_transport transport, const char *marker, uint32_t received, size_t *size);
bool has_marker(const uint8_t *bytes, size_t length, const char *marker);
/* Returns whether each byte of a large datagram is right, and stores the size in it. */
bool read_large(const uint8_t *bytes, size_t length, const char *marker, uint32_t *received);

/* report.c: one JSON object a line */

int64_t now_us(void);
void print_text(const char *text);
void end_line(void);
/* Reports an error and returns 1. */
int fail(const char *what, wtgram_status status, const char *detail);
/* Prints `, "protocol": …`, the session's subprotocol, with none as null, and ends the object. */
void print_protocol(wtgram_session session);
/* Prints `, "problem": …`, with NULL as null, and ends the object. */
void print_problem(const char *problem);
void print_close_info(const wtgram_close_info *info, uint64_t echoed);

#endif
