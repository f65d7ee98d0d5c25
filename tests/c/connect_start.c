/* Connecting without a thread that waits: the state of the session on the way, its result, and its end before that. */
#include "blocked.h"
#include "check.h"
#include "pair.h"

#include <arpa/inet.h>
#include <dirent.h>
#include <sys/socket.h>
#include <unistd.h>

/* An address that never answers: a bound UDP socket that is never read. */
struct silence {
    int fd;
    char url[64];
};

static void silence_open(struct silence *silence)
{
    struct sockaddr_in address;
    socklen_t length = sizeof address;
    memset(&address, 0, sizeof address);
    address.sin_family = AF_INET;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    silence->fd = socket(AF_INET, SOCK_DGRAM, 0);
    CHECK(silence->fd >= 0 && bind(silence->fd, (struct sockaddr *)&address, sizeof address) == 0);
    CHECK(getsockname(silence->fd, (struct sockaddr *)&address, &length) == 0);
    snprintf(silence->url, sizeof silence->url, "https://127.0.0.1:%u/", (unsigned)ntohs(address.sin_port));
}

static wtgram_session started(const char *url, const wtgram_connect_options *options)
{
    char detail[256] = "x";
    wtgram_session session;
    session.id = 0;
    wtgram_status status = wtgram_session_connect_start(url, options, &session, detail, sizeof detail);
    if (status != WTGRAM_OK) fprintf(stderr, "connect_start: %s\n", detail);
    CHECK_OK(status);
    CHECK(session.id != 0);
    CHECK_TEXT(detail, "");
    return session;
}

static void check_state(wtgram_session session, uint32_t expected)
{
    uint32_t state = 99;
    CHECK_OK(wtgram_session_get_state(session, &state));
    CHECK_UINT(state, expected);
}

/* Every function that needs an established session returns this status. */
static void check_getters(wtgram_session session, wtgram_status expected)
{
    wtgram_transport transport;
    wtgram_session_stats stats;
    wtgram_reliability layer;
    wtgram_structured structured;
    wtgram_broadcaster broadcaster;
    wtgram_object_type types[1];
    char text[64];
    size_t length = 9;
    uint64_t id = 9;
    memset(types, 0, sizeof types);
    transport.id = layer.id = structured.id = 9;
    wtgram_session_stats_init(&stats);
    CHECK_STATUS(wtgram_session_get_transport(session, &transport), expected);
    CHECK_UINT(transport.id, 0);
    CHECK_STATUS(wtgram_session_get_id(session, &id), expected);
    CHECK_STATUS(wtgram_session_get_path(session, text, sizeof text, &length), expected);
    CHECK_UINT(length, 0);
    CHECK_STATUS(wtgram_session_get_remote_address(session, text, sizeof text, &length), expected);
    CHECK_STATUS(wtgram_session_get_local_address(session, text, sizeof text, &length), expected);
    CHECK_STATUS(wtgram_session_get_stats(session, &stats), expected);
    CHECK_STATUS(wtgram_session_drain(session), expected);
    CHECK_STATUS(wtgram_session_drain_and_close_start(session, 0, NULL, 0), expected);
    CHECK_STATUS(wtgram_reliability_open_over_session(session, NULL, &layer), expected);
    CHECK_UINT(layer.id, 0);
    CHECK_STATUS(wtgram_structured_open_over_session(session, types, 1, NULL, &structured), expected);
    CHECK_UINT(structured.id, 0);
    CHECK_OK(wtgram_broadcaster_new(NULL, &broadcaster));
    CHECK_STATUS(wtgram_broadcaster_add_session(broadcaster, session), expected);
    CHECK_OK(wtgram_broadcaster_remove_session(broadcaster, session));
    wtgram_broadcaster_free(broadcaster);
}

static uint32_t wait_event(wtgram_poller poller, wtgram_session session)
{
    wtgram_event event;
    size_t count = 0;
    CHECK_OK(wtgram_poller_wait(poller, PATIENCE_US, &event, 1, &count));
    CHECK_UINT(count, 1);
    CHECK_UINT(event.object, session.id);
    CHECK_UINT(event.cookie, 5);
    return event.ready;
}

static wtgram_status do_wait(void *argument)
{
    return wtgram_session_wait_connected(*(wtgram_session *)argument, WTGRAM_FOREVER, NULL, 0);
}

static void on_the_way(const struct silence *silence)
{
    wtgram_connect_options options;
    wtgram_connect_failure failure;
    wtgram_close_info info;
    wtgram_poller poller;
    wtgram_event event;
    struct blocked blocked[2];
    char detail[64];
    size_t count = 0;
    wtgram_connect_options_init(&options);
    options.timeout_us = PATIENCE_US;
    options.trust = WTGRAM_TRUST_INSECURE_NO_VERIFICATION;
    wtgram_connect_failure_init(&failure);
    wtgram_close_info_init(&info);

    TEST("connect_start returns at once, with a session that is connecting");
    wtgram_session session = started(silence->url, &options);
    check_state(session, WTGRAM_SESSION_CONNECTING);
    CHECK_STATUS(wtgram_session_wait_connected(session, 0, detail, sizeof detail), WTGRAM_ERROR_WOULD_BLOCK);
    CHECK_STATUS(wtgram_session_wait_connected(session, 20 * MILLISECOND_US, NULL, 0), WTGRAM_ERROR_TIMED_OUT);
    CHECK_STATUS(wtgram_session_wait_connected(session, -2, NULL, 0), WTGRAM_ERROR_INVALID_ARGUMENT);
    CHECK_STATUS(wtgram_session_get_connect_failure(session, &failure), WTGRAM_ERROR_WOULD_BLOCK);
    CHECK_STATUS(wtgram_session_get_close_info(session, &info), WTGRAM_ERROR_WOULD_BLOCK);

    TEST("what needs an established session is INVALID_STATE until then");
    check_getters(session, WTGRAM_ERROR_INVALID_STATE);

    TEST("a poller is silent about it, and close cancels it for everybody who waits");
    CHECK_OK(wtgram_poller_new(&poller));
    CHECK_OK(wtgram_poller_add(poller, session.id, WTGRAM_READY_CONNECTED, 5));
    CHECK_STATUS(wtgram_poller_wait(poller, 20 * MILLISECOND_US, &event, 1, &count), WTGRAM_ERROR_TIMED_OUT);
    for (int i = 0; i < 2; i++) blocked_start(&blocked[i], do_wait, &session);
    CHECK_OK(wtgram_session_close(session, 7, "no more", 7));
    for (int i = 0; i < 2; i++) blocked_expect(&blocked[i], WTGRAM_ERROR_CLOSED);
    CHECK_UINT(wait_event(poller, session), WTGRAM_READY_CLOSED);
    check_state(session, WTGRAM_SESSION_CLOSED);
    check_getters(session, WTGRAM_ERROR_CLOSED);
    CHECK_OK(wtgram_session_get_connect_failure(session, &failure));
    CHECK_STATUS(failure.status, WTGRAM_ERROR_CLOSED);
    CHECK_UINT(failure.is_retryable, 0);
    CHECK_OK(wtgram_session_wait_closed(session, WTGRAM_FOREVER, &info));
    CHECK_UINT(info.closed_by, WTGRAM_CLOSED_BY_LOCAL);
    CHECK_UINT(info.code, 7);
    CHECK_TEXT(info.reason, "no more");
    wtgram_session_free(session);

    TEST("free cancels it, too: it leaves the poller, and waiting calls return");
    session = started(silence->url, &options);
    CHECK_OK(wtgram_poller_add(poller, session.id, WTGRAM_READY_CONNECTED, 5));
    blocked_start(&blocked[0], do_wait, &session);
    wtgram_session_free(session);
    blocked_expect(&blocked[0], WTGRAM_ERROR_CLOSED);
    CHECK_STATUS(wtgram_session_wait_connected(session, 0, NULL, 0), WTGRAM_ERROR_INVALID_HANDLE);
    CHECK_STATUS(wtgram_poller_wait(poller, 0, &event, 1, &count), WTGRAM_ERROR_WOULD_BLOCK);
    wtgram_poller_free(poller);
}

static void established(void)
{
    struct pair pair;
    wtgram_connect_options options;
    wtgram_connect_failure failure;
    wtgram_poller poller;
    wtgram_transport again;
    char detail[64] = "x";
    pair_listen(&pair, NULL);
    pair_trust(&options, &pair);
    wtgram_connect_failure_init(&failure);
    CHECK_OK(wtgram_poller_new(&poller));

    TEST("the poller reports CONNECTED, and from then on the session has its transport");
    pair.client = started(pair.url, &options);
    CHECK_OK(wtgram_poller_add(poller, pair.client.id, WTGRAM_READY_CONNECTED, 5));
    CHECK_UINT(wait_event(poller, pair.client), WTGRAM_READY_CONNECTED);
    CHECK_OK(wtgram_session_get_transport(pair.client, &pair.client_datagrams));
    CHECK_OK(wtgram_session_wait_connected(pair.client, 0, detail, sizeof detail));
    CHECK_TEXT(detail, "");
    check_state(pair.client, WTGRAM_SESSION_CONNECTED);
    CHECK_OK(wtgram_session_get_transport(pair.client, &again));
    CHECK_UINT(again.id, pair.client_datagrams.id);
    CHECK_STATUS(wtgram_session_get_connect_failure(pair.client, &failure), WTGRAM_ERROR_INVALID_STATE);
    CHECK_OK(wtgram_server_accept(pair.server, PATIENCE_US, &pair.accepted));
    CHECK_OK(wtgram_session_get_transport(pair.accepted, &pair.accepted_datagrams));
    pair_exchange(pair.client_datagrams, pair.accepted_datagrams, "there", 5);
    pair_exchange(pair.accepted_datagrams, pair.client_datagrams, "back", 4);

    TEST("a server's session is established, and what was established stays so when it is closed");
    CHECK_OK(wtgram_session_wait_connected(pair.accepted, 0, NULL, 0));
    CHECK_OK(wtgram_session_close(pair.client, 0, NULL, 0));
    CHECK_OK(wtgram_session_wait_connected(pair.client, 0, NULL, 0));
    CHECK_STATUS(wtgram_session_get_connect_failure(pair.client, &failure), WTGRAM_ERROR_INVALID_STATE);
    wtgram_poller_free(poller);

    TEST("waiting without a poller, a hundred times");
    wtgram_session_free(pair.client);
    wtgram_session_free(pair.accepted);
    for (int i = 0; i < 100; i++) {
        pair.client = started(pair.url, &options);
        CHECK_OK(wtgram_session_wait_connected(pair.client, PATIENCE_US, NULL, 0));
        CHECK_OK(wtgram_session_get_transport(pair.client, &pair.client_datagrams));
        CHECK_OK(wtgram_server_accept(pair.server, PATIENCE_US, &pair.accepted));
        wtgram_session_free(pair.client);
        CHECK_STATUS(wtgram_session_get_transport(pair.client, &again), WTGRAM_ERROR_INVALID_HANDLE);
        wtgram_session_free(pair.accepted);
    }
    pair_free(&pair);
}

/* What both forms of connect say about the same attempt. */
static void check_failure(const char *url, const wtgram_connect_options *options, wtgram_status expected,
                          uint32_t http_status, uint32_t is_retryable)
{
    char waited[256] = "", connected[256] = "";
    wtgram_session session, none;
    wtgram_connect_failure failure;
    wtgram_close_info info;
    wtgram_poller poller;
    wtgram_connect_failure_init(&failure);
    wtgram_close_info_init(&info);
    CHECK_OK(wtgram_poller_new(&poller));
    session = started(url, options);
    CHECK_OK(wtgram_poller_add(poller, session.id, WTGRAM_READY_CONNECTED, 5));
    CHECK_UINT(wait_event(poller, session), WTGRAM_READY_CLOSED);
    check_state(session, WTGRAM_SESSION_CLOSED);
    CHECK_STATUS(wtgram_session_wait_connected(session, 0, waited, sizeof waited), expected);
    CHECK_STATUS(wtgram_session_connect(url, options, &none, connected, sizeof connected), expected);
    printf("    %s: %s\n", wtgram_status_name(expected), waited);
    CHECK_TEXT(waited, connected);
    check_getters(session, WTGRAM_ERROR_CLOSED);
    CHECK_OK(wtgram_session_get_connect_failure(session, &failure));
    CHECK_STATUS(failure.status, expected);
    CHECK_UINT(failure.http_status, http_status);
    CHECK_UINT(failure.is_retryable, is_retryable);
    CHECK(failure.retry_after_us == 0);
    CHECK_OK(wtgram_session_get_close_info(session, &info));
    CHECK_UINT(info.closed_by, WTGRAM_CLOSED_BY_TRANSPORT);
    CHECK_TEXT(info.reason, waited);
    wtgram_session_free(session);
    wtgram_poller_free(poller);
}

static void failures(const struct silence *silence)
{
    struct pair pair;
    wtgram_connect_options options;
    wtgram_listen_options listen;
    wtgram_session client;
    uint16_t port = 0;
    char url[64];
    TEST("a failure is CLOSED for the poller, has the sentence of connect, and says whether to try again");
    pair_listen(&pair, NULL);
    pair_trust(&options, &pair);
    static const uint8_t wrong[WTGRAM_CERTIFICATE_HASH_LENGTH] = {1};
    options.certificate_hashes = wrong;
    check_failure(pair.url, &options, WTGRAM_ERROR_CERTIFICATE_HASH_MISMATCH, 0, 0);
    options.timeout_us = 200 * MILLISECOND_US;
    check_failure(silence->url, &options, WTGRAM_ERROR_CONNECT_TIMEOUT, 0, 1);
    options.timeout_us = PATIENCE_US;
    options.bind_host = "127.0.0.1"; /* from there, nothing but this machine can be reached */
    check_failure("https://198.51.100.1/", &options, WTGRAM_ERROR_IO, 0, 1);
    check_failure("https://[::1]/", &options, WTGRAM_ERROR_NAME_NOT_RESOLVED, 0, 0);
    pair_free(&pair);

    TEST("the HTTP status of a rejection is a number");
    wtgram_listen_options_init(&listen);
    listen.host = "127.0.0.1";
    listen.accept_backlog = 1;
    memset(&pair, 0, sizeof pair);
    CHECK_OK(wtgram_server_listen(&listen, &pair.server, NULL, 0));
    CHECK_OK(wtgram_server_get_certificate_hash(pair.server, pair.hash));
    CHECK_OK(wtgram_server_get_local_port(pair.server, &port));
    snprintf(url, sizeof url, "https://127.0.0.1:%u/", (unsigned)port);
    pair_trust(&options, &pair);
    CHECK_OK(wtgram_session_connect(url, &options, &client, NULL, 0));
    check_failure(url, &options, WTGRAM_ERROR_REJECTED, 503, 1);
    wtgram_session_free(client);
    wtgram_server_free(pair.server);
}

static void arguments(void)
{
    wtgram_connect_options options;
    wtgram_session session;
    wtgram_connect_failure failure;
    char detail[128] = "";
    TEST("what is wrong with the arguments is said at once, without a session");
    session.id = 9;
    CHECK_STATUS(wtgram_session_connect_start("no url", NULL, &session, detail, sizeof detail),
                 WTGRAM_ERROR_INVALID_URL);
    CHECK_UINT(session.id, 0);
    CHECK(detail[0] != '\0');
    wtgram_connect_options_init(&options);
    options.timeout_us = 0;
    CHECK_STATUS(wtgram_session_connect_start("https://127.0.0.1/", &options, &session, NULL, 0),
                 WTGRAM_ERROR_INVALID_ARGUMENT);
    wtgram_connect_options_init(&options);
    options.trust = WTGRAM_TRUST_CA;
    options.ca_file = "/nonexistent/ca.pem";
    CHECK_STATUS(wtgram_session_connect_start("https://127.0.0.1/", &options, &session, NULL, 0),
                 WTGRAM_ERROR_IDENTITY);
    CHECK_STATUS(wtgram_session_connect_start("https://127.0.0.1/", NULL, NULL, NULL, 0),
                 WTGRAM_ERROR_INVALID_ARGUMENT);
    memset(&failure, 0, sizeof failure);
    CHECK_STATUS(wtgram_session_get_connect_failure(session, &failure), WTGRAM_ERROR_INVALID_ARGUMENT);
}

static unsigned entries(const char *folder)
{
    unsigned count = 0;
    DIR *directory = opendir(folder);
    CHECK(directory != NULL);
    while (readdir(directory) != NULL) count++;
    closedir(directory);
    return count;
}

static void a_thousand(const struct silence *silence)
{
    enum { ATTEMPTS = 1000 };
    static wtgram_session sessions[ATTEMPTS];
    struct pair pair;
    wtgram_connect_options options;
    pair_listen(&pair, NULL); /* every thread of the library runs */
    pair_trust(&options, &pair);
    unsigned threads = entries("/proc/self/task"), descriptors = entries("/proc/self/fd");
    TEST("a thousand attempts at once need no thread more, and one socket");
    for (int i = 0; i < ATTEMPTS; i++) sessions[i] = started(silence->url, &options);
    CHECK(entries("/proc/self/task") <= threads);
    CHECK(entries("/proc/self/fd") <= descriptors + 2); /* one more while the library looks for a route */
    TEST("they keep nobody else from connecting");
    wtgram_session session = started(pair.url, &options);
    CHECK_OK(wtgram_session_wait_connected(session, PATIENCE_US, NULL, 0));
    wtgram_session_free(session);
    TEST("cancelled, they leave nothing behind");
    for (int i = 0; i < ATTEMPTS; i++) wtgram_session_free(sessions[i]);
    /* QUIC keeps the state of a connection for a while after its end (RFC 9000 section 10.2). */
    for (int64_t end = now_us() + PATIENCE_US; entries("/proc/self/fd") > descriptors && now_us() < end;)
        sleep_us(10 * MILLISECOND_US);
    CHECK(entries("/proc/self/fd") <= descriptors);
    CHECK(entries("/proc/self/task") <= threads);
    pair_free(&pair);
}

static void shutdown_cancels(const struct silence *silence)
{
    wtgram_connect_options options;
    struct blocked blocked;
    wtgram_connect_options_init(&options);
    options.trust = WTGRAM_TRUST_INSECURE_NO_VERIFICATION;
    options.timeout_us = PATIENCE_US;
    TEST("shutdown cancels attempts");
    wtgram_session session = started(silence->url, &options);
    wtgram_session named = started("https://no-such-host.invalid/", &options);
    blocked_start(&blocked, do_wait, &session);
    CHECK_OK(wtgram_shutdown(PATIENCE_US));
    blocked_expect(&blocked, WTGRAM_ERROR_CLOSED);
    CHECK_STATUS(wtgram_session_wait_connected(session, 0, NULL, 0), WTGRAM_ERROR_CLOSED);
    CHECK_STATUS(wtgram_session_connect_start(silence->url, &options, &session, NULL, 0), WTGRAM_ERROR_CLOSED);
    wtgram_session_free(named);
}

int main(void)
{
    struct silence silence;
    silence_open(&silence);
    arguments();
    on_the_way(&silence);
    established();
    failures(&silence);
    a_thousand(&silence);
    shutdown_cancels(&silence);
    close(silence.fd);
    return 0;
}
