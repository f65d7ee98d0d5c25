/* A child that inherits the library by fork() cannot use it and is told so; the parent goes on undisturbed. */
#include "check.h"
#include "pair.h"

#include <sys/wait.h>
#include <unistd.h>

static void in_the_child(const struct pair *pair)
{
    uint8_t byte = 0;
    size_t length = 0;
    bool flag = false;
    wtgram_session session;
    wtgram_server server;
    wtgram_poller poller;
    CHECK_STATUS(wtgram_transport_send(pair->client_datagrams, &byte, 1, NULL), WTGRAM_ERROR_FORKED);
    CHECK_STATUS(wtgram_transport_receive(pair->client_datagrams, WTGRAM_FOREVER, &byte, 1, &length),
                 WTGRAM_ERROR_FORKED);
    CHECK_STATUS(wtgram_transport_is_closed(pair->client_datagrams, &flag), WTGRAM_ERROR_FORKED);
    CHECK_STATUS(wtgram_session_close(pair->client, 1, NULL, 0), WTGRAM_ERROR_FORKED);
    CHECK_STATUS(wtgram_session_connect(pair->url, NULL, &session, NULL, 0), WTGRAM_ERROR_FORKED);
    CHECK_STATUS(wtgram_server_listen(NULL, &server, NULL, 0), WTGRAM_ERROR_FORKED);
    CHECK_STATUS(wtgram_server_accept(pair->server, WTGRAM_FOREVER, &session), WTGRAM_ERROR_FORKED);
    CHECK_STATUS(wtgram_poller_new(&poller), WTGRAM_ERROR_FORKED);
    CHECK_STATUS(wtgram_shutdown(SECOND_US), WTGRAM_ERROR_FORKED);
    wtgram_session_free(pair->client); /* harmless, and nothing of the parent's */
    wtgram_server_free(pair->server);
    CHECK_TEXT(wtgram_status_name(WTGRAM_ERROR_FORKED), "WTGRAM_ERROR_FORKED");
    CHECK(wtgram_version()[0] != '\0');
}

int main(void)
{
    struct pair pair;
    int result = -1;
    pair_open(&pair, NULL);
    pair_exchange(pair.client_datagrams, pair.accepted_datagrams, "before", 6);
    TEST("in the child every call is FORKED and none hangs or crashes");
    pid_t child = fork();
    CHECK(child >= 0);
    if (child == 0) {
        alarm(60);
        in_the_child(&pair);
        _exit(0);
    }
    CHECK(waitpid(child, &result, 0) == child);
    CHECK(WIFEXITED(result));
    CHECK_UINT(WEXITSTATUS(result), 0);
    TEST("the parent's session is untouched");
    pair_exchange(pair.client_datagrams, pair.accepted_datagrams, "after", 5);
    pair_exchange(pair.accepted_datagrams, pair.client_datagrams, "after", 5);
    pair_free(&pair);
    return 0;
}
