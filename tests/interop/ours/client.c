/* The client of the echo test. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "peer.h"

enum { WINDOW = 32, ATTEMPTS = 10 };
static uint8_t buffer[RECEIVE_CAPACITY];

static wtgram_status send_number(wtgram_transport transport, uint32_t number)
{
    uint8_t bytes[PAYLOAD_MAX_BYTES];
    return wtgram_transport_send(transport, bytes, make_payload(number, bytes), NULL);
}

/* Returns 0 if each of `wanted` payloads came back byte for byte, with at most `wanted` re-sends. */
static int exchange(wtgram_transport transport, uint32_t wanted, int64_t deadline_us)
{
    uint32_t sent = 0, returned = 0, resent = 0, duplicates = 0, lowest = 0;
    const char *problem = NULL;
    wtgram_status status = WTGRAM_OK;
    bool *done = calloc(wanted == 0 ? 1 : wanted, sizeof *done);
    if (done == NULL) return fail("calloc", WTGRAM_ERROR_INTERNAL, "out of memory");

    while (returned < wanted && problem == NULL && status == WTGRAM_OK) {
        while (sent < wanted && sent - returned < WINDOW && status == WTGRAM_OK)
            status = send_number(transport, sent++);
        if (status != WTGRAM_OK) break;

        size_t length = 0;
        status = wtgram_transport_receive(transport, QUIET_US, buffer, sizeof buffer, &length);
        if (now_us() > deadline_us) {
            problem = "out of time";
        } else if (status == WTGRAM_ERROR_TIMED_OUT) {
            status = WTGRAM_OK;
            while (lowest < sent && done[lowest]) lowest++;
            for (uint32_t n = lowest; n < sent && problem == NULL && status == WTGRAM_OK; n++) {
                if (done[n]) continue;
                if (resent++ == 50 * wanted) problem = "too many re-sends";
                else status = send_number(transport, n);
            }
        } else if (status == WTGRAM_OK) {
            int64_t number = echoed_number(buffer, length, sent);
            if (number < 0) {
                problem = "a datagram that was never sent";
            } else if (done[number]) {
                duplicates++; /* the answer to a re-send whose first answer was only late */
            } else {
                done[number] = true;
                returned++;
            }
        }
    }
    free(done);
    printf("{\"event\": \"echoes\", \"wanted\": %" PRIu32 ", \"returned\": %" PRIu32 ", \"resent\": %" PRIu32
           ", \"duplicates\": %" PRIu32,
           wanted, returned, resent, duplicates);
    print_problem(problem);
    if (status != WTGRAM_OK) return fail("exchange", status, NULL);
    return problem == NULL ? 0 : 1;
}

/* Receives until an empty datagram arrives. Late echoes may come before it. */
static wtgram_status receive_empty(wtgram_transport transport)
{
    size_t length = 1;
    wtgram_status status = WTGRAM_OK;
    while (status == WTGRAM_OK && length > 0)
        status = wtgram_transport_receive(transport, QUIET_US, buffer, sizeof buffer, &length);
    return status;
}

/* Receives until the answer to a large datagram of `sent` bytes arrives, and stores the size of the answer. */
static wtgram_status receive_large(wtgram_transport transport, size_t sent, size_t *length)
{
    for (;;) {
        uint32_t received = 0;
        wtgram_status status = wtgram_transport_receive(transport, QUIET_US, buffer, sizeof buffer, length);
        if (status != WTGRAM_OK) return status;
        if (read_large(buffer, *length, ANSWER_LARGE, &received) && received == sent) return WTGRAM_OK;
    }
}

/* The largest and the smallest datagram that there can be, each way. */
static void exchange_extremes(wtgram_transport transport)
{
    size_t sent = 0, length = 0;
    wtgram_status status = WTGRAM_ERROR_TIMED_OUT;
    for (int attempt = 0; attempt < ATTEMPTS && status == WTGRAM_ERROR_TIMED_OUT; attempt++) {
        status = send_large(transport, ASK_LARGE, 0, &sent);
        if (status == WTGRAM_OK) status = receive_large(transport, sent, &length);
    }
    printf("{\"event\": \"largest\", \"sent\": %zu, \"received\": %zu", sent, length);
    print_problem(status == WTGRAM_OK ? NULL : wtgram_status_message(status));

    status = WTGRAM_ERROR_TIMED_OUT;
    for (int attempt = 0; attempt < ATTEMPTS && status == WTGRAM_ERROR_TIMED_OUT; attempt++) {
        status = wtgram_transport_send(transport, NULL, 0, NULL);
        if (status == WTGRAM_OK) status = receive_empty(transport);
    }
    printf("{\"event\": \"empty\"");
    print_problem(status == WTGRAM_OK ? NULL : wtgram_status_message(status));
}

static int parse_hash(const char *text, uint8_t hash[WTGRAM_CERTIFICATE_HASH_LENGTH])
{
    if (strlen(text) != 2 * WTGRAM_CERTIFICATE_HASH_LENGTH) return 1;
    for (size_t i = 0; i < WTGRAM_CERTIFICATE_HASH_LENGTH; i++) {
        char digits[3] = {text[2 * i], text[2 * i + 1], 0}, *end;
        hash[i] = (uint8_t)strtoul(digits, &end, 16);
        if (*end != 0) return 1;
    }
    return 0;
}

/* The side that was asked to closes the session. Both sides wait for the close and print what they saw. */
static int finish(wtgram_session session, wtgram_transport transport, const struct arguments *arguments)
{
    wtgram_close_info info;
    wtgram_status status = WTGRAM_ERROR_TIMED_OUT;
    wtgram_close_info_init(&info);
    if (!arguments->server_closes) {
        status = wtgram_session_close(session, arguments->close_code, arguments->close_reason,
                                      strlen(arguments->close_reason));
        if (status != WTGRAM_OK) return fail("close", status, NULL);
        status = wtgram_session_wait_closed(session, 5 * SECOND_US, &info);
    }
    for (int attempt = 0; arguments->server_closes && attempt < 10 && status == WTGRAM_ERROR_TIMED_OUT; attempt++) {
        wtgram_status sent = send_close_request(transport);
        if (sent != WTGRAM_OK && sent != WTGRAM_ERROR_CLOSED) return fail("ask to close", sent, NULL);
        status = wtgram_session_wait_closed(session, SECOND_US / 2, &info);
    }
    if (status != WTGRAM_OK) return fail("wait until closed", status, NULL);
    print_close_info(&info, 0);
    return 0;
}

/* Reports why there is no session, with the HTTP status if the server answered with one. */
static int report_refusal(wtgram_status status, const char *detail)
{
    static const char before_status[] = "HTTP status ";
    const char *found = status == WTGRAM_ERROR_REJECTED ? strstr(detail, before_status) : NULL;
    printf("{\"event\": \"refused\", \"status\": ");
    if (found == NULL) printf("null");
    else printf("%d", atoi(found + sizeof before_status - 1));
    printf(", \"name\": \"%s\", \"message\": ", wtgram_status_name(status));
    print_text(detail);
    end_line();
    return 1;
}

int run_client(const struct arguments *arguments)
{
    int64_t deadline_us = now_us() + arguments->seconds * SECOND_US;
    uint8_t hash[WTGRAM_CERTIFICATE_HASH_LENGTH];
    char detail[512] = "";
    wtgram_session session;
    wtgram_transport transport;
    wtgram_connect_options options;
    wtgram_connect_options_init(&options);
    options.subprotocols = arguments->protocols;
    options.subprotocols_count = arguments->protocols_count;
    if (arguments->insecure) {
        options.trust = WTGRAM_TRUST_INSECURE_NO_VERIFICATION;
    } else {
        if (arguments->hash == NULL || parse_hash(arguments->hash, hash) != 0)
            return fail("arguments", WTGRAM_ERROR_INVALID_ARGUMENT, "--hash takes 64 hexadecimal digits");
        options.trust = WTGRAM_TRUST_CERTIFICATE_HASHES;
        options.certificate_hashes = hash;
        options.certificate_hashes_count = 1;
    }
    wtgram_status status = wtgram_session_connect(arguments->url, &options, &session, detail, sizeof detail);
    if (status != WTGRAM_OK) return report_refusal(status, detail);
    printf("{\"event\": \"session\", \"version\": \"%s\"", wtgram_version());
    print_protocol(session);

    int result = 1;
    status = wtgram_session_get_transport(session, &transport);
    if (status != WTGRAM_OK) {
        fail("datagrams", status, NULL);
    } else if (exchange(transport, arguments->count, deadline_us) == 0) {
        exchange_extremes(transport);
        result = finish(session, transport, arguments);
    }
    wtgram_session_free(session);
    return result;
}
