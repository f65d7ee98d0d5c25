/* The end of the library: open objects are closed, calls that wait return, and every later call returns CLOSED. */
#include "blocked.h"
#include "check.h"
#include "pair.h"

static wtgram_status do_receive(void *argument)
{
    uint8_t buffer[8];
    size_t length = 0;
    return wtgram_transport_receive(*(wtgram_transport *)argument, WTGRAM_FOREVER, buffer, sizeof buffer, &length);
}

static wtgram_status do_accept(void *argument)
{
    wtgram_session session;
    return wtgram_server_accept(*(wtgram_server *)argument, WTGRAM_FOREVER, &session);
}

static wtgram_status do_next_request(void *argument)
{
    wtgram_request request;
    return wtgram_server_next_request(*(wtgram_server *)argument, WTGRAM_FOREVER, &request);
}

static wtgram_status do_connect(void *argument)
{
    wtgram_session session;
    return pair_try_connect((const struct pair *)argument, "/", NULL, &session, NULL);
}

static wtgram_status do_poller_wait(void *argument)
{
    wtgram_event events[2];
    size_t count = 0;
    return wtgram_poller_wait(*(wtgram_poller *)argument, WTGRAM_FOREVER, events, 2, &count);
}

int main(void)
{
    struct pair pair, asking;
    struct blocked receive, accept, next, connect, wait;
    wtgram_listen_options listen;
    wtgram_request request;
    wtgram_poller poller;
    wtgram_runtime_options runtime;
    wtgram_session session;
    wtgram_server server;
    uint8_t byte = 0;
    size_t length = 0;

    TEST("the runtime is configured before its first use, and not afterwards");
    wtgram_runtime_options_init(&runtime);
    runtime.lanes = 2;
    CHECK_OK(wtgram_runtime_configure(&runtime));
    pair_open(&pair, NULL);
    CHECK_STATUS(wtgram_runtime_configure(&runtime), WTGRAM_ERROR_INVALID_STATE);
    pair_exchange(pair.client_datagrams, pair.accepted_datagrams, "x", 1);

    TEST("a negative timeout below FOREVER is refused and shuts nothing down");
    CHECK_STATUS(wtgram_shutdown(-2), WTGRAM_ERROR_INVALID_ARGUMENT);
    pair_exchange(pair.client_datagrams, pair.accepted_datagrams, "x", 1);

    TEST("shutdown closes sessions and servers: blocked calls come back with CLOSED");
    blocked_start(&receive, do_receive, &pair.client_datagrams);
    blocked_start(&accept, do_accept, &pair.server);
    wtgram_listen_options_init(&listen);
    listen.handshake_timeout_us = PATIENCE_US;
    listen.admission = WTGRAM_ADMISSION_REQUESTS;
    pair_listen_with(&asking, &listen);
    blocked_start(&connect, do_connect, &asking);
    CHECK_OK(wtgram_server_next_request(asking.server, PATIENCE_US, &request));
    blocked_start(&next, do_next_request, &asking.server);
    CHECK_OK(wtgram_poller_new(&poller)); /* without objects */
    blocked_start(&wait, do_poller_wait, &poller);
    CHECK_OK(wtgram_shutdown(PATIENCE_US));
    blocked_expect(&receive, WTGRAM_ERROR_CLOSED);
    blocked_expect(&accept, WTGRAM_ERROR_CLOSED);
    blocked_expect(&next, WTGRAM_ERROR_CLOSED);
    blocked_expect(&wait, WTGRAM_ERROR_CLOSED);
    TEST("the client whose request was not answered gets no session");
    CHECK(pthread_join(connect.thread, NULL) == 0 && connect.status != WTGRAM_OK);

    TEST("afterwards every call says CLOSED, free is harmless, and a second shutdown does not hang");
    CHECK_STATUS(wtgram_transport_send(pair.client_datagrams, &byte, 1, NULL), WTGRAM_ERROR_CLOSED);
    CHECK_STATUS(wtgram_transport_receive(pair.client_datagrams, WTGRAM_FOREVER, &byte, 1, &length),
                 WTGRAM_ERROR_CLOSED);
    CHECK_STATUS(wtgram_server_accept(pair.server, WTGRAM_FOREVER, &session), WTGRAM_ERROR_CLOSED);
    CHECK_STATUS(wtgram_session_connect(pair.url, NULL, &session, NULL, 0), WTGRAM_ERROR_CLOSED);
    CHECK_STATUS(wtgram_server_listen(NULL, &server, NULL, 0), WTGRAM_ERROR_CLOSED);
    CHECK_STATUS(wtgram_request_accept(request, NULL, 0, NULL, &session), WTGRAM_ERROR_CLOSED);
    CHECK_STATUS(wtgram_request_reject(request, 404, NULL, 0), WTGRAM_ERROR_CLOSED);
    wtgram_request_free(request);
    pair_free(&asking);
    wtgram_poller_free(poller);
    pair_free(&pair);
    wtgram_status status = wtgram_shutdown(SECOND_US);
    CHECK(status == WTGRAM_OK || status == WTGRAM_ERROR_CLOSED);
    return 0;
}
