/* A server that may stand on the internet: it decides about every client, and sends back what each one sends.
 *
 *   admission_server [--host ADDRESS] [--port N] [--origin ORIGIN] [--certificate FILE --key FILE]
 *
 * Prints "listening on https://HOST:PORT/ hash HEX", as echo_server does.
 * - Web pages may connect from the server's own host, or from ORIGIN ("*": from anywhere). Others get status 403.
 * - Clients must offer the subprotocol "echo-v1". Others get status 400.
 * - A session may send 1000 datagrams in a second, and an address may have 100 sessions.
 * - SIGHUP reads the certificate files again, after a renewal. A self-signed certificate renews itself.
 * - SIGTERM and SIGINT drain: no new clients, and requests that wait get status 503; what is queued leaves, then
 *   sessions are closed. A second one ends it.
 * At the end it prints what it counted.
 * Exit codes: 0 ended cleanly, 1 something failed, 2 wrong usage. */
#define _POSIX_C_SOURCE 200809L
#include <inttypes.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <wtgram.h>

enum { EVENTS = 64, TICK_US = 200 * 1000 };
#define LISTENER_COOKIE UINT64_C(0) /* every other cookie is the address of a struct peer */
static const char *const subprotocol = "echo-v1";

struct peer {
    wtgram_session session;
    wtgram_transport datagrams;
    struct peer *next;
};
static struct peer *peers;

static volatile sig_atomic_t stops, reloads;

static void on_signal(int number)
{
    if (number == SIGHUP) reloads = 1;
    else stops = stops + 1;
}

static int failed(const char *what, wtgram_status status)
{
    return fprintf(stderr, "admission_server: %s: %s\n", what, wtgram_status_message(status)), 1;
}

/* The HTTP status with which a request is refused; 0 to accept it. */
static uint32_t refusal_of(wtgram_request request)
{
    uint32_t status;
    size_t offered, length;
    char name[64];
    /* What the rules say: here only `allowed_origins`. */
    if (wtgram_request_get_refusal(request, &status) != WTGRAM_OK) return 500;
    if (status != 0) return status;
    if (wtgram_request_get_subprotocol_count(request, &offered) != WTGRAM_OK) return 500;
    for (size_t i = 0; i < offered; i++) {
        wtgram_status read = wtgram_request_get_subprotocol(request, i, name, sizeof name, &length);
        if (read == WTGRAM_OK && strcmp(name, subprotocol) == 0) return 0;
    }
    return 400;
}

/* Whether more than one request is in trouble. LIMIT_REACHED means that it was one too many, and it is answered. */
static bool is_fatal(wtgram_status status)
{
    return status != WTGRAM_OK && status != WTGRAM_ERROR_WOULD_BLOCK && status != WTGRAM_ERROR_LIMIT_REACHED;
}

/* Answers one request. A client that has gone in the meantime is no failure. */
static wtgram_status answer_one(wtgram_server server, wtgram_poller poller, bool draining)
{
    wtgram_request request;
    wtgram_status status = wtgram_server_next_request(server, 0, &request);
    if (status != WTGRAM_OK) return is_fatal(status) ? status : WTGRAM_OK;
    struct peer *peer = calloc(1, sizeof *peer);
    uint32_t refusal = peer == NULL || draining ? 503 : refusal_of(request);
    if (refusal != 0) status = wtgram_request_reject(request, refusal, NULL, 0);
    else status = wtgram_request_accept(request, NULL, 0, subprotocol, &peer->session);
    wtgram_request_free(request);
    printf("a request was answered with %" PRIu32 "\n", refusal != 0 ? refusal : 200);
    if (status == WTGRAM_OK && refusal == 0) {
        status = wtgram_session_get_transport(peer->session, &peer->datagrams);
        uint32_t interest = WTGRAM_READY_READABLE | WTGRAM_READY_CLOSED;
        if (status == WTGRAM_OK) status = wtgram_poller_add(poller, peer->datagrams.id, interest, (uintptr_t)peer);
        if (status == WTGRAM_OK) return peer->next = peers, peers = peer, WTGRAM_OK;
        wtgram_session_free(peer->session);
    }
    free(peer);
    return status == WTGRAM_ERROR_CLOSED || !is_fatal(status) ? WTGRAM_OK : status;
}

/* Sends back what waits, as far as the way back takes it. Returns CLOSED after the last datagram of an ended session,
 * and another error if the session is of no more use. */
static wtgram_status echo(const struct peer *peer)
{
    static uint8_t buffer[65536];
    for (;;) {
        size_t length;
        wtgram_status status = wtgram_transport_try_receive(peer->datagrams, buffer, sizeof buffer, &length);
        if (status != WTGRAM_OK) return status == WTGRAM_ERROR_WOULD_BLOCK ? WTGRAM_OK : status;
        status = wtgram_transport_send(peer->datagrams, buffer, length, NULL);
        /* A session that drains sends nothing new, and a large datagram may not fit the way back. */
        if (status != WTGRAM_OK && status != WTGRAM_ERROR_CLOSED && status != WTGRAM_ERROR_TOO_LARGE) return status;
    }
}

static void forget(struct peer *peer)
{
    struct peer **link = &peers;
    while (*link != peer) link = &(*link)->next;
    *link = peer->next;
    wtgram_session_free(peer->session);
    free(peer);
}

/* No new clients from now on. Each session closes when what is queued has left. */
static void drain(wtgram_server server)
{
    static const char reason[] = "the server is restarted";
    (void)wtgram_server_stop_listening(server);
    for (struct peer *peer = peers; peer != NULL; peer = peer->next)
        (void)wtgram_session_drain_and_close_start(peer->session, 0, reason, sizeof reason - 1);
}

/* Some of what the server has counted. */
static void print_stats(wtgram_server server)
{
    wtgram_server_stats stats;
    wtgram_server_stats_init(&stats);
    if (wtgram_server_get_stats(server, &stats) != WTGRAM_OK) return;
    printf("sessions %" PRIu64 "  rejected %" PRIu64 "  datagrams over the rate %" PRIu64 "\n", stats.established,
           stats.rejected, stats.datagrams_over_rate);
}

static int serve(wtgram_server server, wtgram_poller poller, const wtgram_identity_options *identity)
{
    bool draining = false;
    wtgram_status status = wtgram_poller_add(poller, server.id, WTGRAM_READY_ACCEPT, LISTENER_COOKIE);
    if (status != WTGRAM_OK) return failed("poller_add", status);
    while (stops < 2 && !(draining && peers == NULL)) {
        if (stops > 0 && !draining) draining = true, drain(server);
        if (reloads) {
            char detail[256] = "";
            reloads = 0;
            if (wtgram_server_set_identity(server, NULL, identity, detail, sizeof detail) != WTGRAM_OK)
                fprintf(stderr, "admission_server: the certificate stays as it is: %s\n", detail);
        }
        wtgram_event events[EVENTS];
        size_t count = 0;
        status = wtgram_poller_wait(poller, TICK_US, events, EVENTS, &count); /* the timeout is for the signals */
        if (status != WTGRAM_OK && status != WTGRAM_ERROR_TIMED_OUT) return failed("poller_wait", status);
        for (size_t i = 0; i < count; i++) {
            struct peer *peer = (struct peer *)(uintptr_t)events[i].cookie;
            status = peer != NULL ? echo(peer) : answer_one(server, poller, draining);
            /* The end of a session, or an error that its client has caused, such as UNSUPPORTED if it takes no
             * datagrams: no other client must suffer from it. */
            if (status != WTGRAM_OK && peer != NULL) forget(peer);
            else if (status == WTGRAM_ERROR_CLOSED) (void)wtgram_poller_remove(poller, server.id);
            else if (status != WTGRAM_OK) return failed("serve", status);
        }
        fflush(stdout);
    }
    return 0;
}

int main(int argc, char **argv)
{
    const char *host = "127.0.0.1", *origin = NULL, *certificate = NULL, *key = NULL;
    unsigned long port = 0;
    for (int i = 1; i < argc; i += 2) {
        const char *value = i + 1 < argc ? argv[i + 1] : NULL;
        if (value && strcmp(argv[i], "--host") == 0) host = value;
        else if (value && strcmp(argv[i], "--port") == 0) port = strtoul(value, NULL, 10);
        else if (value && strcmp(argv[i], "--origin") == 0) origin = value;
        else if (value && strcmp(argv[i], "--certificate") == 0) certificate = value;
        else if (value && strcmp(argv[i], "--key") == 0) key = value;
        else
            return fprintf(stderr, "usage: admission_server [--host ADDRESS] [--port N] [--origin ORIGIN] "
                                   "[--certificate FILE --key FILE]\n"),
                   2;
    }
    struct sigaction action = {.sa_handler = on_signal};
    if (sigaction(SIGINT, &action, NULL) != 0 || sigaction(SIGTERM, &action, NULL) != 0 ||
        sigaction(SIGHUP, &action, NULL) != 0)
        return perror("sigaction"), 1;

    wtgram_server_limits limits;
    wtgram_server_limits_init(&limits); /* the other defaults are for a public server, too */
    limits.max_sessions_per_address = 100;
    limits.datagrams_per_second = 1000;
    wtgram_identity_options identity;
    wtgram_identity_options_init(&identity);
    if (certificate != NULL) identity.identity = WTGRAM_IDENTITY_PEM_FILES;
    identity.certificate_file = certificate;
    identity.private_key_file = key;
    wtgram_listen_options options;
    wtgram_listen_options_init(&options);
    options.host = host;
    options.port = port <= UINT16_MAX ? (uint32_t)port : UINT32_MAX;
    options.admission = WTGRAM_ADMISSION_REQUESTS;
    options.allowed_origins = &origin;
    options.allowed_origins_count = origin != NULL ? 1 : 0;
    options.limits = &limits;
    options.identity = identity.identity;
    options.certificate_file = certificate;
    options.private_key_file = key;

    wtgram_server server = {0};
    wtgram_poller poller = {0};
    char detail[256] = "", address[64];
    uint8_t hash[WTGRAM_CERTIFICATE_HASH_LENGTH];
    wtgram_status status = wtgram_server_listen(&options, &server, detail, sizeof detail);
    if (status != WTGRAM_OK) return fprintf(stderr, "admission_server: %s\n", detail), failed("listen", status);
    status = wtgram_server_get_local_address(server, address, sizeof address, &(size_t){0});
    if (status == WTGRAM_OK) status = wtgram_server_get_certificate_hash(server, hash);
    if (status == WTGRAM_OK) status = wtgram_poller_new(&poller);
    if (status != WTGRAM_OK) return failed("start", status);
    printf("listening on https://%s/ hash ", address);
    for (size_t i = 0; i < sizeof hash; i++) printf("%02x%s", hash[i], i + 1 < sizeof hash ? "" : "\n");
    fflush(stdout);

    int exit_code = serve(server, poller, &identity);
    print_stats(server);
    while (peers != NULL) forget(peers);
    wtgram_poller_free(poller);
    wtgram_server_free(server);
    status = wtgram_shutdown(2000 * 1000);
    return status == WTGRAM_OK ? exit_code : failed("shutdown", status);
}
