/* What callers can get wrong besides handles: sizes, lengths, enums, durations, buffers. (matrix.py passes NULL for
 * every pointer of every function.) */
#include "check.h"
#include "pair.h"

static void wrong_struct_sizes(const struct pair *pair)
{
    wtgram_connect_options connect;
    wtgram_listen_options listen;
    wtgram_send_options send;
    wtgram_session session;
    wtgram_server server;
    wtgram_transport_stats stats;
    wtgram_session_stats session_stats;
    wtgram_close_info info;
    wtgram_server_limits limits;
    wtgram_server_stats server_stats;
    TEST("a struct_size of 0, or larger than the library knows, is INVALID_ARGUMENT");
    for (int i = 0; i < 2; i++) {
        size_t size = i == 0 ? 0 : 4096;
        wtgram_connect_options_init(&connect);
        connect.struct_size = size;
        CHECK_STATUS(wtgram_session_connect(pair->url, &connect, &session, NULL, 0), WTGRAM_ERROR_INVALID_ARGUMENT);
        wtgram_listen_options_init(&listen);
        listen.struct_size = size;
        CHECK_STATUS(wtgram_server_listen(&listen, &server, NULL, 0), WTGRAM_ERROR_INVALID_ARGUMENT);
        wtgram_send_options_init(&send);
        send.struct_size = size;
        CHECK_STATUS(wtgram_transport_send(pair->client_datagrams, (const uint8_t *)"x", 1, &send),
                     WTGRAM_ERROR_INVALID_ARGUMENT);
        wtgram_transport_stats_init(&stats);
        stats.struct_size = size;
        CHECK_STATUS(wtgram_transport_get_stats(pair->client_datagrams, &stats), WTGRAM_ERROR_INVALID_ARGUMENT);
        wtgram_session_stats_init(&session_stats);
        session_stats.struct_size = size;
        CHECK_STATUS(wtgram_session_get_stats(pair->client, &session_stats), WTGRAM_ERROR_INVALID_ARGUMENT);
        wtgram_close_info_init(&info);
        info.struct_size = size;
        CHECK_STATUS(wtgram_session_wait_closed(pair->client, 0, &info), WTGRAM_ERROR_INVALID_ARGUMENT);
        wtgram_server_limits_init(&limits);
        limits.struct_size = size;
        wtgram_listen_options_init(&listen);
        listen.limits = &limits;
        CHECK_STATUS(wtgram_server_listen(&listen, &server, NULL, 0), WTGRAM_ERROR_INVALID_ARGUMENT);
        wtgram_server_stats_init(&server_stats);
        server_stats.struct_size = size;
        CHECK_STATUS(wtgram_server_get_stats(pair->server, &server_stats), WTGRAM_ERROR_INVALID_ARGUMENT);
        wtgram_runtime_options runtime;
        wtgram_runtime_options_init(&runtime);
        runtime.struct_size = size;
        CHECK(wtgram_runtime_configure(&runtime) != WTGRAM_OK);
    }
    TEST("the same for options inside options");
    wtgram_transport_options transport;
    wtgram_transport_options_init(&transport);
    transport.struct_size = 1;
    wtgram_connect_options_init(&connect);
    connect.transport = &transport;
    CHECK_STATUS(wtgram_session_connect(pair->url, &connect, &session, NULL, 0), WTGRAM_ERROR_INVALID_ARGUMENT);
    wtgram_connection_options connection;
    wtgram_connection_options_init(&connection);
    connection.struct_size = 1;
    wtgram_listen_options_init(&listen);
    listen.connection = &connection;
    CHECK_STATUS(wtgram_server_listen(&listen, &server, NULL, 0), WTGRAM_ERROR_INVALID_ARGUMENT);
}

static void unknown_enums(const struct pair *pair)
{
    wtgram_connect_options connect;
    wtgram_listen_options listen;
    wtgram_transport_options transport;
    wtgram_connection_options connection;
    wtgram_session session;
    wtgram_server server;
    wtgram_poller poller;
    TEST("an unknown trust, identity, policy, congestion controller, log level or interest is INVALID_ARGUMENT");
    wtgram_connect_options_init(&connect);
    connect.trust = 77;
    CHECK_STATUS(wtgram_session_connect(pair->url, &connect, &session, NULL, 0), WTGRAM_ERROR_INVALID_ARGUMENT);
    wtgram_listen_options_init(&listen);
    listen.identity = 77;
    CHECK_STATUS(wtgram_server_listen(&listen, &server, NULL, 0), WTGRAM_ERROR_INVALID_ARGUMENT);
    wtgram_listen_options_init(&listen);
    listen.port = 65536;
    CHECK_STATUS(wtgram_server_listen(&listen, &server, NULL, 0), WTGRAM_ERROR_INVALID_ARGUMENT);
    wtgram_transport_options_init(&transport);
    transport.outgoing_full_policy = 77;
    wtgram_listen_options_init(&listen);
    listen.transport = &transport;
    CHECK_STATUS(wtgram_server_listen(&listen, &server, NULL, 0), WTGRAM_ERROR_INVALID_ARGUMENT);
    wtgram_transport_options_init(&transport);
    transport.incoming_drop_policy = 77;
    CHECK_STATUS(wtgram_server_listen(&listen, &server, NULL, 0), WTGRAM_ERROR_INVALID_ARGUMENT);
    wtgram_connection_options_init(&connection);
    connection.congestion_controller = 77;
    wtgram_listen_options_init(&listen);
    listen.connection = &connection;
    CHECK_STATUS(wtgram_server_listen(&listen, &server, NULL, 0), WTGRAM_ERROR_INVALID_ARGUMENT);
    CHECK_STATUS(wtgram_log_configure(77, NULL, NULL), WTGRAM_ERROR_INVALID_ARGUMENT);
    CHECK_STATUS(wtgram_log_configure(-1, NULL, NULL), WTGRAM_ERROR_INVALID_ARGUMENT);
    CHECK_OK(wtgram_poller_new(&poller));
    CHECK_STATUS(wtgram_poller_add(poller, pair->client_datagrams.id, 0x4000, 0), WTGRAM_ERROR_INVALID_ARGUMENT);
    CHECK_STATUS(wtgram_poller_add(poller, pair->client_datagrams.id, WTGRAM_READY_ACCEPT, 0),
                 WTGRAM_ERROR_INVALID_ARGUMENT);
    CHECK_STATUS(wtgram_poller_add(poller, pair->server.id, WTGRAM_READY_READABLE, 0), WTGRAM_ERROR_INVALID_ARGUMENT);
    wtgram_poller_free(poller);
    TEST("status texts are never NULL, whatever the number");
    CHECK_TEXT(wtgram_status_name(WTGRAM_ERROR_TIMED_OUT), "WTGRAM_ERROR_TIMED_OUT");
    static const int32_t numbers[] = {0, 1, -1, -34, -999, INT32_MIN, INT32_MAX};
    for (size_t i = 0; i < sizeof numbers / sizeof *numbers; i++) {
        CHECK(wtgram_status_name(numbers[i]) != NULL && wtgram_status_name(numbers[i])[0] != '\0');
        CHECK(wtgram_status_message(numbers[i]) != NULL && wtgram_status_message(numbers[i])[0] != '\0');
    }
}

static void lengths_and_pointers(const struct pair *pair)
{
    uint8_t byte = 1;
    size_t length = 0, count = 0;
    wtgram_slice slice;
    wtgram_status result = WTGRAM_OK;
    wtgram_received_datagram received;
    wtgram_event event;
    TEST("NULL with a length is INVALID_ARGUMENT; SIZE_MAX lengths are refused without being touched");
    CHECK_STATUS(wtgram_transport_send(pair->client_datagrams, NULL, 1, NULL), WTGRAM_ERROR_INVALID_ARGUMENT);
    CHECK_STATUS(wtgram_transport_try_send(pair->client_datagrams, NULL, SIZE_MAX, NULL),
                 WTGRAM_ERROR_INVALID_ARGUMENT);
    wtgram_status status = wtgram_transport_send(pair->client_datagrams, &byte, SIZE_MAX, NULL);
    CHECK(status == WTGRAM_ERROR_TOO_LARGE || status == WTGRAM_ERROR_INVALID_ARGUMENT);
    slice.data = NULL;
    slice.length = 1;
    CHECK_STATUS(wtgram_transport_send_batch(pair->client_datagrams, &slice, 1, NULL, &result, &count),
                 WTGRAM_ERROR_INVALID_ARGUMENT);
    CHECK_UINT(count, 0);
    slice.data = &byte;
    slice.length = SIZE_MAX;
    status = wtgram_transport_send_batch(pair->client_datagrams, &slice, 1, NULL, NULL, &count);
    CHECK(status == WTGRAM_ERROR_TOO_LARGE || status == WTGRAM_ERROR_INVALID_ARGUMENT);
    CHECK_STATUS(wtgram_transport_send_batch(pair->client_datagrams, &slice, SIZE_MAX, NULL, NULL, &count),
                 WTGRAM_ERROR_INVALID_ARGUMENT);
    CHECK_STATUS(wtgram_transport_receive(pair->client_datagrams, 0, NULL, 1, &length), WTGRAM_ERROR_INVALID_ARGUMENT);
    CHECK_STATUS(wtgram_transport_receive(pair->client_datagrams, 0, &byte, SIZE_MAX, &length),
                 WTGRAM_ERROR_INVALID_ARGUMENT);
    CHECK_STATUS(wtgram_transport_receive_batch(pair->client_datagrams, 0, NULL, 1, &received, 1, &count),
                 WTGRAM_ERROR_INVALID_ARGUMENT);
    CHECK_STATUS(wtgram_transport_receive_batch(pair->client_datagrams, 0, &byte, 1, NULL, 1, &count),
                 WTGRAM_ERROR_INVALID_ARGUMENT);
    CHECK_STATUS(wtgram_transport_receive_batch(pair->client_datagrams, 0, &byte, 1, &received, SIZE_MAX, &count),
                 WTGRAM_ERROR_INVALID_ARGUMENT);
    CHECK_STATUS(wtgram_session_connect(pair->url, NULL, NULL, NULL, 0), WTGRAM_ERROR_INVALID_ARGUMENT);
    wtgram_session session;
    CHECK_STATUS(wtgram_session_connect(pair->url, NULL, &session, NULL, 5), WTGRAM_ERROR_INVALID_ARGUMENT);
    wtgram_poller poller;
    CHECK_OK(wtgram_poller_new(&poller));
    CHECK_STATUS(wtgram_poller_wait(poller, 0, &event, 0, &count), WTGRAM_ERROR_INVALID_ARGUMENT);
    CHECK_STATUS(wtgram_poller_wait(poller, 0, &event, SIZE_MAX, &count), WTGRAM_ERROR_INVALID_ARGUMENT);
    wtgram_poller_free(poller);
    TEST("hashes, headers and PEM: NULL with a count is INVALID_ARGUMENT, and so is trust without what it trusts");
    wtgram_connect_options connect;
    wtgram_connect_options_init(&connect);
    connect.trust = WTGRAM_TRUST_CERTIFICATE_HASHES;
    CHECK_STATUS(wtgram_session_connect(pair->url, &connect, &session, NULL, 0), WTGRAM_ERROR_INVALID_ARGUMENT);
    connect.certificate_hashes_count = 1;
    CHECK_STATUS(wtgram_session_connect(pair->url, &connect, &session, NULL, 0), WTGRAM_ERROR_INVALID_ARGUMENT);
    connect.certificate_hashes = pair->hash;
    connect.certificate_hashes_count = SIZE_MAX;
    CHECK_STATUS(wtgram_session_connect(pair->url, &connect, &session, NULL, 0), WTGRAM_ERROR_INVALID_ARGUMENT);
    connect.certificate_hashes_count = 1;
    connect.headers_count = 1;
    CHECK_STATUS(wtgram_session_connect(pair->url, &connect, &session, NULL, 0), WTGRAM_ERROR_INVALID_ARGUMENT);
    wtgram_connect_options_init(&connect);
    connect.trust = WTGRAM_TRUST_CA;
    CHECK_STATUS(wtgram_session_connect(pair->url, &connect, &session, NULL, 0), WTGRAM_ERROR_IDENTITY);
}

static void durations(const struct pair *pair)
{
    uint8_t byte = 1;
    size_t length = 0;
    wtgram_send_options send;
    wtgram_session session;
    TEST("a wait below FOREVER, and a negative TTL, is INVALID_ARGUMENT; the longest wait does not overflow");
    CHECK_STATUS(wtgram_transport_receive(pair->client_datagrams, -2, &byte, 1, &length),
                 WTGRAM_ERROR_INVALID_ARGUMENT);
    CHECK_STATUS(wtgram_server_accept(pair->server, INT64_MIN, &session), WTGRAM_ERROR_INVALID_ARGUMENT);
    wtgram_send_options_init(&send);
    send.ttl_us = -1;
    CHECK_STATUS(wtgram_transport_send(pair->client_datagrams, &byte, 1, &send), WTGRAM_ERROR_INVALID_ARGUMENT);
    wtgram_send_options_init(&send);
    send.ttl_us = INT64_MAX;
    CHECK_OK(wtgram_transport_send(pair->client_datagrams, &byte, 1, &send));
    CHECK_OK(wtgram_transport_receive(pair->accepted_datagrams, INT64_MAX, &byte, 1, &length));
    TEST("a priority out of range is clamped, not refused");
    wtgram_send_options_init(&send);
    send.priority = 1000;
    CHECK_OK(wtgram_transport_send(pair->client_datagrams, &byte, 1, &send));
    send.priority = INT32_MIN;
    CHECK_OK(wtgram_transport_send(pair->client_datagrams, &byte, 1, &send));
    for (int i = 0; i < 2; i++)
        CHECK_OK(wtgram_transport_receive(pair->accepted_datagrams, PATIENCE_US, &byte, 1, &length));
}

static void texts_report_the_size_needed(const struct pair *pair)
{
    char text[64];
    size_t length = 0;
    TEST("a text buffer that is too small reports the length needed; exactly length + 1 fits");
    memset(text, 'x', sizeof text);
    CHECK_STATUS(wtgram_session_get_path(pair->accepted, text, 5, &length), WTGRAM_ERROR_BUFFER_TOO_SMALL);
    CHECK_UINT(length, 5);
    CHECK_OK(wtgram_session_get_path(pair->accepted, text, 6, &length));
    CHECK_TEXT(text, "/test");
    CHECK(text[6] == 'x');
    length = 0;
    CHECK_STATUS(wtgram_session_get_path(pair->accepted, NULL, 0, &length), WTGRAM_ERROR_BUFFER_TOO_SMALL);
    CHECK_UINT(length, 5);
    CHECK_STATUS(wtgram_server_get_local_address(pair->server, text, 1, &length), WTGRAM_ERROR_BUFFER_TOO_SMALL);
    CHECK(length >= strlen("127.0.0.1:1"));
    CHECK_STATUS(wtgram_session_get_remote_address(pair->client, text, 1, &length), WTGRAM_ERROR_BUFFER_TOO_SMALL);
    CHECK(length >= strlen("127.0.0.1:1"));
}

int main(void)
{
    struct pair pair;
    pair_open(&pair, NULL);
    wrong_struct_sizes(&pair);
    unknown_enums(&pair);
    lengths_and_pointers(&pair);
    durations(&pair);
    texts_report_the_size_needed(&pair);
    TEST("after all that the session is as good as new");
    pair_exchange(pair.client_datagrams, pair.accepted_datagrams, "still here", 10);
    pair_free(&pair);
    return 0;
}
