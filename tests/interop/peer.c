/* Our end of the echo test (echo_test.py says what both ends do), with the C header alone.
 *
 *   peer server [--certificate FILE --key FILE] [--sessions N] [--close-code N] [--close-reason TEXT] [--seconds S]
 *   peer client URL (--hash HEX | --insecure) [--count N] [--closer client|server] [--close-code N]
 *               [--close-reason TEXT] [--seconds S]
 *
 * The server ends after N sessions (default 1). Both ends end after S seconds (default 60) at the latest. They print
 * one JSON object a line. The exit code is 0 only if everything that was asked for has happened. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "wtgram.h"

enum { WINDOW = 32, PAYLOAD_RANGE_BYTES = 992, PAYLOAD_MAX_BYTES = 1000, RECEIVE_CAPACITY = 65536 };
static const char ASK_CLOSE[] = "please close";
static const int64_t QUIET_US = 250000;
static const int64_t SECOND_US = 1000000;

struct arguments {
    bool is_server, insecure, server_closes;
    const char *url, *certificate, *key, *hash, *close_reason;
    uint32_t close_code, count, sessions, seconds;
};

/* ---- output ---- */

static void print_text(const char *text)
{
    putchar('"');
    for (const unsigned char *p = (const unsigned char *)text; *p != 0; p++) {
        if (*p == '"' || *p == '\\') printf("\\%c", *p);
        else if (*p < 0x20) printf("\\u%04x", *p);
        else putchar(*p);
    }
    putchar('"');
}

static int fail(const char *what, wtgram_status status, const char *detail)
{
    printf("{\"event\": \"error\", \"what\": \"%s\", \"status\": \"%s\", \"message\": ", what,
           wtgram_status_name(status));
    print_text(detail != NULL && detail[0] != 0 ? detail : wtgram_status_message(status));
    printf("}\n");
    fflush(stdout);
    return 1;
}

static void print_close_info(const wtgram_close_info *info, uint64_t echoed)
{
    static const char *const by[] = {"local", "peer", "transport"};
    printf("{\"event\": \"closed\", \"by\": \"%s\", \"code\": %" PRIu32 ", \"transport_error\": %" PRIu64
           ", \"echoed\": %" PRIu64 ", \"reason\": ",
           by[info->closed_by % 3], info->code, info->transport_error, echoed);
    print_text(info->reason);
    printf("}\n");
    fflush(stdout);
}

static int64_t now_us(void)
{
    struct timespec now;
    if (timespec_get(&now, TIME_UTC) == 0) return 0;
    return (int64_t)now.tv_sec * SECOND_US + now.tv_nsec / 1000;
}

/* ---- the exchange ---- */

static size_t make_payload(uint32_t number, uint8_t *bytes)
{
    size_t size = 8 + (size_t)number * 37 % PAYLOAD_RANGE_BYTES;
    for (size_t i = 0; i < size; i++) bytes[i] = (uint8_t)(number * 31 + i);
    for (int i = 0; i < 4; i++) bytes[i] = (uint8_t)(number >> (24 - 8 * i));
    return size;
}

static wtgram_status send_number(wtgram_transport transport, uint32_t number)
{
    uint8_t bytes[PAYLOAD_MAX_BYTES];
    size_t size = make_payload(number, bytes);
    return wtgram_transport_send(transport, bytes, size, NULL);
}

/* Returns the number of a payload that came back exactly as it was sent, or -1. */
static int64_t echoed_number(const uint8_t *bytes, size_t length, uint32_t sent)
{
    uint8_t expected[PAYLOAD_MAX_BYTES];
    if (length < 4) return -1;
    uint32_t number = (uint32_t)bytes[0] << 24 | (uint32_t)bytes[1] << 16 | (uint32_t)bytes[2] << 8 | bytes[3];
    if (number >= sent || make_payload(number, expected) != length || memcmp(expected, bytes, length) != 0) return -1;
    return number;
}

/* Returns 0 if each of `wanted` payloads came back byte for byte, with at most `wanted` re-sends. */
static int exchange(wtgram_transport transport, uint32_t wanted, int64_t deadline_us)
{
    static uint8_t buffer[RECEIVE_CAPACITY];
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
           ", \"duplicates\": %" PRIu32 ", \"problem\": ",
           wanted, returned, resent, duplicates);
    if (problem == NULL) printf("null}\n");
    else printf("\"%s\"}\n", problem);
    fflush(stdout);
    if (status != WTGRAM_OK) return fail("exchange", status, NULL);
    return problem == NULL ? 0 : 1;
}

/* ---- client ---- */

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
static int finish_client(wtgram_session session, wtgram_transport transport, const struct arguments *arguments)
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
        wtgram_status sent = wtgram_transport_send(transport, (const uint8_t *)ASK_CLOSE, sizeof ASK_CLOSE - 1, NULL);
        if (sent != WTGRAM_OK && sent != WTGRAM_ERROR_CLOSED) return fail("ask to close", sent, NULL);
        status = wtgram_session_wait_closed(session, SECOND_US / 2, &info);
    }
    if (status != WTGRAM_OK) return fail("wait until closed", status, NULL);
    print_close_info(&info, 0);
    return 0;
}

static int client(const struct arguments *arguments)
{
    int64_t deadline_us = now_us() + arguments->seconds * SECOND_US;
    uint8_t hash[WTGRAM_CERTIFICATE_HASH_LENGTH];
    char detail[512] = "";
    wtgram_session session;
    wtgram_transport transport;
    wtgram_connect_options options;
    wtgram_connect_options_init(&options);
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
    if (status != WTGRAM_OK) return fail("connect", status, detail);
    printf("{\"event\": \"session\"}\n");
    fflush(stdout);

    int result = 1;
    status = wtgram_session_get_transport(session, &transport);
    if (status != WTGRAM_OK) fail("datagrams", status, NULL);
    else if (exchange(transport, arguments->count, deadline_us) == 0)
        result = finish_client(session, transport, arguments);
    wtgram_session_free(session);
    return result;
}

/* ---- server ---- */

static int echo(wtgram_session session, const struct arguments *arguments, int64_t deadline_us)
{
    static uint8_t buffer[RECEIVE_CAPACITY];
    uint64_t echoed = 0;
    wtgram_transport transport;
    wtgram_close_info info;
    wtgram_close_info_init(&info);
    wtgram_status status = wtgram_session_get_transport(session, &transport);
    while (status == WTGRAM_OK) {
        size_t length = 0;
        int64_t left_us = deadline_us - now_us();
        status = wtgram_transport_receive(transport, left_us < 0 ? 0 : left_us, buffer, sizeof buffer, &length);
        if (status != WTGRAM_OK) break;
        if (length >= sizeof ASK_CLOSE - 1 && memcmp(buffer, ASK_CLOSE, sizeof ASK_CLOSE - 1) == 0) {
            status = wtgram_session_close(session, arguments->close_code, arguments->close_reason,
                                          strlen(arguments->close_reason));
            if (status == WTGRAM_OK) status = WTGRAM_ERROR_CLOSED;
            break;
        }
        status = wtgram_transport_send(transport, buffer, length, NULL);
        echoed += status == WTGRAM_OK;
    }
    if (status != WTGRAM_ERROR_CLOSED) return fail("echo", status, NULL);
    status = wtgram_session_wait_closed(session, 5 * SECOND_US, &info);
    if (status != WTGRAM_OK) return fail("wait until closed", status, NULL);
    print_close_info(&info, echoed);
    return 0;
}

static int serve(wtgram_server server, const struct arguments *arguments, int64_t deadline_us)
{
    uint8_t hash[WTGRAM_CERTIFICATE_HASH_LENGTH];
    uint16_t port = 0;
    wtgram_status status = wtgram_server_get_local_port(server, &port);
    if (status == WTGRAM_OK) status = wtgram_server_get_certificate_hash(server, hash);
    if (status != WTGRAM_OK) return fail("address", status, NULL);
    printf("{\"event\": \"listening\", \"port\": %u, \"hash\": \"", port);
    for (size_t i = 0; i < sizeof hash; i++) printf("%02x", hash[i]);
    printf("\", \"version\": \"%s\"}\n", wtgram_version());
    fflush(stdout);

    for (uint32_t number = 0; number < arguments->sessions; number++) {
        wtgram_session session;
        char path[1024] = "";
        size_t length = 0;
        int64_t left_us = deadline_us - now_us();
        status = wtgram_server_accept(server, left_us < 0 ? 0 : left_us, &session);
        if (status != WTGRAM_OK) return fail("accept", status, NULL);
        status = wtgram_session_get_path(session, path, sizeof path, &length);
        if (status != WTGRAM_OK) return fail("path", status, NULL);
        printf("{\"event\": \"session\", \"path\": ");
        print_text(path);
        printf("}\n");
        fflush(stdout);
        int result = echo(session, arguments, deadline_us);
        wtgram_session_free(session);
        if (result != 0) return result;
    }
    return 0;
}

static int server(const struct arguments *arguments)
{
    int64_t deadline_us = now_us() + arguments->seconds * SECOND_US;
    char detail[512] = "";
    wtgram_server handle;
    wtgram_listen_options options;
    wtgram_listen_options_init(&options);
    options.host = "127.0.0.1";
    if (arguments->certificate != NULL) {
        options.identity = WTGRAM_IDENTITY_PEM_FILES;
        options.certificate_file = arguments->certificate;
        options.private_key_file = arguments->key;
    }
    wtgram_status status = wtgram_server_listen(&options, &handle, detail, sizeof detail);
    if (status != WTGRAM_OK) return fail("listen", status, detail);
    int result = serve(handle, arguments, deadline_us);
    wtgram_server_free(handle);
    return result;
}

/* ---- arguments ---- */

static int usage(const char *problem)
{
    fprintf(stderr, "peer: %s\nusage: peer server [options] | peer client URL (--hash HEX | --insecure) [options]\n",
            problem);
    return 2;
}

static int parse(int count, char **words, struct arguments *arguments)
{
    if (count < 2) return usage("no role");
    arguments->is_server = strcmp(words[1], "server") == 0;
    if (!arguments->is_server && strcmp(words[1], "client") != 0) return usage("the role is server or client");
    int next = 2;
    if (!arguments->is_server) {
        if (count < 3) return usage("a client needs a URL");
        arguments->url = words[next++];
    }
    for (; next < count; next++) {
        const char *name = words[next];
        if (strcmp(name, "--insecure") == 0) {
            arguments->insecure = true;
            continue;
        }
        if (++next == count) return usage("an option lacks its value");
        const char *value = words[next];
        uint32_t number = (uint32_t)strtoul(value, NULL, 10);
        if (strcmp(name, "--certificate") == 0) arguments->certificate = value;
        else if (strcmp(name, "--key") == 0) arguments->key = value;
        else if (strcmp(name, "--hash") == 0) arguments->hash = value;
        else if (strcmp(name, "--close-reason") == 0) arguments->close_reason = value;
        else if (strcmp(name, "--closer") == 0) arguments->server_closes = strcmp(value, "server") == 0;
        else if (strcmp(name, "--close-code") == 0) arguments->close_code = number;
        else if (strcmp(name, "--count") == 0) arguments->count = number;
        else if (strcmp(name, "--sessions") == 0) arguments->sessions = number;
        else if (strcmp(name, "--seconds") == 0) arguments->seconds = number;
        else return usage(name);
    }
    return 0;
}

int main(int argc, char **argv)
{
    struct arguments arguments = {.close_reason = "", .count = 1000, .sessions = 1, .seconds = 60};
    int result = parse(argc, argv, &arguments);
    if (result != 0) return result;
    result = arguments.is_server ? server(&arguments) : client(&arguments);
    /* Gives a close message that is on its way time to leave. */
    wtgram_status status = wtgram_shutdown(5 * SECOND_US);
    if (status != WTGRAM_OK && result == 0) result = fail("shutdown", status, NULL);
    return result;
}
