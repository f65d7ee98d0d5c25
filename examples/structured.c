/* Typed objects: a player sends its position, and a server answers with a greeting. Both ends are in one program, over
 * loopback. Objects are JSON for the program and MessagePack on the wire. The other end may also be a pywebtransport
 * StructuredDatagramTransport with the registry {1: Position, 2: Greeting} and the MsgPackSerializer.
 *
 *   structured
 *
 * Exit codes: 0 all went well, 1 something failed. */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <wtgram.h>

enum { POSITION = 1, GREETING = 2, SECOND_US = 1000 * 1000 };

/* Both ends agree on the types and their ids. */
static const wtgram_object_type TYPES[] = {{.type_id = POSITION, .max_bytes = 200}, {.type_id = GREETING}};

static int failed(const char *what, wtgram_status status)
{
    return fprintf(stderr, "structured: %s: %s\n", what, wtgram_status_message(status)), 1;
}

static wtgram_status open_structured(wtgram_session session, wtgram_structured *structured)
{
    wtgram_structured_options options;
    wtgram_structured_options_init(&options);
    options.serializer = WTGRAM_SERIALIZER_MESSAGE_PACK;
    /* Over the session: datagrams with other type ids go to the session's transport. */
    return wtgram_structured_open_over_session(session, TYPES, 2, &options, structured);
}

static wtgram_status send_text(wtgram_structured structured, uint32_t type_id, const char *json)
{
    return wtgram_structured_send(structured, type_id, (const uint8_t *)json, strlen(json), NULL);
}

/* Receives one object as text. A datagram that is not an object has its own status; the function prints it and waits
 * for the next. */
static wtgram_status receive_text(wtgram_structured structured, uint32_t *type_id, char *text, size_t capacity)
{
    for (;;) {
        size_t length = 0;
        wtgram_status status =
            wtgram_structured_receive(structured, 5 * SECOND_US, (uint8_t *)text, capacity - 1, type_id, &length);
        text[status == WTGRAM_OK ? length : 0] = 0;
        switch (status) {
        case WTGRAM_ERROR_TRUNCATED:
        case WTGRAM_ERROR_UNKNOWN_TYPE:
        case WTGRAM_ERROR_TOO_LARGE:
        case WTGRAM_ERROR_DESERIALIZATION: fprintf(stderr, "skipped: %s\n", wtgram_status_message(status)); continue;
        default: return status;
        }
    }
}

static int talk(wtgram_structured player, wtgram_structured server)
{
    char text[512];
    uint32_t type_id = 0;
    wtgram_status status = send_text(player, POSITION, "{ \"id\": 7, \"x\": 1.5, \"y\": -2 }");
    if (status == WTGRAM_OK) status = receive_text(server, &type_id, text, sizeof text);
    if (status != WTGRAM_OK) return failed("position", status);
    printf("the server got object %" PRIu32 ": %s\n", type_id, text);

    status = send_text(server, GREETING, "{\"text\":\"hello, 7\",\"players\":[7]}");
    if (status == WTGRAM_OK) status = receive_text(player, &type_id, text, sizeof text);
    if (status != WTGRAM_OK) return failed("greeting", status);
    printf("the player got object %" PRIu32 ": %s\n", type_id, text);

    /* An object that cannot be serialized is refused here and never sent. */
    status = send_text(player, POSITION, "{\"x\":NaN}");
    printf("NaN is no JSON: %s\n", wtgram_status_name(status));
    if (status != WTGRAM_ERROR_SERIALIZATION) return 1;

    wtgram_structured_stats statistics;
    wtgram_structured_stats_init(&statistics);
    status = wtgram_structured_get_stats(player, &statistics);
    if (status != WTGRAM_OK) return failed("stats", status);
    printf("the player sent %" PRIu64 ", received %" PRIu64 ", was refused %" PRIu64 "\n", statistics.sent,
           statistics.received, statistics.send_not_serialized);
    return 0;
}

int main(void)
{
    wtgram_server listener = {0};
    wtgram_session client = {0}, accepted = {0};
    wtgram_structured player = {0}, server = {0};
    char detail[256] = "", url[64];
    uint8_t hash[WTGRAM_CERTIFICATE_HASH_LENGTH];
    uint16_t port = 0;
    wtgram_listen_options listen;
    wtgram_connect_options connect;
    wtgram_listen_options_init(&listen);
    wtgram_connect_options_init(&connect);
    listen.host = "127.0.0.1";
    wtgram_status status = wtgram_server_listen(&listen, &listener, detail, sizeof detail);
    if (status == WTGRAM_OK) status = wtgram_server_get_certificate_hash(listener, hash);
    if (status == WTGRAM_OK) status = wtgram_server_get_local_port(listener, &port);
    if (status != WTGRAM_OK) return fprintf(stderr, "%s\n", detail), failed("listen", status);
    snprintf(url, sizeof url, "https://127.0.0.1:%u/game", (unsigned)port);
    connect.trust = WTGRAM_TRUST_CERTIFICATE_HASHES;
    connect.certificate_hashes = hash;
    connect.certificate_hashes_count = 1;
    status = wtgram_session_connect(url, &connect, &client, detail, sizeof detail);
    if (status == WTGRAM_OK) status = wtgram_server_accept(listener, 5 * SECOND_US, &accepted);
    if (status != WTGRAM_OK) return fprintf(stderr, "%s\n", detail), failed("connect", status);

    status = open_structured(client, &player);
    if (status == WTGRAM_OK) status = open_structured(accepted, &server);
    int exit_code = status == WTGRAM_OK ? talk(player, server) : failed("open", status);
    wtgram_structured_free(player);
    wtgram_structured_free(server);
    wtgram_session_free(client);
    wtgram_session_free(accepted);
    wtgram_server_free(listener);
    status = wtgram_shutdown(SECOND_US);
    return status == WTGRAM_OK ? exit_code : failed("shutdown", status);
}
