/* Requests that the program answers: what it sees of them, how it accepts and rejects them, and when they are over. */
#include "blocked.h"
#include "check.h"
#include "pair.h"

/* A client that connects in its own thread, because it gets its answer from the test. */
struct client {
    const struct pair *pair;
    const char *path;
    wtgram_connect_options options;
    wtgram_session session;
    char detail[PAIR_DETAIL];
    struct blocked thread;
};

static wtgram_status do_connect(void *argument)
{
    struct client *client = (struct client *)argument;
    return pair_try_connect(client->pair, client->path, &client->options, &client->session, client->detail);
}

static void start(struct client *client, const struct pair *pair, const char *path)
{
    client->pair = pair;
    client->path = path;
    blocked_start(&client->thread, do_connect, client);
}

static void init(struct client *client)
{
    memset(client, 0, sizeof *client);
    wtgram_connect_options_init(&client->options);
}

/* A client without options, and its request. */
static wtgram_request ask(struct client *client, const struct pair *pair)
{
    wtgram_request request;
    init(client);
    start(client, pair, "/");
    CHECK_OK(wtgram_server_next_request(pair->server, PATIENCE_US, &request));
    return request;
}

static void listen_for_requests(struct pair *pair, wtgram_listen_options *listen)
{
    listen->admission = WTGRAM_ADMISSION_REQUESTS;
    pair_listen_with(pair, listen);
}

static void open_server(struct pair *pair)
{
    wtgram_listen_options listen;
    wtgram_listen_options_init(&listen);
    listen.handshake_timeout_us = PATIENCE_US;
    listen_for_requests(pair, &listen);
}

static wtgram_server_stats stats_of(const struct pair *pair)
{
    wtgram_server_stats stats;
    wtgram_server_stats_init(&stats);
    CHECK_OK(wtgram_server_get_stats(pair->server, &stats));
    return stats;
}

static void set(wtgram_header *header, const char *name, const char *value)
{
    header->name = name;
    header->value = value;
}

typedef wtgram_status (*getter)(wtgram_request request, char *text, size_t capacity, size_t *length);

/* Reads with a buffer that is too small, then with one that fits. */
static void expect_text(getter get, wtgram_request request, const char *expected)
{
    char text[256];
    size_t length = 0;
    CHECK_STATUS(get(request, text, 0, &length), WTGRAM_ERROR_BUFFER_TOO_SMALL);
    CHECK_UINT(length, strlen(expected));
    CHECK_OK(get(request, text, length + 1, &length));
    CHECK_TEXT(text, expected);
}

static void what_a_request_says(struct client *client, const struct pair *pair, wtgram_request request)
{
    char text[256], authority[64];
    size_t length = 0, count = 0;
    uint32_t refusal = 0;
    TEST("a request has path, query, authority, origin and the address of its client");
    CHECK_OK(wtgram_server_get_local_address(pair->server, authority, sizeof authority, &length));
    expect_text(wtgram_request_get_path, request, client->path);
    expect_text(wtgram_request_get_query, request, "id=7&name=a");
    expect_text(wtgram_request_get_authority, request, authority);
    expect_text(wtgram_request_get_origin, request, "https://page.example");
    CHECK_OK(wtgram_request_get_remote_address(request, text, sizeof text, &length));
    CHECK(strncmp(text, "127.0.0.1:", 10) == 0 && strcmp(text, authority) != 0);
    TEST("it has every header field, in order, joined by name");
    CHECK_OK(wtgram_request_get_header(request, "X-Token", text, sizeof text, &length));
    CHECK_TEXT(text, "secret, more");
    CHECK_OK(wtgram_request_get_header(request, "x-missing", text, sizeof text, &length));
    CHECK_TEXT(text, "");
    CHECK_OK(wtgram_request_get_headers(request, text, sizeof text, &length));
    CHECK_UINT(length, strlen(text));
    CHECK(strstr(text, "origin: https://page.example\nx-token: secret\nx-token: more\n") != NULL);
    TEST("it has the subprotocols that the client offers, in order");
    CHECK_OK(wtgram_request_get_subprotocol_count(request, &count));
    CHECK_UINT(count, 2);
    for (size_t i = 0; i < count; i++) {
        CHECK_OK(wtgram_request_get_subprotocol(request, i, text, sizeof text, &length));
        CHECK_TEXT(text, client->options.subprotocols[i]);
    }
    CHECK_STATUS(wtgram_request_get_subprotocol(request, 2, text, sizeof text, &length), WTGRAM_ERROR_INVALID_ARGUMENT);
    TEST("it says what the rules would answer");
    CHECK_OK(wtgram_request_get_refusal(request, &refusal));
    CHECK_UINT(refusal, 403);
}

static void accept_what_cannot_be(const struct pair *pair, wtgram_request request)
{
    static const char *const names[] = {"wt-protocol", "connection", "no name", "x"};
    static const char *const values[] = {"\"a\"", "close", "1", "a\nb"};
    wtgram_session session;
    wtgram_header header;
    TEST("a subprotocol that was not offered, and header fields that cannot be sent, are refused; the request still "
         "waits");
    CHECK_STATUS(wtgram_request_accept(request, NULL, 0, "c", &session), WTGRAM_ERROR_INVALID_ARGUMENT);
    CHECK_STATUS(wtgram_request_accept(request, NULL, 0, "", &session), WTGRAM_ERROR_INVALID_ARGUMENT);
    CHECK_STATUS(wtgram_request_accept(request, NULL, 1, NULL, &session), WTGRAM_ERROR_INVALID_ARGUMENT);
    CHECK_STATUS(wtgram_request_accept(request, NULL, 0, NULL, NULL), WTGRAM_ERROR_INVALID_ARGUMENT);
    for (int i = 0; i < 4; i++) {
        set(&header, names[i], values[i]);
        CHECK_STATUS(wtgram_request_accept(request, &header, 1, NULL, &session), WTGRAM_ERROR_INVALID_ARGUMENT);
        CHECK_UINT(session.id, 0);
    }
    CHECK_STATUS(wtgram_request_reject(request, 200, NULL, 0), WTGRAM_ERROR_INVALID_ARGUMENT);
    CHECK_STATUS(wtgram_request_reject(request, 600, NULL, 0), WTGRAM_ERROR_INVALID_ARGUMENT);
    CHECK_STATUS(wtgram_request_reject(request, 65536 + 404, NULL, 0), WTGRAM_ERROR_INVALID_ARGUMENT);
    CHECK_STATUS(wtgram_request_reject(request, 404, &header, 1), WTGRAM_ERROR_INVALID_ARGUMENT);
    CHECK_UINT(stats_of(pair).half_open, 1);
    CHECK_UINT(stats_of(pair).established, 0);
}

static void seen_and_accepted(void)
{
    static const char *const offered[] = {"a", "b"};
    wtgram_header headers[3], answer[2];
    struct client client;
    struct pair pair;
    wtgram_request request;
    wtgram_session again;
    char text[256];
    size_t length = 0;
    open_server(&pair);
    init(&client);
    set(&headers[0], "origin", "https://page.example");
    set(&headers[1], "x-token", "secret");
    set(&headers[2], "x-token", "more");
    client.options.headers = headers;
    client.options.headers_count = 3;
    client.options.subprotocols = offered;
    client.options.subprotocols_count = 2;
    start(&client, &pair, "/room?id=7&name=a");
    CHECK_OK(wtgram_server_next_request(pair.server, PATIENCE_US, &request));
    what_a_request_says(&client, &pair, request);
    accept_what_cannot_be(&pair, request);

    TEST("accept establishes the session at once, with the response's header fields and the subprotocol");
    set(&answer[0], "X-Answer", "yes");
    set(&answer[1], "x-answer", "indeed");
    CHECK_OK(wtgram_request_accept(request, answer, 2, "b", &pair.accepted));
    blocked_expect(&client.thread, WTGRAM_OK);
    pair.client = client.session;
    CHECK_OK(wtgram_session_get_header(pair.client, "x-answer", text, sizeof text, &length));
    CHECK_TEXT(text, "yes, indeed");
    for (int server = 0; server <= 1; server++) {
        CHECK_OK(wtgram_session_get_subprotocol(server ? pair.accepted : pair.client, text, sizeof text, &length));
        CHECK_TEXT(text, "b");
    }
    CHECK_OK(wtgram_session_get_transport(pair.client, &pair.client_datagrams));
    CHECK_OK(wtgram_session_get_transport(pair.accepted, &pair.accepted_datagrams));
    pair_exchange(pair.client_datagrams, pair.accepted_datagrams, "there", 5);
    pair_exchange(pair.accepted_datagrams, pair.client_datagrams, "back", 4);
    CHECK_UINT(stats_of(&pair).half_open, 0);
    CHECK_UINT(stats_of(&pair).established, 1);

    TEST("a request is answered once; its getters work until it is freed, and the session stays");
    CHECK_STATUS(wtgram_request_accept(request, NULL, 0, NULL, &again), WTGRAM_ERROR_CLOSED);
    CHECK_STATUS(wtgram_request_reject(request, 404, NULL, 0), WTGRAM_ERROR_CLOSED);
    expect_text(wtgram_request_get_path, request, client.path);
    wtgram_request_free(request);
    wtgram_request_free(request);
    CHECK_STATUS(wtgram_request_get_path(request, text, sizeof text, &length), WTGRAM_ERROR_INVALID_HANDLE);
    CHECK_STATUS(wtgram_request_accept(request, NULL, 0, NULL, &again), WTGRAM_ERROR_INVALID_HANDLE);
    CHECK_STATUS(wtgram_request_reject(request, 404, NULL, 0), WTGRAM_ERROR_INVALID_HANDLE);
    pair_exchange(pair.client_datagrams, pair.accepted_datagrams, "there", 5);
    CHECK_UINT(stats_of(&pair).rejected, 0);
    pair_free(&pair);
}

static void rejected(void)
{
    wtgram_header header;
    struct client client;
    struct pair pair;
    wtgram_request request;
    TEST("reject answers with its status, and free with 503");
    open_server(&pair);
    request = ask(&client, &pair);
    set(&header, "retry-after", "3");
    CHECK_OK(wtgram_request_reject(request, 429, &header, 1));
    blocked_expect(&client.thread, WTGRAM_ERROR_REJECTED);
    CHECK(strstr(client.detail, "429") != NULL);
    wtgram_request_free(request);
    request = ask(&client, &pair);
    wtgram_request_free(request);
    blocked_expect(&client.thread, WTGRAM_ERROR_REJECTED);
    CHECK(strstr(client.detail, "503") != NULL);
    CHECK_UINT(stats_of(&pair).rejected, 2);
    CHECK_UINT(stats_of(&pair).established, 0);
    pair_free(&pair);
}

static void polled(void)
{
    struct client client;
    struct pair pair;
    wtgram_poller poller;
    wtgram_event event;
    wtgram_request request;
    wtgram_session session;
    size_t count = 0;
    TEST("a poller reports a server with ACCEPT while a request waits");
    open_server(&pair);
    CHECK_OK(wtgram_poller_new(&poller));
    CHECK_OK(wtgram_poller_add(poller, pair.server.id, WTGRAM_READY_ACCEPT, 5));
    CHECK_STATUS(wtgram_poller_wait(poller, 20 * MILLISECOND_US, &event, 1, &count), WTGRAM_ERROR_TIMED_OUT);
    CHECK_STATUS(wtgram_server_next_request(pair.server, 0, &request), WTGRAM_ERROR_WOULD_BLOCK);
    CHECK_STATUS(wtgram_server_next_request(pair.server, 20 * MILLISECOND_US, &request), WTGRAM_ERROR_TIMED_OUT);
    CHECK_UINT(request.id, 0);
    init(&client);
    start(&client, &pair, "/");
    for (int i = 0; i < 3; i++) {
        CHECK_OK(wtgram_poller_wait(poller, PATIENCE_US, &event, 1, &count));
        CHECK_UINT(event.cookie, 5);
        CHECK_UINT(event.ready, WTGRAM_READY_ACCEPT);
    }
    CHECK_OK(wtgram_server_next_request(pair.server, 0, &request));
    CHECK_STATUS(wtgram_poller_wait(poller, 0, &event, 1, &count), WTGRAM_ERROR_WOULD_BLOCK);
    TEST("and a request with CLOSED when it is over");
    CHECK_STATUS(wtgram_poller_add(poller, request.id, WTGRAM_READY_ACCEPT, 6), WTGRAM_ERROR_INVALID_ARGUMENT);
    CHECK_OK(wtgram_poller_add(poller, request.id, WTGRAM_READY_CLOSED, 6));
    CHECK_STATUS(wtgram_poller_wait(poller, 20 * MILLISECOND_US, &event, 1, &count), WTGRAM_ERROR_TIMED_OUT);
    TEST("accept of such a server, and next_request of one with rules, are the wrong call");
    CHECK_STATUS(wtgram_server_accept(pair.server, 0, &session), WTGRAM_ERROR_INVALID_STATE);
    CHECK_OK(wtgram_request_accept(request, NULL, 0, NULL, &pair.accepted));
    CHECK_OK(wtgram_poller_wait(poller, PATIENCE_US, &event, 1, &count));
    CHECK_UINT(event.object, request.id);
    CHECK_UINT(event.ready, WTGRAM_READY_CLOSED);
    wtgram_request_free(request);
    CHECK_STATUS(wtgram_poller_wait(poller, 0, &event, 1, &count), WTGRAM_ERROR_WOULD_BLOCK);
    blocked_expect(&client.thread, WTGRAM_OK);
    CHECK_STATUS(wtgram_server_accept(pair.server, 0, &session), WTGRAM_ERROR_INVALID_STATE);
    wtgram_session_free(client.session);
    wtgram_poller_free(poller);
    pair_free(&pair);
    pair_listen(&pair, NULL);
    CHECK_STATUS(wtgram_server_next_request(pair.server, 0, &request), WTGRAM_ERROR_INVALID_STATE);
    pair_free(&pair);
}

static wtgram_status do_next_request(void *argument)
{
    wtgram_request request;
    return wtgram_server_next_request(*(wtgram_server *)argument, WTGRAM_FOREVER, &request);
}

static void over(void)
{
    wtgram_listen_options listen;
    struct client client, other;
    struct blocked waits;
    struct pair pair;
    wtgram_poller poller;
    wtgram_event event;
    wtgram_request request;
    wtgram_session session;
    size_t count = 0;
    TEST("a request whose answer takes longer than the handshake may is over");
    wtgram_listen_options_init(&listen);
    listen.handshake_timeout_us = 3 * SECOND_US;
    listen_for_requests(&pair, &listen);
    request = ask(&client, &pair);
    CHECK_OK(wtgram_poller_new(&poller));
    CHECK_OK(wtgram_poller_add(poller, request.id, WTGRAM_READY_CLOSED, 0));
    CHECK_OK(wtgram_poller_wait(poller, PATIENCE_US, &event, 1, &count));
    wtgram_poller_free(poller);
    CHECK(pthread_join(client.thread.thread, NULL) == 0 && client.thread.status != WTGRAM_OK);
    CHECK_STATUS(wtgram_request_accept(request, NULL, 0, NULL, &session), WTGRAM_ERROR_CLOSED);
    CHECK_STATUS(wtgram_request_reject(request, 404, NULL, 0), WTGRAM_ERROR_CLOSED);
    CHECK_UINT(stats_of(&pair).failed_timed_out, 1);
    CHECK_UINT(stats_of(&pair).rejected, 0);
    wtgram_request_free(request);
    pair_free(&pair);

    TEST("at most accept_backlog requests wait, one in hand and one in the queue; the next client gets 503");
    wtgram_listen_options_init(&listen);
    listen.handshake_timeout_us = PATIENCE_US;
    listen.accept_backlog = 2;
    listen_for_requests(&pair, &listen);
    request = ask(&client, &pair);
    init(&other);
    start(&other, &pair, "/");
    CHECK_OK(wtgram_poller_new(&poller));
    CHECK_OK(wtgram_poller_add(poller, pair.server.id, WTGRAM_READY_ACCEPT, 0));
    CHECK_OK(wtgram_poller_wait(poller, PATIENCE_US, &event, 1, &count));
    wtgram_poller_free(poller);
    CHECK_STATUS(pair_try_connect(&pair, "/", NULL, &session, client.detail), WTGRAM_ERROR_REJECTED);
    CHECK(strstr(client.detail, "503") != NULL);
    CHECK_UINT(stats_of(&pair).refused_backlog, 1);

    TEST("a server that closes ends what waits: clients, requests, and calls for the next request");
    wtgram_request_free(request);
    blocked_expect(&client.thread, WTGRAM_ERROR_REJECTED);
    CHECK_OK(wtgram_server_next_request(pair.server, PATIENCE_US, &request));
    blocked_start(&waits, do_next_request, &pair.server);
    CHECK_OK(wtgram_server_close(pair.server));
    blocked_expect(&waits, WTGRAM_ERROR_CLOSED);
    CHECK(pthread_join(other.thread.thread, NULL) == 0 && other.thread.status != WTGRAM_OK);
    CHECK_STATUS(wtgram_request_accept(request, NULL, 0, NULL, &session), WTGRAM_ERROR_CLOSED);
    CHECK_STATUS(wtgram_server_next_request(pair.server, PATIENCE_US, &request), WTGRAM_ERROR_CLOSED);
    pair_free(&pair);
    CHECK_STATUS(wtgram_server_next_request(pair.server, 0, &request), WTGRAM_ERROR_INVALID_HANDLE);
}

int main(void)
{
    seen_and_accepted();
    rejected();
    polled();
    over();
    return 0;
}
