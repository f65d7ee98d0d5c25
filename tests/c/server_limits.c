/* What a server does with clients that it has not accepted yet: which ones it keeps, and which it turns away. */
#include "check.h"
#include "pair.h"

static void what_arrives_before_accept(void)
{
    enum { SENT = 20, KEPT = 4 };
    struct pair pair;
    wtgram_listen_options listen;
    wtgram_transport_options transport;
    wtgram_transport_stats statistics;
    uint8_t byte = 0;
    size_t length = 0;
    TEST("what arrives before accept waits within the incoming limits, and the rest is counted");
    wtgram_transport_options_init(&transport);
    transport.incoming_max_datagrams = KEPT;
    wtgram_listen_options_init(&listen);
    listen.transport = &transport;
    pair_listen_with(&pair, &listen);
    CHECK_OK(pair_try_connect(&pair, "/", NULL, &pair.client, NULL));
    CHECK_OK(wtgram_session_get_transport(pair.client, &pair.client_datagrams));
    for (uint8_t number = 0; number < SENT; number++)
        CHECK_OK(wtgram_transport_send(pair.client_datagrams, &number, 1, NULL));
    CHECK_OK(wtgram_server_accept(pair.server, PATIENCE_US, &pair.accepted));
    CHECK_OK(wtgram_session_get_transport(pair.accepted, &pair.accepted_datagrams));
    wtgram_transport_stats_init(&statistics);
    for (int64_t end = now_us() + PATIENCE_US; statistics.received < SENT && now_us() < end; sleep_us(MILLISECOND_US))
        CHECK_OK(wtgram_transport_get_stats(pair.accepted_datagrams, &statistics));
    CHECK_UINT(statistics.received, SENT);
    CHECK_UINT(statistics.receive_queued, KEPT);
    CHECK_UINT(statistics.receive_dropped_full, SENT - KEPT);
    for (uint8_t number = SENT - KEPT; number < SENT; number++) {
        CHECK_OK(wtgram_transport_receive(pair.accepted_datagrams, PATIENCE_US, &byte, 1, &length));
        CHECK_UINT(byte, number);
    }
    pair_free(&pair);
}

/* Connects. Tries again while the backlog is full. */
static void client_connect_when_there_is_room(const struct pair *pair, wtgram_session *client)
{
    wtgram_status status = pair_try_connect(pair, "/", NULL, client, NULL);
    for (int64_t end = now_us() + PATIENCE_US; status == WTGRAM_ERROR_REJECTED && now_us() < end;)
        status = pair_try_connect(pair, "/", NULL, client, NULL);
    CHECK_OK(status);
}

static void sessions_that_have_ended(void)
{
    enum { BACKLOG = 4 };
    struct pair pair;
    wtgram_session clients[BACKLOG], accepted[BACKLOG];
    wtgram_listen_options listen;
    TEST("clients that connect and leave do not fill the backlog, and are not handed out");
    wtgram_listen_options_init(&listen);
    listen.accept_backlog = BACKLOG;
    pair_listen_with(&pair, &listen);
    for (int client = 0; client < BACKLOG; client++)
        CHECK_OK(pair_try_connect(&pair, "/", NULL, &clients[client], NULL));
    CHECK_STATUS(pair_try_connect(&pair, "/", NULL, &pair.client, NULL), WTGRAM_ERROR_REJECTED);
    for (int client = 0; client < BACKLOG; client++) wtgram_session_free(clients[client]);
    for (int client = 0; client < BACKLOG; client++) client_connect_when_there_is_room(&pair, &clients[client]);
    for (int client = 0; client < BACKLOG; client++) {
        wtgram_transport from, to;
        CHECK_OK(wtgram_server_accept(pair.server, PATIENCE_US, &accepted[client]));
        CHECK_OK(wtgram_session_get_transport(clients[client], &from));
        CHECK_OK(wtgram_session_get_transport(accepted[client], &to));
        pair_exchange(from, to, "x", 1);
    }
    CHECK_STATUS(wtgram_server_accept(pair.server, 0, &pair.accepted), WTGRAM_ERROR_WOULD_BLOCK);
    for (int client = 0; client < BACKLOG; client++) {
        wtgram_session_free(clients[client]);
        wtgram_session_free(accepted[client]);
    }
    pair_free(&pair);
}

int main(void)
{
    what_arrives_before_accept();
    sessions_that_have_ended();
    return 0;
}
