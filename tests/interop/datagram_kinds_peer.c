/* Our end of datagram_kinds_test.py: JSON datagrams and heartbeats, with the C header alone.
 *
 *   datagram_kinds_peer server json|heartbeat COUNT
 *   datagram_kinds_peer client json|heartbeat COUNT URL
 *
 * The server prints "listening PORT". The exit code is 0 only if all went well. */
#include <inttypes.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <wtgram.h>

enum { SECOND_US = 1000 * 1000, PATIENCE_US = 60 * SECOND_US, CAPACITY = 1000 };
enum { BEAT_US = 50 * 1000, SILENT_AFTER_INTERVALS = 40 };

/* The same document in two forms: as we send it, with white space and bare UTF-8, and as pywebtransport sends it, whose
 * json.dumps escapes everything that is not ASCII. Neither side changes digits or the order of members. */
#define NUMBERS "18446744073709551616,-9007199254740993,0.1,-0.0,1e+300,5e-324"
static const char WITH_SPACE[] =
    " {\"name\" : \"n\xc3\xa4me \xf0\x9f\x98\x80 \\\"q\\\" \\u0001/\",\n\t\"id\": %lu, "
    "\"nested\" : [ [ ], { \"\xe6\xb7\xb1\": [ { \"a\": { \"b\": [ true , false, null ] } } ] } ],"
    "\r\n\"numbers\": [" NUMBERS "] } ";
static const char FROM_PYTHON[] = "{\"name\":\"n\\u00e4me \\ud83d\\ude00 \\\"q\\\" \\u0001/\",\"id\":%lu,"
                                  "\"nested\":[[],{\"\\u6df1\":[{\"a\":{\"b\":[true,false,null]}}]}],"
                                  "\"numbers\":[" NUMBERS "]}";

static int failed(const char *what, wtgram_status status)
{
    return fprintf(stderr, "datagram_kinds_peer: %s: %s\n", what, wtgram_status_name(status)), 1;
}

static int send_document(wtgram_transport transport, unsigned long number)
{
    char text[CAPACITY], detail[200] = "";
    int length = snprintf(text, sizeof text, WITH_SPACE, number);
    wtgram_status status = wtgram_transport_send_json(transport, text, (size_t)length, NULL, detail, sizeof detail);
    return status == WTGRAM_OK ? 0 : (fprintf(stderr, "%s\n", detail), failed("send_json", status));
}

static int expect_document(wtgram_transport transport, unsigned long number)
{
    char text[CAPACITY], expected[CAPACITY], detail[200] = "";
    size_t length = 0;
    snprintf(expected, sizeof expected, FROM_PYTHON, number);
    wtgram_status status =
        wtgram_transport_receive_json(transport, PATIENCE_US, text, sizeof text, &length, detail, sizeof detail);
    if (status != WTGRAM_OK) return fprintf(stderr, "%s\n", detail), failed("receive_json", status);
    if (length == strlen(expected) && strcmp(text, expected) == 0) return 0;
    return fprintf(stderr, "expected %s\ngot      %s\n", expected, text), 1;
}

/* The client sends first. At the end pywebtransport sends a NaN, which is not JSON. */
static int exchange_json(wtgram_transport transport, bool asks, unsigned long count)
{
    char text[CAPACITY], detail[200] = "";
    size_t length = 0;
    for (unsigned long number = 0; number < count; number++) {
        if (asks && send_document(transport, number) != 0) return 1;
        if (expect_document(transport, number) != 0) return 1;
        if (!asks && send_document(transport, number) != 0) return 1;
    }
    wtgram_status status =
        wtgram_transport_receive_json(transport, PATIENCE_US, text, sizeof text, &length, detail, sizeof detail);
    if (status != WTGRAM_ERROR_SERIALIZATION || detail[0] == 0) return failed("receive_json of a NaN", status);
    /* The transport still works after the refusal, and this tells pywebtransport that we are done. */
    return send_document(transport, count);
}

/* Returns 1 if the next datagram is a heartbeat, whose time must be about now; 0 if it is `other`; otherwise -1. */
static int next_is_heartbeat(wtgram_transport transport, const char *other)
{
    char data[CAPACITY];
    size_t length = 0;
    bool heartbeat = false;
    wtgram_status status = wtgram_transport_receive(transport, PATIENCE_US, (uint8_t *)data, sizeof data - 1, &length);
    if (status == WTGRAM_OK) status = wtgram_datagram_is_heartbeat((const uint8_t *)data, length, &heartbeat);
    if (status != WTGRAM_OK) return failed("receive", status), -1;
    data[length] = 0;
    if (!heartbeat && strcmp(data, other) == 0) return 0;
    long long apart = (long long)time(NULL) - strtoll(data + (heartbeat ? strlen("HEARTBEAT:") : 0), NULL, 10);
    if (heartbeat && length <= WTGRAM_HEARTBEAT_MAX_LENGTH && apart >= -1 && apart <= 60) return 1;
    return fprintf(stderr, "neither a heartbeat of now nor %s: %s\n", other, data), -1;
}

static int expect_silence(wtgram_transport transport, bool expected)
{
    bool silent = !expected;
    for (int waited_ms = 0;; waited_ms += 10) {
        const struct timespec pause = {0, 10 * 1000 * 1000};
        wtgram_status status = wtgram_transport_is_peer_silent(transport, &silent);
        if (status != WTGRAM_OK) return failed("is_peer_silent", status);
        if (silent == expected) return 0;
        if (!expected || waited_ms > 10 * 1000) return fprintf(stderr, "peer is silent: %d\n", silent), 1;
        nanosleep(&pause, NULL);
    }
}

/* Both ends send heartbeats. After COUNT of theirs we ask them to stop, and then the peer must become silent. */
static int exchange_heartbeats(wtgram_transport transport, unsigned long count)
{
    wtgram_heartbeat_options options;
    wtgram_heartbeat_options_init(&options);
    options.interval_us = BEAT_US;
    options.silent_after_intervals = SILENT_AFTER_INTERVALS;
    wtgram_status status = wtgram_transport_start_heartbeat(transport, &options);
    if (status != WTGRAM_OK) return failed("start_heartbeat", status);
    for (unsigned long number = 0; number < count; number++)
        if (next_is_heartbeat(transport, "nothing else") != 1) return 1;
    if (expect_silence(transport, false) != 0) return 1;
    status = wtgram_transport_send(transport, (const uint8_t *)"stop", strlen("stop"), NULL);
    if (status != WTGRAM_OK) return failed("send", status);
    int heartbeat;
    while ((heartbeat = next_is_heartbeat(transport, "stopped")) == 1) continue;
    if (heartbeat != 0 || expect_silence(transport, true) != 0) return 1;
    status = wtgram_transport_stop_heartbeat(transport);
    return status == WTGRAM_OK ? 0 : failed("stop_heartbeat", status);
}

static int exchange(wtgram_session session, const char *kind, bool asks, unsigned long count)
{
    wtgram_transport transport;
    wtgram_status status = wtgram_session_get_transport(session, &transport);
    if (status != WTGRAM_OK) return failed("datagrams", status);
    int result =
        strcmp(kind, "json") == 0 ? exchange_json(transport, asks, count) : exchange_heartbeats(transport, count);
    if (result != 0) return result;
    printf("exchanged %lu\n", count);
    fflush(stdout);
    /* The other side closes the session, so that our last datagrams arrive. */
    uint8_t data[CAPACITY];
    size_t length = 0;
    status = wtgram_transport_receive(transport, 3 * PATIENCE_US, data, sizeof data, &length);
    return status == WTGRAM_ERROR_CLOSED ? 0 : failed("waiting for the close", status);
}

static int serve(const char *kind, unsigned long count)
{
    wtgram_listen_options options;
    wtgram_server server;
    wtgram_session session;
    uint16_t port = 0;
    wtgram_listen_options_init(&options);
    options.host = "127.0.0.1";
    wtgram_status status = wtgram_server_listen(&options, &server, NULL, 0);
    if (status == WTGRAM_OK) status = wtgram_server_get_local_port(server, &port);
    if (status != WTGRAM_OK) return failed("listen", status);
    printf("listening %u\n", (unsigned)port);
    fflush(stdout);
    status = wtgram_server_accept(server, 3 * PATIENCE_US, &session);
    return status == WTGRAM_OK ? exchange(session, kind, false, count) : failed("accept", status);
}

static int ask(const char *kind, unsigned long count, const char *url)
{
    wtgram_connect_options options;
    wtgram_session session;
    char detail[256] = "";
    wtgram_connect_options_init(&options);
    options.trust = WTGRAM_TRUST_INSECURE_NO_VERIFICATION;
    wtgram_status status = wtgram_session_connect(url, &options, &session, detail, sizeof detail);
    if (status != WTGRAM_OK) return fprintf(stderr, "%s\n", detail), failed("connect", status);
    return exchange(session, kind, true, count);
}

int main(int argc, char **argv)
{
    const bool known = argc >= 4 && (strcmp(argv[2], "json") == 0 || strcmp(argv[2], "heartbeat") == 0);
    if (known && argc == 4 && strcmp(argv[1], "server") == 0) return serve(argv[2], strtoul(argv[3], NULL, 10));
    if (known && argc == 5 && strcmp(argv[1], "client") == 0) return ask(argv[2], strtoul(argv[3], NULL, 10), argv[4]);
    return fprintf(stderr, "usage: datagram_kinds_peer server|client json|heartbeat COUNT [URL]\n"), 2;
}
