/* What is easier said in C than in Go: calls whose options live on the C stack, and batches without an array of Go
 * pointers. A result that is both a count and a status is the count where it is not negative. */
#ifndef WTGRAM_GO_BRIDGE_H
#define WTGRAM_GO_BRIDGE_H

#include <stdlib.h>
#include <string.h>
#include <wtgram.h>

static inline int32_t bridge_try_send(wtgram_transport transport, const uint8_t *data, size_t length, int32_t priority,
                                      int64_t ttl_us)
{
    wtgram_send_options options;
    wtgram_send_options_init(&options);
    options.priority = priority;
    options.ttl_us = ttl_us;
    options.timeout_us = 0; /* under WTGRAM_FULL_WAIT it is Go that waits */
    return wtgram_transport_try_send(transport, data, length, &options);
}

enum { BRIDGE_BATCH = 64 };

/* `arena` holds `count` datagrams one after the other, at most BRIDGE_BATCH. *failed is the status of the first that
 * was not accepted, -1 plus its index in *failed_index. */
static inline int32_t bridge_send_batch(wtgram_transport transport, const uint8_t *arena, const size_t *lengths,
                                        size_t count, int32_t *status)
{
    wtgram_slice slices[BRIDGE_BATCH];
    wtgram_send_options options;
    size_t accepted = 0;
    for (size_t i = 0; i < count; i++) {
        slices[i].data = arena;
        slices[i].length = lengths[i];
        arena += lengths[i];
    }
    wtgram_send_options_init(&options);
    options.timeout_us = 0;
    *status = wtgram_transport_send_batch(transport, slices, count, &options, NULL, &accepted);
    return (int32_t)accepted;
}

static inline int64_t bridge_receive_batch(wtgram_transport transport, uint8_t *arena, size_t arena_capacity,
                                           wtgram_received *received, size_t capacity)
{
    size_t count = 0;
    wtgram_status status =
        wtgram_transport_receive_batch(transport, 0, arena, arena_capacity, received, capacity, &count);
    return status == WTGRAM_OK ? (int64_t)count : status;
}

static inline int64_t bridge_poller_wait(wtgram_poller poller, wtgram_event *events, size_t capacity)
{
    size_t count = 0;
    wtgram_status status = wtgram_poller_wait(poller, 0, events, capacity, &count);
    return status == WTGRAM_OK ? (int64_t)count : status;
}

/* Texts that end with NUL, one after the other. */
static inline const char *bridge_next(const char **texts)
{
    const char *text = *texts;
    *texts += strlen(text) + 1;
    return text;
}

static inline int32_t bridge_connect(const char *url, int64_t timeout_us, uint32_t trust, const char *ca_file,
                                     const uint8_t *ca_pem, size_t ca_pem_length, const uint8_t *hashes,
                                     size_t hashes_count, const char *header_texts, size_t headers_count,
                                     const char *bind_host, const wtgram_connection_options *connection,
                                     const wtgram_transport_options *transport, wtgram_session *session, char *detail,
                                     size_t detail_capacity)
{
    wtgram_connect_options options;
    wtgram_header *headers = NULL;
    if (headers_count > 0) {
        headers = (wtgram_header *)calloc(headers_count, sizeof *headers);
        if (headers == NULL) return WTGRAM_ERROR_LIMIT_REACHED;
    }
    for (size_t i = 0; i < headers_count; i++) {
        headers[i].name = bridge_next(&header_texts);
        headers[i].value = bridge_next(&header_texts);
    }
    wtgram_connect_options_init(&options);
    if (timeout_us > 0) options.timeout_us = timeout_us;
    options.trust = trust;
    options.ca_file = ca_file;
    options.ca_pem = ca_pem;
    options.ca_pem_length = ca_pem_length;
    options.certificate_hashes = hashes;
    options.certificate_hashes_count = hashes_count;
    options.headers = headers;
    options.headers_count = headers_count;
    options.bind_host = bind_host;
    options.connection = connection;
    options.transport = transport;
    int32_t status = wtgram_session_connect(url, &options, session, detail, detail_capacity);
    free(headers);
    return status;
}

static inline int32_t
bridge_listen(const char *host, uint32_t port, uint32_t identity, const char *certificate_file,
              const char *private_key_file, const uint8_t *certificate_pem, size_t certificate_pem_length,
              const uint8_t *private_key_pem, size_t private_key_pem_length, const char *name_texts, size_t names_count,
              uint32_t accept_backlog, uint32_t max_sessions, const wtgram_connection_options *connection,
              const wtgram_transport_options *transport, wtgram_server *server, char *detail, size_t detail_capacity)
{
    wtgram_listen_options options;
    const char **names = NULL;
    if (names_count > 0) {
        names = (const char **)calloc(names_count, sizeof *names);
        if (names == NULL) return WTGRAM_ERROR_LIMIT_REACHED;
    }
    for (size_t i = 0; i < names_count; i++) names[i] = bridge_next(&name_texts);
    wtgram_listen_options_init(&options);
    options.host = host;
    options.port = port;
    options.identity = identity;
    options.certificate_file = certificate_file;
    options.private_key_file = private_key_file;
    options.certificate_pem = certificate_pem;
    options.certificate_pem_length = certificate_pem_length;
    options.private_key_pem = private_key_pem;
    options.private_key_pem_length = private_key_pem_length;
    if (names_count > 0) {
        options.self_signed_names = names;
        options.self_signed_names_count = names_count;
    }
    if (accept_backlog > 0) options.accept_backlog = accept_backlog;
    options.max_sessions = max_sessions;
    options.connection = connection;
    options.transport = transport;
    int32_t status = wtgram_server_listen(&options, server, detail, detail_capacity);
    free((void *)names);
    return status;
}

#endif
