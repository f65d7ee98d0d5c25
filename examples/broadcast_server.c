/* A room: each datagram from a member goes to all members, itself included. Every second all members get the time and
 * their number.
 *
 *   broadcast_server [--host ADDRESS] [--port N] [--seconds N]
 *
 * Prints "listening on https://HOST:PORT/ hash HEX". HEX is the hash of its self-signed certificate; a client (or a
 * browser's serverCertificateHashes) needs it to trust the server. Ends on SIGINT, SIGTERM or after N seconds.
 * Exit codes: 0 ended cleanly, 1 something failed, 2 wrong usage. */
#define _POSIX_C_SOURCE 200809L
#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <wtgram.h>

enum { BATCH = 64, EVENTS = 64, TICK_US = 100 * 1000 };
#define LISTENER_COOKIE UINT64_C(0) /* every other cookie is the address of a struct member */
struct member {
    wtgram_session session;
    wtgram_transport datagrams;
    struct member *next;
};
static struct member *members;
static volatile sig_atomic_t stopping;
static void on_signal(int number) { stopping = number; }

static int failed(const char *what, wtgram_status status)
{
    return fprintf(stderr, "broadcast_server: %s: %s\n", what, wtgram_status_message(status)), 1;
}

/* Takes one waiting session into the room. WOULD_BLOCK only means that it ended before it was accepted. */
static wtgram_status join(wtgram_server server, wtgram_poller poller, wtgram_broadcaster room)
{
    struct member *member = calloc(1, sizeof *member);
    if (member == NULL) return WTGRAM_ERROR_LIMIT_REACHED;
    wtgram_status status = wtgram_server_accept(server, 0, &member->session);
    if (status == WTGRAM_OK) status = wtgram_session_get_transport(member->session, &member->datagrams);
    if (status == WTGRAM_OK) status = wtgram_broadcaster_add_session(room, member->session);
    if (status == WTGRAM_OK)
        status = wtgram_poller_add(poller, member->datagrams.id, WTGRAM_READY_READABLE | WTGRAM_READY_CLOSED,
                                   (uintptr_t)member);
    if (status == WTGRAM_OK) return member->next = members, members = member, WTGRAM_OK;
    wtgram_session_free(member->session);
    free(member);
    return status == WTGRAM_ERROR_WOULD_BLOCK || status == WTGRAM_ERROR_CLOSED ? WTGRAM_OK : status;
}

/* Frees a member. The broadcaster and the poller drop freed objects by themselves. */
static void leave(struct member *member)
{
    struct member **link = &members;
    while (*link != member) link = &(*link)->next;
    *link = member->next;
    wtgram_session_free(member->session);
    free(member);
}

/* Receives a batch from one member and sends each datagram to all. A member that cannot keep up misses some; the others
 * do not wait for it. */
static wtgram_status pass_on(struct member *member, wtgram_broadcaster room)
{
    static uint8_t arena[BATCH * 1500];
    wtgram_received_datagram received[BATCH];
    size_t count = 0, accepted = 0;
    wtgram_status status =
        wtgram_transport_receive_batch(member->datagrams, 0, arena, sizeof arena, received, BATCH, &count);
    for (size_t i = 0; i < count && status == WTGRAM_OK; i++)
        status = wtgram_broadcaster_broadcast(room, arena + received[i].offset, received[i].length, NULL, NULL, 0, NULL,
                                              &accepted);
    return status == WTGRAM_ERROR_WOULD_BLOCK ? WTGRAM_OK : status;
}

static wtgram_status tell_time(wtgram_broadcaster room)
{
    char text[96];
    size_t count = 0, accepted = 0;
    wtgram_send_options options;
    wtgram_send_options_init(&options);
    options.ttl_us = 1000 * 1000; /* an old time is useless */
    wtgram_status status = wtgram_broadcaster_get_member_count(room, &count);
    if (status != WTGRAM_OK) return status;
    int length = snprintf(text, sizeof text, "{\"time\":%" PRId64 ",\"members\":%zu}", (int64_t)time(NULL), count);
    status =
        wtgram_broadcaster_broadcast(room, (const uint8_t *)text, (size_t)length, &options, NULL, 0, NULL, &accepted);
    if (status == WTGRAM_OK) printf("%zu of %zu members got %s\n", accepted, count, text), fflush(stdout);
    return status;
}

static int serve(wtgram_server server, wtgram_poller poller, wtgram_broadcaster room, long seconds)
{
    time_t start = time(NULL), told = start;
    wtgram_status status = wtgram_poller_add(poller, server.id, WTGRAM_READY_ACCEPT, LISTENER_COOKIE);
    if (status != WTGRAM_OK) return failed("poller_add", status);
    fflush(stdout);
    while (!stopping && (seconds == 0 || time(NULL) - start < seconds)) {
        wtgram_event events[EVENTS];
        size_t count = 0;
        if (time(NULL) != told) {
            told = time(NULL);
            status = tell_time(room);
            if (status != WTGRAM_OK) return failed("broadcast", status);
        }
        status = wtgram_poller_wait(poller, TICK_US, events, EVENTS, &count);
        if (status == WTGRAM_ERROR_TIMED_OUT) continue;
        if (status != WTGRAM_OK) return failed("poller_wait", status);
        for (size_t i = 0; i < count; i++) {
            if (events[i].cookie == LISTENER_COOKIE) {
                status = join(server, poller, room);
                if (status != WTGRAM_OK) return failed("accept", status);
                continue;
            }
            struct member *member = (struct member *)(uintptr_t)events[i].cookie;
            status = pass_on(member, room);
            if (status == WTGRAM_OK) continue;
            if (status != WTGRAM_ERROR_CLOSED) failed("receive", status);
            leave(member);
        }
    }
    return 0;
}

int main(int argc, char **argv)
{
    long seconds = 0;
    wtgram_listen_options options; /* the default identity is a self-signed certificate */
    wtgram_listen_options_init(&options);
    options.host = "127.0.0.1";
    for (int i = 1; i < argc; i += 2) {
        const char *value = i + 1 < argc ? argv[i + 1] : NULL;
        if (value && strcmp(argv[i], "--host") == 0) options.host = value;
        else if (value && strcmp(argv[i], "--port") == 0) options.port = (uint32_t)strtoul(value, NULL, 10);
        else if (value && strcmp(argv[i], "--seconds") == 0) seconds = strtol(value, NULL, 10);
        else return fprintf(stderr, "usage: broadcast_server [--host ADDRESS] [--port N] [--seconds N]\n"), 2;
    }
    struct sigaction action = {.sa_handler = on_signal};
    if (sigaction(SIGINT, &action, NULL) != 0 || sigaction(SIGTERM, &action, NULL) != 0) return perror("sigaction"), 1;
    wtgram_server server = {0};
    wtgram_poller poller = {0};
    wtgram_broadcaster room = {0};
    char detail[256] = "", address[64];
    uint8_t hash[WTGRAM_CERTIFICATE_HASH_LENGTH];
    wtgram_status status = wtgram_server_listen(&options, &server, detail, sizeof detail);
    if (status != WTGRAM_OK) return fprintf(stderr, "broadcast_server: %s\n", detail), failed("listen", status);
    status = wtgram_server_get_local_address(server, address, sizeof address, &(size_t){0});
    if (status == WTGRAM_OK) status = wtgram_server_get_certificate_hash(server, hash);
    if (status == WTGRAM_OK) status = wtgram_poller_new(&poller);
    if (status == WTGRAM_OK) status = wtgram_broadcaster_new(NULL, &room);
    if (status != WTGRAM_OK) return failed("start", status);
    printf("listening on https://%s/ hash ", address);
    for (size_t i = 0; i < sizeof hash; i++) printf("%02x%s", hash[i], i + 1 < sizeof hash ? "" : "\n");
    int exit_code = serve(server, poller, room, seconds);
    while (members != NULL) leave(members);
    wtgram_broadcaster_free(room);
    wtgram_poller_free(poller);
    wtgram_server_free(server);
    status = wtgram_shutdown(2000 * 1000); /* notifies the peers; a peer that has vanished takes more than a second */
    return status == WTGRAM_OK ? exit_code : failed("shutdown", status);
}
