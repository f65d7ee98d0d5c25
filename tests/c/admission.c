/* Which requests a server accepts by its rules, which subprotocol it picks, and what sessions know of the request. */
#include "check.h"
#include "pair.h"

#include <pthread.h>

static wtgram_server_stats stats_of(const struct pair *pair)
{
    wtgram_server_stats stats;
    wtgram_server_stats_init(&stats);
    CHECK_OK(wtgram_server_get_stats(pair->server, &stats));
    return stats;
}

/* Connects with this Origin, or with none, and returns the HTTP status of the refusal; 200 if there is none. */
static int ask(const struct pair *pair, const char *path, const char *origin)
{
    wtgram_connect_options connect;
    wtgram_header header;
    wtgram_session client;
    char detail[PAIR_DETAIL] = "";
    int status = 200;
    wtgram_connect_options_init(&connect);
    header.name = "Origin";
    header.value = origin;
    connect.headers = &header;
    connect.headers_count = origin != NULL;
    if (pair_try_connect(pair, path, &connect, &client, detail) == WTGRAM_ERROR_REJECTED) {
        const char *digits = strpbrk(detail, "0123456789");
        CHECK(digits != NULL);
        status = atoi(digits);
    }
    wtgram_session_free(client);
    return status;
}

static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;
static char warning[512];

static void keep_warning(void *context, int32_t level, const char *target, const char *message)
{
    (void)context;
    (void)target;
    if (level != WTGRAM_LOG_WARN) return;
    pthread_mutex_lock(&mutex);
    snprintf(warning, sizeof warning, "%s", message);
    pthread_mutex_unlock(&mutex);
}

static void expect_warning(const char *part, const char *other_part)
{
    bool has_both = false;
    for (int64_t end = now_us() + PATIENCE_US; !has_both && now_us() < end; sleep_us(MILLISECOND_US)) {
        pthread_mutex_lock(&mutex);
        has_both = strstr(warning, part) != NULL && strstr(warning, other_part) != NULL;
        pthread_mutex_unlock(&mutex);
    }
    CHECK(has_both);
}

static void pages_of_other_hosts(void)
{
    struct pair pair;
    wtgram_listen_options listen;
    TEST("by default pages of other hosts get 403, and pages of the same host and programs are accepted");
    wtgram_listen_options_init(&listen);
    pair_listen_with(&pair, &listen);
    CHECK_UINT(ask(&pair, "/", "https://127.0.0.1"), 200);
    CHECK_UINT(ask(&pair, "/", "http://127.0.0.1:8000"), 200);
    CHECK_UINT(ask(&pair, "/", NULL), 200);
    CHECK_UINT(ask(&pair, "/", "https://evil.example"), 403);
    CHECK_UINT(ask(&pair, "/", "http://localhost"), 403);
    CHECK_UINT(ask(&pair, "/", "null"), 403);
    CHECK_UINT(stats_of(&pair).refused_origin, 3);
    CHECK_UINT(stats_of(&pair).established, 3);

    TEST("a line in the log names the option");
    pair_free(&pair); /* it writes one such line in a second */
    pair_listen_with(&pair, &listen);
    CHECK_OK(wtgram_log_configure(WTGRAM_LOG_WARN, keep_warning, NULL));
    CHECK_UINT(ask(&pair, "/", "https://evil.example"), 403);
    expect_warning("allowed_origins", "evil.example");
    CHECK_OK(wtgram_log_configure(WTGRAM_LOG_OFF, NULL, NULL));
    pair_free(&pair);
}

static void lists(void)
{
    static const char *const origins[] = {"https://page.example", "http://page.example:8080"};
    static const char *const authorities[] = {"127.0.0.1"};
    static const char *const others[] = {"other.example", "127.0.0.1:1"};
    static const char *const paths[] = {"/chat", "/rooms/*"};
    static const char *const star[] = {"*"};
    struct pair pair;
    wtgram_listen_options listen;
    TEST("allowed origins and paths are what their lists say: others get 403 and 404");
    wtgram_listen_options_init(&listen);
    listen.allowed_origins = origins;
    listen.allowed_origins_count = 2;
    listen.allowed_authorities = authorities;
    listen.allowed_authorities_count = 1;
    listen.allowed_paths = paths;
    listen.allowed_paths_count = 2;
    pair_listen_with(&pair, &listen);
    CHECK_UINT(ask(&pair, "/chat?name=a", "https://page.example"), 200);
    CHECK_UINT(ask(&pair, "/rooms/7", "http://page.example:8080"), 200);
    CHECK_UINT(ask(&pair, "/rooms/7", NULL), 200);
    CHECK_UINT(ask(&pair, "/chat", "https://127.0.0.1"), 403);
    CHECK_UINT(ask(&pair, "/chats", "https://page.example"), 404);
    CHECK_UINT(ask(&pair, "/", NULL), 404);
    CHECK_UINT(stats_of(&pair).refused_origin, 1);
    CHECK_UINT(stats_of(&pair).refused_path, 2);
    pair_free(&pair);

    TEST("a request for another authority gets 421");
    wtgram_listen_options_init(&listen);
    listen.allowed_authorities = others;
    listen.allowed_authorities_count = 2;
    pair_listen_with(&pair, &listen);
    CHECK_UINT(ask(&pair, "/", NULL), 421);
    CHECK_UINT(stats_of(&pair).refused_authority, 1);
    pair_free(&pair);

    TEST("a star allows pages of all origins");
    wtgram_listen_options_init(&listen);
    listen.allowed_origins = star;
    listen.allowed_origins_count = 1;
    pair_listen_with(&pair, &listen);
    CHECK_UINT(ask(&pair, "/", "https://evil.example"), 200);
    CHECK_UINT(ask(&pair, "/", "null"), 200);
    pair_free(&pair);
}

static void rules_that_mean_nothing(void)
{
    static const char *const bad_origin[] = {"page.example"}, *const bad_authority[] = {"https://page.example"};
    static const char *const bad_path[] = {"chat"}, *const twice[] = {"a", "a"}, *const none[] = {NULL};
    wtgram_listen_options good, listen;
    wtgram_server server;
    char detail[PAIR_DETAIL];
    TEST("rules and subprotocols that mean nothing are refused, with a sentence that shows the text");
    wtgram_listen_options_init(&good);
    good.host = "127.0.0.1";
    for (int i = 0; i < 7; i++) {
        listen = good;
        if (i == 0) listen.allowed_origins = bad_origin, listen.allowed_origins_count = 1;
        if (i == 1) listen.allowed_authorities = bad_authority, listen.allowed_authorities_count = 1;
        if (i == 2) listen.allowed_paths = bad_path, listen.allowed_paths_count = 1;
        if (i == 3) listen.subprotocols = twice, listen.subprotocols_count = 2;
        if (i == 4) listen.allowed_paths = NULL, listen.allowed_paths_count = 1;
        if (i == 5) listen.allowed_origins = none, listen.allowed_origins_count = 1;
        if (i == 6) listen.admission = 77;
        CHECK_STATUS(wtgram_server_listen(&listen, &server, detail, sizeof detail), WTGRAM_ERROR_INVALID_ARGUMENT);
        CHECK_UINT(server.id, 0);
        if (i == 0) CHECK(strstr(detail, "\"page.example\"") != NULL);
        if (i == 1) CHECK(strstr(detail, "\"https://page.example\"") != NULL);
        if (i == 2) CHECK(strstr(detail, "\"chat\"") != NULL);
    }
}

static const char *subprotocol_of(wtgram_session session)
{
    static char text[64];
    size_t length = 0;
    CHECK_OK(wtgram_session_get_subprotocol(session, text, sizeof text, &length));
    CHECK_UINT(length, strlen(text));
    return text;
}

static void subprotocols(void)
{
    static const char *const spoken[] = {"v3", "v2", "v1"}, *const offered[] = {"v1", "v2"},
                             *const bad[] = {"gr\xc3\xbcn"};
    struct pair pair;
    wtgram_listen_options listen;
    wtgram_connect_options connect;
    TEST("a server picks the subprotocol that it likes best, and both ends know it");
    wtgram_listen_options_init(&listen);
    listen.subprotocols = spoken;
    listen.subprotocols_count = 3;
    pair_listen_with(&pair, &listen);
    for (size_t count = 0; count <= 2; count++) {
        const char *picked = count == 0 ? "" : count == 1 ? "v1" : "v2";
        wtgram_connect_options_init(&connect);
        connect.subprotocols = offered;
        connect.subprotocols_count = count;
        CHECK_OK(pair_try_connect(&pair, "/", &connect, &pair.client, NULL));
        CHECK_OK(wtgram_server_accept(pair.server, PATIENCE_US, &pair.accepted));
        CHECK_TEXT(subprotocol_of(pair.client), picked);
        CHECK_TEXT(subprotocol_of(pair.accepted), picked);
        wtgram_session_free(pair.client);
        wtgram_session_free(pair.accepted);
    }
    TEST("what cannot be sent is refused");
    connect.subprotocols = bad;
    connect.subprotocols_count = 1;
    CHECK_STATUS(pair_try_connect(&pair, "/", &connect, &pair.client, NULL), WTGRAM_ERROR_INVALID_ARGUMENT);
    pair_free(&pair);
}

static void what_sessions_know_of_the_request(void)
{
    static const char *const names[] = {"x-a", "X-B", "x-a"}, *const values[] = {"1", "2", "3"};
    struct pair pair;
    wtgram_listen_options listen;
    wtgram_connect_options connect;
    wtgram_header headers[4];
    char text[512], authority[64];
    size_t length = 0, needed = 0;
    TEST("both ends know path, authority and origin of the request");
    wtgram_listen_options_init(&listen);
    pair_listen_with(&pair, &listen);
    headers[0].name = "origin";
    headers[0].value = "https://127.0.0.1:8443";
    for (int i = 0; i < 3; i++) headers[i + 1].name = names[i], headers[i + 1].value = values[i];
    wtgram_connect_options_init(&connect);
    connect.headers = headers;
    connect.headers_count = 4;
    CHECK_OK(pair_try_connect(&pair, "/room?id=7", &connect, &pair.client, NULL));
    CHECK_OK(wtgram_server_accept(pair.server, PATIENCE_US, &pair.accepted));
    CHECK_OK(wtgram_server_get_local_address(pair.server, authority, sizeof authority, &length));
    for (int server = 0; server <= 1; server++) {
        wtgram_session session = server ? pair.accepted : pair.client;
        CHECK_OK(wtgram_session_get_path(session, text, sizeof text, &length));
        CHECK_TEXT(text, "/room?id=7");
        CHECK_OK(wtgram_session_get_authority(session, text, sizeof text, &length));
        CHECK_TEXT(text, authority);
        CHECK_OK(wtgram_session_get_origin(session, text, sizeof text, &length));
        CHECK_TEXT(text, "https://127.0.0.1:8443");
    }
    TEST("a server knows the header fields of the request, in order, joined by name");
    CHECK_OK(wtgram_session_get_header(pair.accepted, "X-A", text, sizeof text, &length));
    CHECK_TEXT(text, "1, 3");
    CHECK_OK(wtgram_session_get_header(pair.accepted, "x-b", text, sizeof text, &length));
    CHECK_TEXT(text, "2");
    CHECK_OK(wtgram_session_get_header(pair.accepted, "x-c", text, sizeof text, &length));
    CHECK_TEXT(text, "");
    CHECK_UINT(length, 0);
    CHECK_OK(wtgram_session_get_headers(pair.accepted, text, sizeof text, &length));
    CHECK(strstr(text, "origin: https://127.0.0.1:8443\nx-a: 1\nx-b: 2\nx-a: 3\n") != NULL);
    CHECK_STATUS(wtgram_session_get_headers(pair.accepted, text, 4, &needed), WTGRAM_ERROR_BUFFER_TOO_SMALL);
    CHECK_UINT(needed, length);
    TEST("a client knows those of the response");
    CHECK_OK(wtgram_session_get_headers(pair.client, text, sizeof text, &length));
    CHECK_TEXT(text, "sec-webtransport-http3-draft: draft02\n");
    CHECK_OK(wtgram_session_get_header(pair.client, "x-a", text, sizeof text, &length));
    CHECK_TEXT(text, "");
    TEST("and still do when the session is closed");
    CHECK_OK(wtgram_session_close(pair.client, 0, NULL, 0));
    CHECK_OK(wtgram_session_get_authority(pair.client, text, sizeof text, &length));
    CHECK_TEXT(text, authority);
    pair_free(&pair);
}

int main(void)
{
    pages_of_other_hosts();
    lists();
    rules_that_mean_nothing();
    subprotocols();
    what_sessions_know_of_the_request();
    return 0;
}
