/* What clients of a server may use up, and how it counts those that it turns away. */
#include "blocked.h"
#include "check.h"
#include "pair.h"

static wtgram_server_stats stats_of(const struct pair *pair)
{
    wtgram_server_stats stats;
    wtgram_server_stats_init(&stats);
    CHECK_OK(wtgram_server_get_stats(pair->server, &stats));
    return stats;
}

/* The sum of all refusals and failures: to show that nothing else was counted than what the test expects. */
static uint64_t all_refused(const wtgram_server_stats *stats)
{
    return stats->refused_sessions + stats->refused_address + stats->refused_rate + stats->refused_memory +
           stats->refused_origin + stats->refused_authority + stats->refused_path + stats->refused_path_length +
           stats->refused_headers + stats->refused_backlog + stats->rejected + stats->refused_stopped +
           stats->failed_timed_out + stats->failed_tls + stats->failed_lost + stats->failed_protocol +
           stats->failed_evicted + stats->failed_client_certificate;
}

static void listen_with_limits(struct pair *pair, const wtgram_server_limits *limits, uint32_t max_sessions)
{
    wtgram_listen_options listen;
    wtgram_listen_options_init(&listen);
    listen.limits = limits;
    listen.max_sessions = max_sessions;
    pair_listen_with(pair, &listen);
}

static wtgram_status connect_from(const struct pair *pair, const char *host, wtgram_session *client)
{
    wtgram_connect_options connect;
    wtgram_connect_options_init(&connect);
    connect.bind_host = host;
    return pair_try_connect(pair, "/", &connect, client, NULL);
}

static void the_defaults(void)
{
    struct {
        wtgram_server_limits value;
        uint8_t guard[64];
    } limits;
    struct {
        wtgram_server_stats value;
        uint8_t guard[64];
    } stats;
    TEST("the defaults suit a public server, and the init functions fill exactly their struct");
    memset(&limits, 0x5a, sizeof limits);
    wtgram_server_limits_init(&limits.value);
    CHECK_UINT(limits.value.struct_size, sizeof limits.value);
    CHECK_UINT(limits.value.max_sessions_per_address, 2048);
    CHECK_UINT(limits.value.connections_per_second_per_address, 200);
    CHECK_UINT(limits.value.max_half_open, 1024);
    CHECK_UINT(limits.value.retry_above_half_open, 64);
    CHECK_UINT(limits.value.max_header_bytes, 16384);
    CHECK_UINT(limits.value.max_header_fields, 100);
    CHECK_UINT(limits.value.max_path_bytes, 4096);
    CHECK_UINT(limits.value.datagrams_per_second, 0);
    CHECK_UINT(limits.value.bytes_per_second, 0);
    CHECK_UINT(limits.value.accept_timeout_us, 30 * SECOND_US);
    CHECK_UINT(limits.value.max_memory_bytes, UINT64_C(1) << 30);
    for (size_t i = 0; i < sizeof limits.guard; i++) CHECK_UINT(limits.guard[i], 0x5a);
    memset(&stats, 0x5a, sizeof stats);
    wtgram_server_stats_init(&stats.value);
    CHECK_UINT(stats.value.struct_size, sizeof stats.value);
    CHECK_UINT(stats.value.established + stats.value.memory_bytes + all_refused(&stats.value), 0);
    for (size_t i = 0; i < sizeof stats.guard; i++) CHECK_UINT(stats.guard[i], 0x5a);
}

static void limits_that_mean_nothing(void)
{
    wtgram_listen_options listen;
    wtgram_server_limits limits;
    wtgram_server server;
    TEST("limits that mean nothing are refused");
    wtgram_listen_options_init(&listen);
    listen.limits = &limits;
    wtgram_server_limits_init(&limits);
    limits.max_half_open = 0;
    CHECK_STATUS(wtgram_server_listen(&listen, &server, NULL, 0), WTGRAM_ERROR_INVALID_ARGUMENT);
    wtgram_server_limits_init(&limits);
    limits.accept_timeout_us = -1;
    CHECK_STATUS(wtgram_server_listen(&listen, &server, NULL, 0), WTGRAM_ERROR_INVALID_ARGUMENT);
}

static void large_requests(void)
{
    struct pair pair;
    wtgram_server_limits limits;
    wtgram_connect_options connect;
    wtgram_header headers[4];
    char detail[PAIR_DETAIL], value[301];
    TEST("a long path gets 414, and too many header fields or bytes of them get 431");
    wtgram_server_limits_init(&limits);
    limits.max_path_bytes = 20;
    limits.max_header_fields = 3;
    limits.max_header_bytes = 500;
    listen_with_limits(&pair, &limits, 0);
    CHECK_STATUS(pair_try_connect(&pair, "/01234567890123456789", NULL, &pair.client, detail), WTGRAM_ERROR_REJECTED);
    CHECK(strstr(detail, "414") != NULL);
    for (int i = 0; i < 4; i++) headers[i].name = "x", headers[i].value = "1";
    wtgram_connect_options_init(&connect);
    connect.headers = headers;
    connect.headers_count = 4;
    CHECK_STATUS(pair_try_connect(&pair, "/", &connect, &pair.client, detail), WTGRAM_ERROR_REJECTED);
    CHECK(strstr(detail, "431") != NULL);
    memset(value, '1', sizeof value - 1);
    value[sizeof value - 1] = '\0';
    headers[0].value = value;
    connect.headers_count = 1;
    CHECK_STATUS(pair_try_connect(&pair, "/", &connect, &pair.client, detail), WTGRAM_ERROR_REJECTED);
    CHECK(strstr(detail, "431") != NULL);
    wtgram_server_stats stats = stats_of(&pair);
    CHECK_UINT(stats.refused_path_length, 1);
    CHECK_UINT(stats.refused_headers, 2);
    CHECK_UINT(all_refused(&stats), 3);
    headers[0].value = "1";
    CHECK_OK(pair_try_connect(&pair, "/", &connect, &pair.client, NULL));
    pair_free(&pair);
}

static void numbers_of_sessions(void)
{
    struct pair pair;
    wtgram_server_limits limits;
    wtgram_session first, second;
    TEST("sessions of one address, and of all, are limited, and a place that is free again is given again");
    wtgram_server_limits_init(&limits);
    limits.max_sessions_per_address = 1;
    listen_with_limits(&pair, &limits, 2);
    CHECK_OK(connect_from(&pair, "127.0.0.1", &first));
    CHECK_STATUS(connect_from(&pair, "127.0.0.1", &pair.client), WTGRAM_ERROR_CONNECTION_REFUSED);
    CHECK_OK(connect_from(&pair, "127.0.0.2", &second));
    CHECK_STATUS(connect_from(&pair, "127.0.0.3", &pair.client), WTGRAM_ERROR_CONNECTION_REFUSED);
    wtgram_server_stats stats = stats_of(&pair);
    CHECK_UINT(stats.connections, 2);
    CHECK_UINT(stats.established, 2);
    CHECK_UINT(stats.refused_address, 1);
    CHECK_UINT(stats.refused_sessions, 1);
    CHECK_UINT(all_refused(&stats), 2);
    CHECK(stats.longest_handshake_us > 0 && stats.longest_handshake_us <= stats.handshake_time_us);
    wtgram_session_free(first);
    for (int64_t end = now_us() + PATIENCE_US; stats_of(&pair).connections == 2 && now_us() < end;)
        sleep_us(MILLISECOND_US);
    CHECK_OK(connect_from(&pair, "127.0.0.1", &first));
    wtgram_session_free(first);
    wtgram_session_free(second);
    pair_free(&pair);
}

static void connections_per_second(void)
{
    enum { BURST = 5, MOST = 1000 };
    struct pair pair;
    wtgram_server_limits limits;
    int admitted = 0;
    TEST("an address that opens connections too fast must prove itself, and is refused then");
    wtgram_server_limits_init(&limits);
    limits.connections_per_second_per_address = 1;
    listen_with_limits(&pair, &limits, 0);
    for (; admitted < MOST; admitted++) {
        wtgram_status status = pair_try_connect(&pair, "/", NULL, &pair.client, NULL);
        if (status == WTGRAM_ERROR_CONNECTION_REFUSED) break;
        CHECK_OK(status);
        wtgram_session_free(pair.client);
    }
    CHECK(admitted >= 2 * BURST && admitted < MOST); /* as many that proved their address as others */
    CHECK(stats_of(&pair).retries >= BURST);
    CHECK_UINT(stats_of(&pair).refused_rate, 1);
    CHECK_OK(connect_from(&pair, "127.0.0.2", &pair.client));
    pair_free(&pair);
}

static void proof_and_memory(void)
{
    struct pair pair;
    wtgram_server_limits limits;
    wtgram_session second;
    TEST("a server may always demand a proof of the address, and never holds more memory than it may");
    wtgram_server_limits_init(&limits);
    limits.retry_above_half_open = 0;
    limits.max_memory_bytes = 50 * 1024;
    listen_with_limits(&pair, &limits, 0);
    CHECK_OK(pair_try_connect(&pair, "/", NULL, &pair.client, NULL));
    CHECK_UINT(stats_of(&pair).retries, 1);
    CHECK_UINT(stats_of(&pair).memory_bytes, 40 * 1024);
    CHECK_STATUS(pair_try_connect(&pair, "/", NULL, &second, NULL), WTGRAM_ERROR_CONNECTION_REFUSED);
    CHECK_UINT(stats_of(&pair).refused_memory, 1);
    pair_free(&pair);
}

static void datagrams_per_second(void)
{
    enum { SENT = 500 };
    struct pair pair;
    wtgram_server_limits limits;
    wtgram_transport_stats sent, received;
    uint64_t over = 0;
    TEST("datagrams above the rate of a session are dropped and counted");
    wtgram_server_limits_init(&limits);
    limits.datagrams_per_second = 50;
    listen_with_limits(&pair, &limits, 0);
    CHECK_OK(pair_try_connect(&pair, "/", NULL, &pair.client, NULL));
    CHECK_OK(wtgram_server_accept(pair.server, PATIENCE_US, &pair.accepted));
    CHECK_OK(wtgram_session_get_transport(pair.client, &pair.client_datagrams));
    CHECK_OK(wtgram_session_get_transport(pair.accepted, &pair.accepted_datagrams));
    for (int i = 0; i < SENT; i++)
        CHECK_OK(wtgram_transport_send(pair.client_datagrams, (const uint8_t *)"x", 1, NULL));
    wtgram_transport_stats_init(&sent);
    wtgram_transport_stats_init(&received);
    for (int64_t end = now_us() + PATIENCE_US;; sleep_us(MILLISECOND_US)) {
        CHECK_OK(wtgram_transport_get_stats(pair.client_datagrams, &sent));
        CHECK_OK(wtgram_transport_get_stats(pair.accepted_datagrams, &received));
        over = stats_of(&pair).datagrams_over_rate;
        if (received.received + over + sent.send_evicted >= SENT) break;
        CHECK(now_us() < end);
    }
    CHECK(over > 0);
    CHECK_UINT(received.received + over + sent.send_evicted, SENT);
    CHECK_UINT(received.receive_over_rate, over);
    CHECK_UINT(received.receive_dropped_by_quic, 0);
    CHECK_UINT(received.receive_drops, over + received.receive_dropped_full + received.receive_expired);
    pair_free(&pair);
}

static void sessions_that_nobody_accepts(void)
{
    struct pair pair;
    wtgram_server_limits limits;
    wtgram_close_info info;
    TEST("a session that is not accepted in time ends");
    wtgram_server_limits_init(&limits);
    limits.accept_timeout_us = 100 * MILLISECOND_US;
    listen_with_limits(&pair, &limits, 0);
    CHECK_OK(pair_try_connect(&pair, "/", NULL, &pair.client, NULL));
    wtgram_close_info_init(&info);
    CHECK_OK(wtgram_session_wait_closed(pair.client, PATIENCE_US, &info));
    CHECK_UINT(info.closed_by, WTGRAM_CLOSED_BY_PEER);
    CHECK_UINT(stats_of(&pair).not_accepted, 1);
    CHECK_STATUS(wtgram_server_accept(pair.server, 0, &pair.accepted), WTGRAM_ERROR_WOULD_BLOCK);
    pair_free(&pair);
}

static wtgram_status do_connect(void *argument)
{
    wtgram_session client;
    wtgram_status status = pair_try_connect((const struct pair *)argument, "/", NULL, &client, NULL);
    wtgram_session_free(client);
    return status;
}

static void half_open_connections(void)
{
    struct pair pair;
    struct blocked one, other;
    wtgram_listen_options listen;
    wtgram_server_limits limits;
    wtgram_request first, second;
    wtgram_session accepted;
    TEST("a request that waits for the program does not end because of max_half_open");
    wtgram_server_limits_init(&limits);
    limits.max_half_open = 1;
    wtgram_listen_options_init(&listen);
    listen.limits = &limits;
    listen.handshake_timeout_us = PATIENCE_US;
    listen.admission = WTGRAM_ADMISSION_REQUESTS;
    pair_listen_with(&pair, &listen);
    blocked_start(&one, do_connect, &pair);
    CHECK_OK(wtgram_server_next_request(pair.server, PATIENCE_US, &first));
    blocked_start(&other, do_connect, &pair);
    CHECK_OK(wtgram_server_next_request(pair.server, PATIENCE_US, &second));
    CHECK_UINT(stats_of(&pair).half_open, 2);
    CHECK_OK(wtgram_request_accept(first, NULL, 0, NULL, &accepted));
    CHECK_OK(wtgram_request_accept(second, NULL, 0, NULL, &pair.accepted));
    blocked_expect(&one, WTGRAM_OK);
    blocked_expect(&other, WTGRAM_OK);
    CHECK_UINT(stats_of(&pair).failed_evicted, 0);
    wtgram_session_free(accepted);
    wtgram_request_free(first);
    wtgram_request_free(second);
    pair_free(&pair);
}

static void expect_line(const char *text, const char *line)
{
    if (strstr(text, line) != NULL) return;
    fprintf(stderr, "%s", text);
    check_fail(__FILE__, __LINE__, line);
}

static void figures(void)
{
    static char text[16384];
    char address[64], line[256];
    struct pair pair;
    wtgram_connect_options connect;
    size_t length = 0, needed = 0;
    TEST("a client that does not trust the certificate is counted, and all figures are there as Prometheus text");
    listen_with_limits(&pair, NULL, 0);
    wtgram_connect_options_init(&connect);
    connect.trust = WTGRAM_TRUST_SYSTEM;
    CHECK_STATUS(wtgram_session_connect(pair.url, &connect, &pair.client, NULL, 0), WTGRAM_ERROR_CERTIFICATE_UNTRUSTED);
    for (int64_t end = now_us() + PATIENCE_US; stats_of(&pair).failed_tls == 0 && now_us() < end;)
        sleep_us(MILLISECOND_US);
    CHECK_UINT(stats_of(&pair).failed_tls, 1);
    CHECK_OK(pair_try_connect(&pair, "/", NULL, &pair.client, NULL));
    CHECK_OK(wtgram_server_get_local_address(pair.server, address, sizeof address, &length));
    CHECK_OK(wtgram_server_get_prometheus(pair.server, text, sizeof text, &length));
    CHECK_UINT(length, strlen(text));
    static const char *const lines[] = {
        "wtgram_server_connections{server=\"%s\"} 1.0\n",
        "wtgram_server_handshakes_total{server=\"%s\",outcome=\"established\"} 1\n",
        "wtgram_server_handshakes_total{server=\"%s\",outcome=\"tls\"} 1\n",
        "wtgram_server_refused_total{server=\"%s\",reason=\"origin\"} 0\n",
    };
    for (size_t i = 0; i < sizeof lines / sizeof *lines; i++) {
        snprintf(line, sizeof line, lines[i], address);
        expect_line(text, line);
    }
    CHECK_STATUS(wtgram_server_get_prometheus(pair.server, text, 10, &needed), WTGRAM_ERROR_BUFFER_TOO_SMALL);
    CHECK(needed > 1000);
    TEST("a closed server still has its figures, and a freed one has none");
    CHECK_OK(wtgram_server_close(pair.server));
    CHECK_UINT(stats_of(&pair).established, 1);
    pair_free(&pair);
    wtgram_server_stats stats;
    wtgram_server_stats_init(&stats);
    CHECK_STATUS(wtgram_server_get_stats(pair.server, &stats), WTGRAM_ERROR_INVALID_HANDLE);
}

int main(void)
{
    the_defaults();
    limits_that_mean_nothing();
    large_requests();
    numbers_of_sessions();
    connections_per_second();
    proof_and_memory();
    datagrams_per_second();
    sessions_that_nobody_accepts();
    half_open_connections();
    figures();
    return 0;
}
