/* Calls that are easier to write in C than in Go: their options live on the C stack, and batches need no array of Go
 * pointers. Where a result is a count or a status, it is a count if it is not negative. */
#ifndef WTGRAM_GO_BRIDGE_H
#define WTGRAM_GO_BRIDGE_H

#include <stdlib.h>
#include <string.h>
#include <wtgram.h>

static inline wtgram_send_options bridge_send_options(int32_t priority, int64_t ttl_us, int64_t timeout_us,
                                                      uint64_t report_id)
{
    wtgram_send_options options;
    wtgram_send_options_init(&options);
    options.priority = priority;
    options.ttl_us = ttl_us;
    options.timeout_us = timeout_us;
    options.report_id = report_id;
    return options;
}

static inline int32_t bridge_send(wtgram_transport transport, const uint8_t *data, size_t length, int32_t priority,
                                  int64_t ttl_us, int64_t timeout_us, uint64_t report_id)
{
    wtgram_send_options options = bridge_send_options(priority, ttl_us, timeout_us, report_id);
    return wtgram_transport_send(transport, data, length, &options);
}

static inline int32_t bridge_send_json(wtgram_transport transport, const char *text, size_t length, int32_t priority,
                                       int64_t ttl_us, int64_t timeout_us, uint64_t report_id, char *detail,
                                       size_t detail_capacity)
{
    wtgram_send_options options = bridge_send_options(priority, ttl_us, timeout_us, report_id);
    return wtgram_transport_send_json(transport, text, length, &options, detail, detail_capacity);
}

enum { BRIDGE_BATCH = 64 };

/* Puts the statuses of a batch at their places. If the call failed before it looked at any item, each item gets
 * `status`. */
static inline void bridge_set_results(int32_t *results, const size_t *places, const wtgram_status *statuses,
                                      size_t count, size_t accepted, wtgram_status status)
{
    for (size_t i = 0; i < count; i++)
        results[places[i]] = statuses[i] == WTGRAM_OK && accepted == 0 ? status : statuses[i];
}

/* `arena` holds `count` datagrams one after the other, at most BRIDGE_BATCH. Sends those whose result is WOULD_BLOCK
 * (at first all), and sets their results. Returns how many were accepted. */
static inline int32_t bridge_send_batch(wtgram_transport transport, const uint8_t *arena, const size_t *lengths,
                                        size_t count, int32_t priority, int64_t ttl_us, int64_t timeout_us,
                                        uint64_t report_id, int32_t *results)
{
    wtgram_slice slices[BRIDGE_BATCH];
    wtgram_status statuses[BRIDGE_BATCH];
    size_t places[BRIDGE_BATCH];
    wtgram_send_options options = bridge_send_options(priority, ttl_us, timeout_us, report_id);
    size_t left = 0, accepted = 0;
    for (size_t i = 0; i < count; arena += lengths[i++]) {
        if (results[i] != WTGRAM_ERROR_WOULD_BLOCK) continue;
        slices[left] = (wtgram_slice){.data = arena, .length = lengths[i]};
        statuses[left] = WTGRAM_OK;
        places[left++] = i;
    }
    wtgram_status status = wtgram_transport_send_batch(transport, slices, left, &options, statuses, &accepted);
    bridge_set_results(results, places, statuses, left, accepted, status);
    return (int32_t)accepted;
}

/* The result of a call that waits as long as a goroutine may wait in the library. */
static inline int32_t bridge_waited(wtgram_status status)
{
    return status == WTGRAM_ERROR_TIMED_OUT ? WTGRAM_ERROR_WOULD_BLOCK : status;
}

static inline int32_t bridge_receive(wtgram_transport transport, int64_t patience_us, uint8_t *buffer, size_t capacity,
                                     size_t *length)
{
    return bridge_waited(wtgram_transport_receive(transport, patience_us, buffer, capacity, length));
}

static inline int32_t bridge_receive_with_metadata(wtgram_transport transport, int64_t patience_us, bool with_checksum,
                                                   uint8_t *buffer, size_t capacity, wtgram_datagram_metadata *metadata)
{
    wtgram_datagram_metadata_init(metadata);
    return bridge_waited(
        wtgram_transport_receive_with_metadata(transport, patience_us, with_checksum, buffer, capacity, metadata));
}

static inline int64_t bridge_receive_batch(wtgram_transport transport, int64_t patience_us, uint8_t *arena,
                                           size_t arena_capacity, wtgram_received_datagram *received, size_t capacity)
{
    size_t count = 0;
    wtgram_status status =
        wtgram_transport_receive_batch(transport, patience_us, arena, arena_capacity, received, capacity, &count);
    return status == WTGRAM_OK ? (int64_t)count : bridge_waited(status);
}

static inline int32_t bridge_receive_message(wtgram_reliability layer, int64_t patience_us, uint8_t *buffer,
                                             size_t capacity, size_t *length)
{
    return bridge_waited(wtgram_reliability_receive(layer, patience_us, buffer, capacity, length));
}

static inline int64_t bridge_poller_wait(wtgram_poller poller, wtgram_event *events, size_t capacity)
{
    size_t count = 0;
    wtgram_status status = wtgram_poller_wait(poller, 0, events, capacity, &count);
    return status == WTGRAM_OK ? (int64_t)count : status;
}

/* Returns whether the object becomes ready for `what` within the time. The poller watches nothing else. */
static inline bool bridge_linger(wtgram_poller poller, uint64_t object, uint32_t what, int64_t timeout_us)
{
    wtgram_event event = {0};
    size_t count = 0;
    if (wtgram_poller_add(poller, object, what, 0) != WTGRAM_OK) return false;
    wtgram_status status = wtgram_poller_wait(poller, timeout_us, &event, 1, &count);
    (void)wtgram_poller_remove(poller, object);
    return status == WTGRAM_OK && count == 1 && (event.ready & what) != 0;
}

/* Stores whether sessions or requests of the server wait for the program. */
static inline int32_t bridge_waits(wtgram_server server, bool *waits)
{
    wtgram_poller poller;
    int32_t status = wtgram_poller_new(&poller);
    if (status != WTGRAM_OK) return status;
    *waits = bridge_linger(poller, server.id, WTGRAM_READY_ACCEPT, 0);
    wtgram_poller_free(poller);
    return status;
}

/* Returns the next of several texts, which lie one after the other and each end with NUL. */
static inline const char *bridge_next(const char **texts)
{
    const char *text = *texts;
    *texts += strlen(text) + 1;
    return text;
}

/* `tls` has the client's identity; the other parameters replace its other fields. */
static inline int32_t bridge_connect_start(const char *url, const wtgram_connect_options *tls, int64_t timeout_us,
                                           uint32_t trust, const char *ca_file, const uint8_t *ca_pem,
                                           size_t ca_pem_length, const uint8_t *hashes, size_t hashes_count,
                                           const char *header_texts, size_t headers_count, char **subprotocols,
                                           size_t subprotocols_count, const char *bind_host,
                                           const wtgram_connection_options *connection,
                                           const wtgram_transport_options *transport, wtgram_session *session,
                                           char *detail, size_t detail_capacity)
{
    wtgram_connect_options options = *tls;
    wtgram_header *headers = NULL;
    if (headers_count > 0) {
        headers = (wtgram_header *)calloc(headers_count, sizeof *headers);
        if (headers == NULL) return WTGRAM_ERROR_LIMIT_REACHED;
    }
    for (size_t i = 0; i < headers_count; i++) {
        headers[i].name = bridge_next(&header_texts);
        headers[i].value = bridge_next(&header_texts);
    }
    if (timeout_us > 0) options.timeout_us = timeout_us;
    options.trust = trust;
    options.ca_file = ca_file;
    options.ca_pem = ca_pem;
    options.ca_pem_length = ca_pem_length;
    options.certificate_hashes = hashes;
    options.certificate_hashes_count = hashes_count;
    options.headers = headers;
    options.headers_count = headers_count;
    options.subprotocols = (const char *const *)subprotocols;
    options.subprotocols_count = subprotocols_count;
    options.bind_host = bind_host;
    options.connection = connection;
    options.transport = transport;
    int32_t status = wtgram_session_connect_start(url, &options, session, detail, detail_capacity);
    free(headers);
    return status;
}

/* `given` has the fields that refer to lists; the other parameters replace its other fields. A negative `max_sessions`
 * is the default. */
static inline int32_t bridge_listen(const char *host, uint32_t port, const wtgram_listen_options *given,
                                    int64_t handshake_timeout_us, uint32_t accept_backlog, int64_t max_sessions,
                                    const wtgram_connection_options *connection,
                                    const wtgram_transport_options *transport, int socket_fd, wtgram_server *server,
                                    char *detail, size_t detail_capacity)
{
    wtgram_listen_options options = *given;
    options.host = host;
    options.port = port;
    if (handshake_timeout_us != 0) options.handshake_timeout_us = handshake_timeout_us;
    if (accept_backlog > 0) options.accept_backlog = accept_backlog;
    if (max_sessions >= 0) options.max_sessions = (uint32_t)max_sessions;
    options.connection = connection;
    options.transport = transport;
    options.socket_fd = socket_fd; /* -1: none */
    return wtgram_server_listen(&options, server, detail, detail_capacity);
}

/* Receives the progress of a throughput test in Go. `context` is a number, not a pointer. */
extern bool wtgramGoProgress(uintptr_t context, wtgram_throughput_report *report);

static inline bool bridge_progress(void *context, const wtgram_throughput_report *report)
{
    wtgram_throughput_report copy = *report;
    return wtgramGoProgress((uintptr_t)context, &copy);
}

static inline int32_t bridge_throughput_test(wtgram_transport transport, int64_t duration_us, uint64_t datagram_size,
                                             int32_t priority, int64_t ttl_us, int64_t progress_interval_us,
                                             uintptr_t context, wtgram_throughput_report *report)
{
    wtgram_throughput_options options;
    wtgram_send_options send = bridge_send_options(priority, ttl_us, 0, 0);
    wtgram_throughput_options_init(&options);
    wtgram_throughput_report_init(report);
    if (duration_us > 0) options.duration_us = duration_us;
    if (datagram_size > 0) options.datagram_size = datagram_size;
    options.send = &send;
    options.progress_interval_us = progress_interval_us;
    options.progress = bridge_progress;
    options.context = (void *)context;
    return wtgram_transport_throughput_test(transport, &options, report);
}

static inline int32_t bridge_broadcast(wtgram_broadcaster broadcaster, const uint8_t *data, size_t length,
                                       int32_t priority, int64_t ttl_us, uint64_t report_id,
                                       wtgram_broadcast_result *results, size_t capacity, size_t *members,
                                       size_t *accepted)
{
    wtgram_send_options options = bridge_send_options(priority, ttl_us, 0, report_id);
    return wtgram_broadcaster_broadcast(broadcaster, data, length, &options, results, capacity, members, accepted);
}

/* The serializer for data that Go has already serialized: passes it on unchanged. */
static inline int32_t bridge_as_is(void *context, uint32_t type_id, const uint8_t *data, size_t length,
                                   const uint8_t **result, size_t *result_length)
{
    (void)context;
    (void)type_id;
    *result = data;
    *result_length = length;
    return 0;
}

enum { BRIDGE_OVER_SESSION, BRIDGE_OVER_TRANSPORT, BRIDGE_OVER_RELIABILITY };

/* `below` is the id of the object below. `over` says of which kind it is. */
static inline int32_t bridge_structured_open(int over, uint64_t below, const wtgram_object_type *types, size_t count,
                                             uint32_t serializer, uint64_t queue_datagrams,
                                             wtgram_structured *structured)
{
    wtgram_serializer custom;
    wtgram_structured_options options;
    wtgram_serializer_init(&custom);
    custom.serialize = bridge_as_is;
    custom.deserialize = bridge_as_is;
    wtgram_structured_options_init(&options);
    options.serializer = serializer;
    options.custom = &custom;
    if (queue_datagrams > 0) options.queue_datagrams = queue_datagrams;
    switch (over) {
    case BRIDGE_OVER_SESSION: {
        wtgram_session session = {below};
        return wtgram_structured_open_over_session(session, types, count, &options, structured);
    }
    case BRIDGE_OVER_TRANSPORT: {
        wtgram_transport transport = {below};
        return wtgram_structured_open_over_transport(transport, types, count, &options, structured);
    }
    default: {
        wtgram_reliability reliability = {below};
        return wtgram_structured_open_over_reliability(reliability, types, count, &options, structured);
    }
    }
}

static inline int32_t bridge_send_message(wtgram_reliability layer, const uint8_t *data, size_t length,
                                          int32_t priority, int64_t ttl_us, int64_t timeout_us, uint64_t report_id)
{
    wtgram_send_options options = bridge_send_options(priority, ttl_us, timeout_us, report_id);
    return wtgram_reliability_send(layer, data, length, &options);
}

static inline int32_t bridge_send_obj(wtgram_structured structured, uint32_t type_id, const uint8_t *object,
                                      size_t length, int32_t priority, int64_t ttl_us, int64_t timeout_us,
                                      uint64_t report_id)
{
    wtgram_send_options options = bridge_send_options(priority, ttl_us, timeout_us, report_id);
    return wtgram_structured_send(structured, type_id, object, length, &options);
}

/* As bridge_send_batch, with a type id for each item. */
static inline int32_t bridge_send_objects(wtgram_structured structured, const uint8_t *arena, const size_t *lengths,
                                          const uint32_t *type_ids, size_t count, int32_t priority, int64_t ttl_us,
                                          int64_t timeout_us, uint64_t report_id, int32_t *results)
{
    wtgram_object objects[BRIDGE_BATCH];
    wtgram_status statuses[BRIDGE_BATCH];
    size_t places[BRIDGE_BATCH];
    wtgram_send_options options = bridge_send_options(priority, ttl_us, timeout_us, report_id);
    size_t left = 0, accepted = 0;
    for (size_t i = 0; i < count; arena += lengths[i++]) {
        if (results[i] != WTGRAM_ERROR_WOULD_BLOCK) continue;
        objects[left] = (wtgram_object){.data = arena, .length = lengths[i], .type_id = type_ids[i]};
        statuses[left] = WTGRAM_OK;
        places[left++] = i;
    }
    wtgram_status status = wtgram_structured_send_batch(structured, objects, left, &options, statuses, &accepted);
    bridge_set_results(results, places, statuses, left, accepted, status);
    return (int32_t)accepted;
}

static inline int32_t bridge_receive_object(wtgram_structured structured, int64_t patience_us, uint8_t *buffer,
                                            size_t capacity, uint32_t *type_id, size_t *length)
{
    return bridge_waited(wtgram_structured_receive(structured, patience_us, buffer, capacity, type_id, length));
}

static inline int64_t bridge_receive_objects(wtgram_structured structured, int64_t patience_us, uint8_t *arena,
                                             size_t arena_capacity, wtgram_received_object *received, size_t capacity)
{
    size_t count = 0;
    wtgram_status status =
        wtgram_structured_receive_batch(structured, patience_us, arena, arena_capacity, received, capacity, &count);
    return status == WTGRAM_OK ? (int64_t)count : bridge_waited(status);
}

/* Receives log lines in Go. It needs no context, because there is one logger. */
extern void wtgramGoLog(int32_t level, char *target, char *message);

static inline void bridge_log(void *context, int32_t level, const char *target, const char *message)
{
    (void)context;
    wtgramGoLog(level, (char *)target, (char *)message);
}

static inline int32_t bridge_log_configure(int32_t level) { return wtgram_log_configure(level, bridge_log, NULL); }

/* 0 lanes and a negative time mean the defaults. */
static inline int32_t bridge_runtime_configure(uint32_t lanes, bool lead, int64_t spin_us, const uint32_t *cpus,
                                               size_t cpus_count, uint32_t scheduling, uint32_t priority)
{
    wtgram_runtime_options options;
    wtgram_runtime_options_init(&options);
    if (lanes > 0) options.lanes = lanes;
    options.lead = lead;
    if (spin_us >= 0) options.spin_us = spin_us;
    options.lane_cpus = cpus;
    options.lane_cpus_count = cpus_count;
    options.lane_scheduling = scheduling;
    options.lane_priority = priority;
    return wtgram_runtime_configure(&options);
}

#endif
