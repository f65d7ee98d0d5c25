/* A server that stops listening: its sessions go on, those that wait are accepted, and new clients are refused. */
#include "blocked.h"
#include "check.h"
#include "pair.h"

static wtgram_status try_to_connect(const struct pair *pair, wtgram_session *session)
{
    wtgram_connect_options connect;
    wtgram_connect_options_init(&connect);
    connect.timeout_us = PATIENCE_US;
    connect.trust = WTGRAM_TRUST_CERTIFICATE_HASHES;
    connect.certificate_hashes = pair->hash;
    connect.certificate_hashes_count = 1;
    return wtgram_session_connect(pair->url, &connect, session, NULL, 0);
}

static uint32_t readiness_of(wtgram_poller poller)
{
    wtgram_event event;
    size_t count = 0;
    CHECK_OK(wtgram_poller_wait(poller, PATIENCE_US, &event, 1, &count));
    CHECK_UINT(count, 1);
    return event.ready;
}

static void sessions_go_on_and_those_that_wait_are_accepted(void)
{
    struct pair pair;
    wtgram_poller poller;
    wtgram_session waiting, accepted, none;
    wtgram_transport from, to;
    wtgram_close_info info;
    pair_open(&pair, NULL);
    CHECK_OK(wtgram_poller_new(&poller));
    CHECK_OK(wtgram_poller_add(poller, pair.server.id, WTGRAM_READY_ACCEPT, 1));
    CHECK_OK(try_to_connect(&pair, &waiting));
    TEST("new clients are refused at once, and to stop again changes nothing");
    CHECK_OK(wtgram_server_stop_listening(pair.server));
    CHECK_OK(wtgram_server_stop_listening(pair.server));
    CHECK_STATUS(try_to_connect(&pair, &none), WTGRAM_ERROR_CONNECTION_REFUSED);
    TEST("sessions go on");
    pair_exchange(pair.client_datagrams, pair.accepted_datagrams, "there", 5);
    pair_exchange(pair.accepted_datagrams, pair.client_datagrams, "back", 4);
    TEST("a session that waited is reported and accepted, then accept says CLOSED");
    CHECK_UINT(readiness_of(poller), WTGRAM_READY_ACCEPT | WTGRAM_READY_CLOSED);
    CHECK_OK(wtgram_server_accept(pair.server, 0, &accepted));
    CHECK_OK(wtgram_session_get_transport(waiting, &from));
    CHECK_OK(wtgram_session_get_transport(accepted, &to));
    pair_exchange(from, to, "late", 4);
    CHECK_STATUS(wtgram_server_accept(pair.server, WTGRAM_FOREVER, &none), WTGRAM_ERROR_CLOSED);
    CHECK_UINT(none.id, 0);
    CHECK_UINT(readiness_of(poller), WTGRAM_READY_CLOSED);
    TEST("a close then reaches every peer with its reason");
    CHECK_OK(wtgram_server_close_with(pair.server, 4, "the end", 7));
    wtgram_session ends[2] = {pair.client, waiting};
    for (int i = 0; i < 2; i++) {
        wtgram_close_info_init(&info);
        CHECK_OK(wtgram_session_wait_closed(ends[i], PATIENCE_US, &info));
        CHECK_UINT(info.code, 4);
        CHECK_TEXT(info.reason, "the end");
    }
    CHECK_OK(wtgram_server_stop_listening(pair.server));
    wtgram_poller_free(poller);
    wtgram_session_free(waiting);
    wtgram_session_free(accepted);
    pair_free(&pair);
    CHECK_STATUS(wtgram_server_stop_listening(pair.server), WTGRAM_ERROR_INVALID_HANDLE);
}

static wtgram_status do_accept(void *argument)
{
    wtgram_session session;
    return wtgram_server_accept(((struct pair *)argument)->server, WTGRAM_FOREVER, &session);
}

static void a_thread_that_waits_for_a_session_returns(void)
{
    struct pair pair;
    struct blocked accepting;
    TEST("stop_listening wakes accept");
    pair_open(&pair, NULL);
    blocked_start(&accepting, do_accept, &pair);
    CHECK_OK(wtgram_server_stop_listening(pair.server));
    blocked_expect(&accepting, WTGRAM_ERROR_CLOSED);
    pair_exchange(pair.client_datagrams, pair.accepted_datagrams, "x", 1);
    pair_free(&pair);
}

static void the_port_is_free_after_the_last_session(void)
{
    struct pair pair;
    wtgram_listen_options listen;
    wtgram_server next;
    wtgram_status status;
    uint16_t port = 0;
    TEST("the port is in use as long as a session lives, then another server can have it");
    pair_open(&pair, NULL);
    CHECK_OK(wtgram_server_get_local_port(pair.server, &port));
    CHECK_OK(wtgram_server_stop_listening(pair.server));
    wtgram_listen_options_init(&listen);
    listen.host = "127.0.0.1";
    listen.port = port;
    CHECK_STATUS(wtgram_server_listen(&listen, &next, NULL, 0), WTGRAM_ERROR_IO);
    CHECK_OK(wtgram_session_close(pair.client, 0, NULL, 0));
    int64_t start = now_us();
    while ((status = wtgram_server_listen(&listen, &next, NULL, 0)) == WTGRAM_ERROR_IO) {
        CHECK(now_us() - start < PATIENCE_US);
        sleep_us(10 * MILLISECOND_US);
    }
    CHECK_OK(status);
    wtgram_server_free(next);
    pair_free(&pair);
}

int main(void)
{
    sessions_go_on_and_those_that_wait_are_accepted();
    a_thread_that_waits_for_a_session_returns();
    the_port_is_free_after_the_last_session();
    return 0;
}
