/* Our end of structured_test.py: structured objects, JSON or MessagePack on the wire, with the C header alone.
 *
 *   structured_peer server json|msgpack          sends every object back as it came, until the session ends
 *   structured_peer client json|msgpack URL N    sends N objects and expects each back unchanged
 *
 * The server prints "listening PORT". The exit code is 0 only if all went well. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <wtgram.h>

enum { TYPE_ID = 513, SECOND_US = 1000 * 1000, PATIENCE_US = 60 * SECOND_US, CAPACITY = 2000 };

static int failed(const char *what, wtgram_status status)
{
    return fprintf(stderr, "structured_peer: %s: %s\n", what, wtgram_status_name(status)), 1;
}

static wtgram_status open_over(wtgram_session session, const char *serializer, wtgram_structured *structured)
{
    const wtgram_object_type type = {TYPE_ID, 0, 0, {0, 0}};
    wtgram_structured_options options;
    wtgram_transport datagrams;
    wtgram_structured_options_init(&options);
    if (strcmp(serializer, "msgpack") == 0) options.serializer = WTGRAM_SERIALIZER_MESSAGE_PACK;
    wtgram_status status = wtgram_session_get_transport(session, &datagrams);
    return status == WTGRAM_OK ? wtgram_structured_open_over_transport(datagrams, &type, 1, &options, structured)
                               : status;
}

static int serve(const char *serializer)
{
    wtgram_listen_options options;
    wtgram_server server;
    wtgram_session session;
    wtgram_structured structured;
    uint16_t port = 0;
    unsigned long count = 0;
    wtgram_listen_options_init(&options);
    options.host = "127.0.0.1";
    wtgram_status status = wtgram_server_listen(&options, &server, NULL, 0);
    if (status == WTGRAM_OK) status = wtgram_server_get_local_port(server, &port);
    if (status != WTGRAM_OK) return failed("listen", status);
    printf("listening %u\n", (unsigned)port);
    fflush(stdout);
    status = wtgram_server_accept(server, 3 * PATIENCE_US, &session);
    if (status == WTGRAM_OK) status = open_over(session, serializer, &structured);
    if (status != WTGRAM_OK) return failed("accept", status);
    for (;; count++) {
        uint8_t object[CAPACITY];
        uint32_t type_id = 0;
        size_t length = 0;
        status = wtgram_structured_receive(structured, 3 * PATIENCE_US, object, sizeof object, &type_id, &length);
        if (status == WTGRAM_ERROR_CLOSED) break;
        if (status == WTGRAM_OK) status = wtgram_structured_send(structured, type_id, object, length, NULL);
        if (status == WTGRAM_ERROR_CLOSED) break;
        if (status != WTGRAM_OK) return failed("echo", status);
    }
    printf("echoed %lu\n", count);
    return count > 0 ? 0 : 1;
}

static int ask(const char *serializer, const char *url, unsigned long count)
{
    wtgram_connect_options options;
    wtgram_session session;
    wtgram_structured structured;
    char detail[256] = "";
    wtgram_connect_options_init(&options);
    options.trust = WTGRAM_TRUST_INSECURE_NO_VERIFICATION;
    wtgram_status status = wtgram_session_connect(url, &options, &session, detail, sizeof detail);
    if (status == WTGRAM_OK) status = open_over(session, serializer, &structured);
    if (status != WTGRAM_OK) return fprintf(stderr, "%s\n", detail), failed("connect", status);
    for (unsigned long i = 0; i < count; i++) {
        char object[CAPACITY], back[CAPACITY];
        uint32_t type_id = 0;
        size_t length = 0;
        snprintf(
            object, sizeof object,
            "{\"id\":%lu,\"name\":\"n\xc3\xa4me \xf0\x9f\x98\x80 \\\"%lu\\\" \\u0001\",\"scores\":[%lu.5,-0.25,1e+300],"
            "\"home\":{\"x\":-%lu,\"y\":18446744073709551615},\"note\":null,\"ready\":%s}",
            i, i * 7, i, i + 1, i % 2 == 0 ? "true" : "false");
        status = wtgram_structured_send(structured, TYPE_ID, (const uint8_t *)object, strlen(object), NULL);
        if (status == WTGRAM_OK)
            status =
                wtgram_structured_receive(structured, PATIENCE_US, (uint8_t *)back, sizeof back - 1, &type_id, &length);
        if (status != WTGRAM_OK) return failed("exchange", status);
        back[length] = 0;
        if (type_id != TYPE_ID || strcmp(object, back) != 0)
            return fprintf(stderr, "sent     %s\ngot %" PRIu32 " %s\n", object, type_id, back), 1;
    }
    printf("same %lu\n", count);
    wtgram_structured_free(structured);
    wtgram_session_free(session);
    return 0;
}

int main(int argc, char **argv)
{
    if (argc == 3 && strcmp(argv[1], "server") == 0) return serve(argv[2]);
    if (argc == 5 && strcmp(argv[1], "client") == 0) return ask(argv[2], argv[3], strtoul(argv[4], NULL, 10));
    return fprintf(stderr, "usage: structured_peer server json|msgpack | client json|msgpack URL COUNT\n"), 2;
}
