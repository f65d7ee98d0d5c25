/* Sends every datagram back to its sender: one thread, one poller, any number of sessions.
 *
 *   echo_server [--host ADDRESS] [--port N] [--count-sessions N]
 *
 * Prints "listening on https://HOST:PORT/ hash HEX". HEX is the hash of its self-signed certificate; a client (or a
 * browser's serverCertificateHashes) needs it to trust the server. Ends on SIGINT, SIGTERM or when N sessions have
 * ended.
 * Exit codes: 0 ended cleanly, 1 something failed, 2 wrong usage. */
#define _POSIX_C_SOURCE 200809L
#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <wtgram.h>

enum { BATCH = 64, EVENTS = 64, TICK_US = 200 * 1000 };
#define LISTENER_COOKIE UINT64_C(0) /* every other cookie is the address of a struct peer */

struct peer {
    wtgram_session session;
    wtgram_transport datagrams;
    uint64_t echoed;
    struct peer *next;
};
static struct peer *peers;

static volatile sig_atomic_t stopping;

static void on_signal(int number) { stopping = number; }

static int failed(const char *what, wtgram_status status)
{
    return fprintf(stderr, "echo_server: %s: %s\n", what, wtgram_status_message(status)), 1;
}

/* Takes one waiting session. WOULD_BLOCK only means that it ended before it was accepted. */
static wtgram_status accept_one(wtgram_server server, wtgram_poller poller)
{
    struct peer *peer = calloc(1, sizeof *peer);
    if (peer == NULL) return WTGRAM_ERROR_LIMIT_REACHED;
    wtgram_status status = wtgram_server_accept(server, 0, &peer->session);
    if (status == WTGRAM_OK) status = wtgram_session_get_transport(peer->session, &peer->datagrams);
    if (status == WTGRAM_OK)
        status =
            wtgram_poller_add(poller, peer->datagrams.id, WTGRAM_READY_READABLE | WTGRAM_READY_CLOSED, (uintptr_t)peer);
    if (status == WTGRAM_OK) return peer->next = peers, peers = peer, WTGRAM_OK;
    wtgram_session_free(peer->session);
    free(peer);
    return status == WTGRAM_ERROR_WOULD_BLOCK ? WTGRAM_OK : status;
}

/* Receives a batch and sends it back: the slices point into the arena that received it. */
static wtgram_status echo_batch(struct peer *peer)
{
    static uint8_t arena[BATCH * 1500];
    wtgram_received_datagram received[BATCH];
    wtgram_slice slices[BATCH];
    size_t count = 0, accepted = 0;
    wtgram_status status =
        wtgram_transport_receive_batch(peer->datagrams, 0, arena, sizeof arena, received, BATCH, &count);
    if (status != WTGRAM_OK) return status == WTGRAM_ERROR_WOULD_BLOCK ? WTGRAM_OK : status;
    for (size_t i = 0; i < count; i++) slices[i] = (wtgram_slice){arena + received[i].offset, received[i].length};
    status = wtgram_transport_send_batch(peer->datagrams, slices, count, NULL, NULL, &accepted);
    peer->echoed += accepted;
    return status == WTGRAM_ERROR_TOO_LARGE ? WTGRAM_OK : status; /* the path back carries less; this one is lost */
}

/* Frees a peer. The poller drops freed objects by itself. */
static void forget(struct peer *peer)
{
    struct peer **link = &peers;
    while (*link != peer) link = &(*link)->next;
    *link = peer->next;
    wtgram_session_free(peer->session);
    free(peer);
}

static void say_goodbye(struct peer *peer)
{
    wtgram_close_info info;
    wtgram_close_info_init(&info);
    wtgram_status status = wtgram_session_get_close_info(peer->session, &info);
    if (status == WTGRAM_OK)
        printf("session closed with code %" PRIu32 " after %" PRIu64 " echoes\n", info.code, peer->echoed);
    if (status != WTGRAM_OK) failed("close", status);
    forget(peer);
}

static int serve(wtgram_server server, wtgram_poller poller, unsigned long count_sessions)
{
    unsigned long closed_sessions = 0;
    wtgram_status status = wtgram_poller_add(poller, server.id, WTGRAM_READY_ACCEPT, LISTENER_COOKIE);
    if (status != WTGRAM_OK) return failed("poller_add", status);
    while (!stopping && (count_sessions == 0 || closed_sessions < count_sessions)) {
        wtgram_event events[EVENTS];
        size_t count = 0;
        status = wtgram_poller_wait(poller, TICK_US, events, EVENTS, &count); /* the timeout is for `stopping` */
        if (status == WTGRAM_ERROR_TIMED_OUT) continue;
        if (status != WTGRAM_OK) return failed("poller_wait", status);
        for (size_t i = 0; i < count; i++) {
            if (events[i].cookie == LISTENER_COOKIE) {
                status = accept_one(server, poller);
                if (status != WTGRAM_OK) return failed("accept", status);
                continue;
            }
            struct peer *peer = (struct peer *)(uintptr_t)events[i].cookie;
            status = echo_batch(peer); /* what arrived before the close comes first, then CLOSED */
            if (status == WTGRAM_OK) continue;
            if (status != WTGRAM_ERROR_CLOSED) failed("echo", status);
            say_goodbye(peer);
            closed_sessions++;
        }
        fflush(stdout);
    }
    return 0;
}

int main(int argc, char **argv)
{
    const char *host = "127.0.0.1";
    unsigned long port = 0, count_sessions = 0;
    for (int i = 1; i < argc; i += 2) {
        const char *value = i + 1 < argc ? argv[i + 1] : NULL;
        if (value && strcmp(argv[i], "--host") == 0) host = value;
        else if (value && strcmp(argv[i], "--port") == 0) port = strtoul(value, NULL, 10);
        else if (value && strcmp(argv[i], "--count-sessions") == 0) count_sessions = strtoul(value, NULL, 10);
        else return fprintf(stderr, "usage: echo_server [--host ADDRESS] [--port N] [--count-sessions N]\n"), 2;
    }
    struct sigaction action = {.sa_handler = on_signal};
    if (sigaction(SIGINT, &action, NULL) != 0 || sigaction(SIGTERM, &action, NULL) != 0) return perror("sigaction"), 1;

    wtgram_transport_options transport;
    wtgram_transport_options_init(&transport);
    transport.outgoing_max_datagrams = 4096; /* a whole burst may go back at once */
    wtgram_listen_options options; /* the default identity is a self-signed certificate */
    wtgram_listen_options_init(&options);
    options.host = host;
    options.port = port <= UINT16_MAX ? (uint32_t)port : UINT32_MAX;
    options.transport = &transport;

    wtgram_server server = {0};
    wtgram_poller poller = {0};
    char detail[256] = "", address[64];
    uint8_t hash[WTGRAM_CERTIFICATE_HASH_LENGTH];
    wtgram_status status = wtgram_server_listen(&options, &server, detail, sizeof detail);
    if (status != WTGRAM_OK) return fprintf(stderr, "echo_server: %s\n", detail), failed("listen", status);
    status = wtgram_server_get_local_address(server, address, sizeof address, &(size_t){0});
    if (status == WTGRAM_OK) status = wtgram_server_get_certificate_hash(server, hash);
    if (status == WTGRAM_OK) status = wtgram_poller_new(&poller);
    if (status != WTGRAM_OK) return failed("start", status);
    printf("listening on https://%s/ hash ", address);
    for (size_t i = 0; i < sizeof hash; i++) printf("%02x%s", hash[i], i + 1 < sizeof hash ? "" : "\n");
    fflush(stdout);

    int exit_code = serve(server, poller, count_sessions);
    while (peers != NULL) forget(peers);
    wtgram_poller_free(poller);
    wtgram_server_free(server);
    status = wtgram_shutdown(2000 * 1000); /* notifies the peers; a peer that has vanished takes more than a second */
    return status == WTGRAM_OK ? exit_code : failed("shutdown", status);
}
