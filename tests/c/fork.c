/* A child that inherits the library by fork() cannot use it and gets a status that says so. The parent goes on
 * undisturbed. */
#include "check.h"
#include "pair.h"

#include <pthread.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

/* One object of each kind. */
struct objects {
    struct pair pair;
    wtgram_poller poller;
    wtgram_reliability layer;
    wtgram_structured structured;
    wtgram_monitor monitor;
    wtgram_broadcaster broadcaster;
};

static void open_all(struct objects *objects)
{
    static const wtgram_object_type types[] = {{1, 0, 0, {0, 0}}};
    pair_open(&objects->pair, NULL);
    const struct pair *pair = &objects->pair;
    CHECK_OK(wtgram_poller_new(&objects->poller));
    CHECK_OK(wtgram_reliability_open_over_transport(pair->accepted_datagrams, NULL, &objects->layer));
    CHECK_OK(wtgram_structured_open_over_session(pair->accepted, types, 1, NULL, &objects->structured));
    CHECK_OK(wtgram_monitor_open(pair->accepted_datagrams, NULL, &objects->monitor));
    CHECK_OK(wtgram_broadcaster_new(NULL, &objects->broadcaster));
    CHECK_OK(wtgram_broadcaster_add_transport(objects->broadcaster, pair->client_datagrams));
    CHECK_OK(wtgram_poller_add(objects->poller, pair->accepted_datagrams.id, WTGRAM_READY_READABLE, 0));
    CHECK_OK(wtgram_poller_add(objects->poller, objects->structured.id, WTGRAM_READY_READABLE, 0));
    CHECK_OK(wtgram_poller_add(objects->poller, objects->monitor.id, WTGRAM_READY_ALERT, 0));
}

static void free_all(struct objects *objects)
{
    wtgram_poller_free(objects->poller);
    wtgram_broadcaster_free(objects->broadcaster);
    wtgram_monitor_free(objects->monitor);
    wtgram_structured_free(objects->structured);
    wtgram_reliability_free(objects->layer);
    pair_free(&objects->pair);
}

static void in_the_child(struct objects *objects)
{
    const struct pair *pair = &objects->pair;
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
    CHECK_STATUS(wtgram_poller_wake(objects->poller), WTGRAM_ERROR_FORKED);
    CHECK_STATUS(wtgram_shutdown(SECOND_US), WTGRAM_ERROR_FORKED);
    free_all(objects); /* has no effect in the child or on the parent */
    CHECK_TEXT(wtgram_status_name(WTGRAM_ERROR_FORKED), "WTGRAM_ERROR_FORKED");
    CHECK(wtgram_version()[0] != '\0');
}

/* Starts a child that must end by itself. If it hangs, its alarm ends it. */
static pid_t start_child(struct objects *objects)
{
    pid_t child = fork();
    CHECK(child >= 0);
    if (child == 0) {
        signal(SIGALRM, SIG_DFL);
        alarm(60);
        in_the_child(objects);
#ifdef __SANITIZE_ADDRESS__
        _exit(0); /* LeakSanitizer reports memory of threads that the child lacks as leaks. */
#else
        exit(0);
#endif
    }
    return child;
}

static void expect_end(pid_t child)
{
    int result = -1;
    CHECK(waitpid(child, &result, 0) == child);
    CHECK(WIFEXITED(result));
    CHECK_UINT(WEXITSTATUS(result), 0);
}

enum { SENDERS = 2, CHILDREN = 60 };

static volatile int stop;

static void *send_and_wait(void *argument)
{
    struct objects *objects = (struct objects *)argument;
    uint8_t data[64];
    wtgram_event events[8];
    size_t count = 0;
    memset(data, 1, sizeof data);
    while (!__atomic_load_n(&stop, __ATOMIC_RELAXED)) {
        uint8_t buffer[2048];
        size_t length = 0, accepted = 0;
        data[0] ^= 1; /* every second one has a type id of the structured transport */
        CHECK_OK(wtgram_transport_send(objects->pair.client_datagrams, data, sizeof data, NULL));
        CHECK_OK(wtgram_broadcaster_broadcast(objects->broadcaster, data, sizeof data, NULL, NULL, 0, NULL, &accepted));
        (void)!wtgram_transport_try_receive(objects->pair.accepted_datagrams, buffer, sizeof buffer, &length);
        (void)!wtgram_poller_wait(objects->poller, 0, events, 8, &count);
    }
    return NULL;
}

int main(void)
{
    struct objects objects;
    pthread_t senders[SENDERS];
    pid_t children[CHILDREN];
    open_all(&objects);
    const struct pair *pair = &objects.pair;
    pair_exchange(pair->client_datagrams, pair->accepted_datagrams, "before", 6);
    TEST("in the child every call is FORKED and none hangs or crashes");
    expect_end(start_child(&objects));
    TEST("nor in sixty children, of which each frees everything, while the parent's threads hold locks all the time");
    for (size_t i = 0; i < SENDERS; i++) CHECK(pthread_create(&senders[i], NULL, send_and_wait, &objects) == 0);
    for (size_t i = 0; i < CHILDREN; i++) {
        sleep_us(5 * MILLISECOND_US);
        children[i] = start_child(&objects);
    }
    for (size_t i = 0; i < CHILDREN; i++) expect_end(children[i]);
    __atomic_store_n(&stop, 1, __ATOMIC_RELAXED);
    for (size_t i = 0; i < SENDERS; i++) CHECK(pthread_join(senders[i], NULL) == 0);
    TEST("the parent's session is untouched");
    pair_exchange(pair->accepted_datagrams, pair->client_datagrams, "after", 5);
    free_all(&objects);
    return 0;
}
