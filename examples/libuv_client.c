/* WebTransport datagrams in a program that already has a libuv loop: one thread, no blocking call in the loop.
 *
 *   libuv_client URL HASH [COUNT]
 *
 * The poller's descriptor is readable while any object in it is ready, so uv_poll_t watches it beside everything
 * else: here a timer that sends a datagram each 10 ms, and handles for SIGINT and SIGTERM.
 * Exit codes: 0 all COUNT came back (default 100), 1 something failed, 2 wrong usage, 3 some did not come back. */
#define _GNU_SOURCE
#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <uv.h>
#include <wtgram.h>

enum { SEND_INTERVAL_MS = 10, GRACE_TICKS = 3000 }; /* waits half a minute at most for the last echoes */

struct client {
    uv_poll_t poll;
    uv_timer_t timer;
    uv_signal_t interrupt, terminate;
    wtgram_poller poller;
    wtgram_transport datagrams;
    uint64_t count, sent, echoed;
    int grace;
    wtgram_status status; /* of the call that ended the loop */
};

static int failed(const char *what, const char *message, const char *detail)
{
    return fprintf(stderr, "libuv_client: %s: %s %s\n", what, message, detail), 1;
}

static int parse_hash(const char *hex, uint8_t hash[WTGRAM_CERTIFICATE_HASH_LENGTH])
{
    for (int i = 0; i < WTGRAM_CERTIFICATE_HASH_LENGTH; i++)
        if (sscanf(hex + 2 * i, "%2hhx", &hash[i]) != 1) return 0; /* a text that ends early does not match either */
    return hex[2 * WTGRAM_CERTIFICATE_HASH_LENGTH] == '\0';
}

static void close_handle(uv_handle_t *handle, void *unused)
{
    (void)unused;
    if (!uv_is_closing(handle)) uv_close(handle, NULL);
}

/* Closes all handles, so uv_run returns. The poller's descriptor stays open: it belongs to the library. */
static void stop(uv_loop_t *loop, wtgram_status status)
{
    ((struct client *)loop->data)->status = status;
    uv_walk(loop, close_handle, NULL);
}

/* Timeout 0: this thread never sleeps in the library. */
static void on_readable(uv_poll_t *poll, int error, int what)
{
    struct client *client = poll->loop->data;
    wtgram_event events[4];
    size_t count = 0, length = 0;
    wtgram_status status = error == 0 ? WTGRAM_OK : WTGRAM_ERROR_IO;
    (void)what; /* UV_READABLE */
    while (status == WTGRAM_OK && (status = wtgram_poller_wait(client->poller, 0, events, 4, &count)) == WTGRAM_OK) {
        char text[64]; /* one object only, so the events need no look: take what there is */
        while ((status = wtgram_transport_try_receive(client->datagrams, (uint8_t *)text, 64, &length)) == WTGRAM_OK) {
            client->echoed++;
            printf("echo: %.*s\n", (int)length, text);
        }
        if (status == WTGRAM_ERROR_WOULD_BLOCK) status = WTGRAM_OK; /* any other status, also CLOSED, ends the loop */
    }
    if (status != WTGRAM_ERROR_WOULD_BLOCK) stop(poll->loop, status);
    else if (client->echoed >= client->count) stop(poll->loop, WTGRAM_OK);
}

static void on_timer(uv_timer_t *timer)
{
    struct client *client = timer->loop->data;
    if (client->sent < client->count) {
        char text[64];
        int length = snprintf(text, sizeof text, "datagram %" PRIu64, client->sent);
        wtgram_status status = wtgram_transport_try_send(client->datagrams, (uint8_t *)text, (size_t)length, NULL);
        if (status == WTGRAM_OK) client->sent++;
        else if (status != WTGRAM_ERROR_WOULD_BLOCK && status != WTGRAM_ERROR_QUEUE_FULL) stop(timer->loop, status);
    } else if (--client->grace == 0) stop(timer->loop, WTGRAM_OK);
}

static void on_signal(uv_signal_t *handle, int number)
{
    (void)number;
    stop(handle->loop, WTGRAM_OK);
}

static int run(struct client *client, int poller_fd)
{
    uv_loop_t loop = {.data = client};
    int error = uv_loop_init(&loop);
    if (error != 0) return failed("uv_loop_init", uv_strerror(error), "");
    error = uv_poll_init(&loop, &client->poll, poller_fd);
    if (error == 0) error = uv_poll_start(&client->poll, UV_READABLE, on_readable);
    if (error == 0) error = uv_timer_init(&loop, &client->timer);
    if (error == 0) error = uv_timer_start(&client->timer, on_timer, SEND_INTERVAL_MS, SEND_INTERVAL_MS);
    if (error == 0) error = uv_signal_init(&loop, &client->interrupt);
    if (error == 0) error = uv_signal_start(&client->interrupt, on_signal, SIGINT);
    if (error == 0) error = uv_signal_init(&loop, &client->terminate);
    if (error == 0) error = uv_signal_start(&client->terminate, on_signal, SIGTERM);
    if (error != 0) stop(&loop, WTGRAM_OK);
    uv_run(&loop, UV_RUN_DEFAULT);
    int close_error = uv_loop_close(&loop);
    if (error != 0 || close_error != 0) return failed("loop", uv_strerror(error != 0 ? error : close_error), "");
    printf("%" PRIu64 " sent, %" PRIu64 " echoed\n", client->sent, client->echoed);
    return client->status != WTGRAM_OK ? 1 : client->echoed == client->count ? 0 : 3;
}

int main(int argc, char **argv)
{
    uint8_t hash[WTGRAM_CERTIFICATE_HASH_LENGTH];
    struct client client = {.count = argc == 4 ? strtoull(argv[3], NULL, 10) : 100, .grace = GRACE_TICKS};
    if (argc < 3 || argc > 4 || client.count == 0 || !parse_hash(argv[2], hash))
        return fprintf(stderr, "usage: libuv_client URL HASH [COUNT]\n"), 2;

    wtgram_connect_options options;
    wtgram_connect_options_init(&options);
    options.trust = WTGRAM_TRUST_CERTIFICATE_HASHES;
    options.certificate_hashes = hash;
    options.certificate_hashes_count = 1;
    wtgram_session session = {0};
    int poller_fd = -1, exit_code = 1;
    char detail[256] = "";
    wtgram_status status = wtgram_session_connect(argv[1], &options, &session, detail, sizeof detail);
    if (status == WTGRAM_OK) status = wtgram_session_get_transport(session, &client.datagrams);
    if (status == WTGRAM_OK) status = wtgram_poller_new(&client.poller);
    if (status == WTGRAM_OK) status = wtgram_poller_add(client.poller, client.datagrams.id, WTGRAM_READY_READABLE, 0);
    if (status == WTGRAM_OK) status = wtgram_poller_get_fd(client.poller, &poller_fd);
    if (status == WTGRAM_OK) exit_code = run(&client, poller_fd), status = client.status;
    if (status != WTGRAM_OK) exit_code = failed("session", wtgram_status_message(status), detail);
    wtgram_poller_free(client.poller);
    wtgram_session_free(session);
    status = wtgram_shutdown(1000 * 1000); /* waits until the server was told */
    return status == WTGRAM_OK ? exit_code : failed("shutdown", wtgram_status_message(status), "");
}
