/* The server of the echo test. */
#include <stdio.h>
#include <string.h>

#include "peer.h"

/* Other paths get 404. */
static const char *const allowed_paths[] = {"/echo/*"};

/* Answers one datagram. Returns WTGRAM_ERROR_CLOSED after the request to close. */
static wtgram_status answer(wtgram_session session, wtgram_transport transport, const struct arguments *arguments,
                            const uint8_t *bytes, size_t length)
{
    if (is_close_request(bytes, length)) {
        wtgram_status status = wtgram_session_close(session, arguments->close_code, arguments->close_reason,
                                                    strlen(arguments->close_reason));
        return status == WTGRAM_OK ? WTGRAM_ERROR_CLOSED : status;
    }
    if (has_marker(bytes, length, ASK_LARGE)) {
        size_t size = 0;
        uint32_t zero = 0;
        if (!read_large(bytes, length, ASK_LARGE, &zero)) return WTGRAM_ERROR_PROTOCOL;
        return send_large(transport, ANSWER_LARGE, (uint32_t)length, &size);
    }
    return wtgram_transport_send(transport, bytes, length, NULL);
}

static int echo(wtgram_session session, const struct arguments *arguments, int64_t deadline_us)
{
    static uint8_t buffer[RECEIVE_CAPACITY];
    uint64_t answered = 0;
    wtgram_transport transport;
    wtgram_close_info info;
    wtgram_close_info_init(&info);
    wtgram_status status = wtgram_session_get_transport(session, &transport);
    while (status == WTGRAM_OK) {
        size_t length = 0;
        int64_t left_us = deadline_us - now_us();
        status = wtgram_transport_receive(transport, left_us < 0 ? 0 : left_us, buffer, sizeof buffer, &length);
        if (status != WTGRAM_OK) break;
        status = answer(session, transport, arguments, buffer, length);
        answered += status == WTGRAM_OK;
    }
    if (status != WTGRAM_ERROR_CLOSED) return fail("echo", status, NULL);
    status = wtgram_session_wait_closed(session, 5 * SECOND_US, &info);
    if (status != WTGRAM_OK) return fail("wait until closed", status, NULL);
    print_close_info(&info, answered);
    return 0;
}

static int serve(wtgram_server server, const struct arguments *arguments, int64_t deadline_us)
{
    for (uint32_t number = 0; number < arguments->sessions; number++) {
        wtgram_session session;
        char path[1024] = "";
        size_t length = 0;
        int64_t left_us = deadline_us - now_us();
        wtgram_status status = wtgram_server_accept(server, left_us < 0 ? 0 : left_us, &session);
        if (status != WTGRAM_OK) return fail("accept", status, NULL);
        status = wtgram_session_get_path(session, path, sizeof path, &length);
        if (status != WTGRAM_OK) return fail("path", status, NULL);
        printf("{\"event\": \"session\", \"path\": ");
        print_text(path);
        print_protocol(session);
        int result = echo(session, arguments, deadline_us);
        wtgram_session_free(session);
        if (result != 0) return result;
    }
    return 0;
}

int run_server(const struct arguments *arguments)
{
    int64_t deadline_us = now_us() + arguments->seconds * SECOND_US;
    char detail[512] = "";
    uint8_t hash[WTGRAM_CERTIFICATE_HASH_LENGTH];
    uint16_t port = 0;
    wtgram_server server;
    wtgram_listen_options options;
    wtgram_listen_options_init(&options);
    options.host = "127.0.0.1";
    options.allowed_paths = allowed_paths;
    options.allowed_paths_count = 1;
    options.subprotocols = arguments->protocols;
    options.subprotocols_count = arguments->protocols_count;
    if (arguments->certificate != NULL) {
        options.identity = WTGRAM_IDENTITY_PEM_FILES;
        options.certificate_file = arguments->certificate;
        options.private_key_file = arguments->key;
    }
    wtgram_status status = wtgram_server_listen(&options, &server, detail, sizeof detail);
    if (status != WTGRAM_OK) return fail("listen", status, detail);
    status = wtgram_server_get_local_port(server, &port);
    if (status == WTGRAM_OK) status = wtgram_server_get_certificate_hash(server, hash);
    if (status != WTGRAM_OK) return fail("address", status, NULL);
    printf("{\"event\": \"listening\", \"port\": %u, \"hash\": \"", port);
    for (size_t i = 0; i < sizeof hash; i++) printf("%02x", hash[i]);
    printf("\", \"version\": \"%s\"", wtgram_version());
    end_line();
    int result = serve(server, arguments, deadline_us);
    wtgram_server_free(server);
    return result;
}
