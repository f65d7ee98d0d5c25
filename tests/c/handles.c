/* Handles are values: freed, stale and reused ones give INVALID_HANDLE everywhere, whatever other threads do.
 * (matrix.py passes zero, garbage and handles of other types to every function.) */
#include "blocked.h"
#include "check.h"
#include "pair.h"

static void freed_handles_are_invalid(void)
{
    struct pair pair;
    wtgram_poller poller;
    uint32_t state = 0;
    bool flag = false;
    uint16_t port = 0;
    int fd = 0;
    pair_open(&pair, NULL);
    CHECK_OK(wtgram_poller_new(&poller));
    TEST("a freed session takes its transport with it, and freeing twice is harmless");
    wtgram_session_free(pair.client);
    wtgram_session_free(pair.client);
    CHECK_STATUS(wtgram_session_get_state(pair.client, &state), WTGRAM_ERROR_INVALID_HANDLE);
    CHECK_STATUS(wtgram_transport_is_closed(pair.client_datagrams, &flag), WTGRAM_ERROR_INVALID_HANDLE);
    CHECK_STATUS(wtgram_poller_add(poller, pair.client.id, WTGRAM_READY_CLOSED, 1), WTGRAM_ERROR_INVALID_HANDLE);
    TEST("a freed poller and a freed server");
    wtgram_poller_free(poller);
    wtgram_poller_free(poller);
    CHECK_STATUS(wtgram_poller_get_fd(poller, &fd), WTGRAM_ERROR_INVALID_HANDLE);
    wtgram_server_free(pair.server);
    wtgram_server_free(pair.server);
    CHECK_STATUS(wtgram_server_get_local_port(pair.server, &port), WTGRAM_ERROR_INVALID_HANDLE);
    pair_free(&pair);
}

static void an_old_handle_never_means_a_new_object(void)
{
    enum { ROUNDS = 2000 };
    static wtgram_poller old[ROUNDS];
    int fd = 0;
    TEST("two thousand pollers made and freed: no id comes twice, and none of the old ones works");
    for (int i = 0; i < ROUNDS; i++) {
        CHECK_OK(wtgram_poller_new(&old[i]));
        wtgram_poller_free(old[i]);
    }
    wtgram_poller live;
    CHECK_OK(wtgram_poller_new(&live));
    for (int i = 0; i < ROUNDS; i++) {
        CHECK(old[i].id != 0 && old[i].id != live.id);
        CHECK(i == 0 || old[i].id != old[i - 1].id);
        CHECK_STATUS(wtgram_poller_get_fd(old[i], &fd), WTGRAM_ERROR_INVALID_HANDLE);
        wtgram_poller_free(old[i]);
    }
    CHECK_OK(wtgram_poller_get_fd(live, &fd));
    wtgram_poller_free(live);
}

static wtgram_status do_receive(void *argument)
{
    uint8_t buffer[8];
    size_t length = 0;
    return wtgram_transport_receive(*(wtgram_transport *)argument, WTGRAM_FOREVER, buffer, sizeof buffer, &length);
}

static wtgram_status do_poller_wait(void *argument)
{
    wtgram_event events[2];
    size_t count = 0;
    return wtgram_poller_wait(*(wtgram_poller *)argument, WTGRAM_FOREVER, events, 2, &count);
}

static wtgram_status do_accept(void *argument)
{
    wtgram_session session;
    return wtgram_server_accept(*(wtgram_server *)argument, WTGRAM_FOREVER, &session);
}

static void free_wakes_whoever_is_inside(void)
{
    struct pair pair;
    struct blocked receive, wait, accept;
    wtgram_poller poller;
    TEST("free of a session, a poller and a server inside use: the blocked call comes back with CLOSED");
    pair_open(&pair, NULL);
    CHECK_OK(wtgram_poller_new(&poller));
    blocked_start(&receive, do_receive, &pair.client_datagrams);
    blocked_start(&wait, do_poller_wait, &poller);
    blocked_start(&accept, do_accept, &pair.server);
    wtgram_session_free(pair.client);
    blocked_expect(&receive, WTGRAM_ERROR_CLOSED);
    wtgram_poller_free(poller);
    blocked_expect(&wait, WTGRAM_ERROR_CLOSED);
    wtgram_server_free(pair.server);
    blocked_expect(&accept, WTGRAM_ERROR_CLOSED);
    pair_free(&pair);
}

static wtgram_status do_hammer(void *argument)
{
    wtgram_transport transport = *(wtgram_transport *)argument;
    uint8_t buffer[1500];
    size_t length = 0;
    wtgram_status status = WTGRAM_OK;
    while (status == WTGRAM_OK || status == WTGRAM_ERROR_WOULD_BLOCK) {
        status = wtgram_transport_send(transport, (const uint8_t *)"hammer", 6, NULL);
        if (status == WTGRAM_OK) status = wtgram_transport_try_receive(transport, buffer, sizeof buffer, &length);
    }
    return status == WTGRAM_ERROR_CLOSED ? WTGRAM_ERROR_INVALID_HANDLE : status; /* either may happen */
}

static void free_while_four_threads_send(void)
{
    TEST("free while four threads send and receive: each gets a status, nothing crashes, twenty times");
    for (int round = 0; round < 20; round++) {
        struct pair pair;
        struct blocked threads[4];
        pair_open(&pair, NULL);
        for (int i = 0; i < 4; i++) blocked_start(&threads[i], do_hammer, &pair.client_datagrams);
        wtgram_session_free(pair.client);
        for (int i = 0; i < 4; i++) blocked_expect(&threads[i], WTGRAM_ERROR_INVALID_HANDLE);
        pair_free(&pair);
    }
}

int main(void)
{
    freed_handles_are_invalid();
    an_old_handle_never_means_a_new_object();
    free_wakes_whoever_is_inside();
    free_while_four_threads_send();
    return 0;
}
