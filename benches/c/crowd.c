/* A server on one or several lanes, one program thread on one poller, and crowds of clients that echo, are idle, or
 * come and go. Clients have many addresses of loopback, because the system gives each address to one of the server's
 * lanes. */
#define _POSIX_C_SOURCE 200809L
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "ends.h"

enum { EVENTS = 64, BATCH = 64, ADDRESSES = 200, AT_ONCE = 32, MOST_TIMES = 1 << 22 };
static const int64_t QUIET_NS = 500 * 1000 * 1000; /* for the last echoes, or for what is idle to come to rest */
static const int64_t CONNECT_PATIENCE_US = 60 * 1000 * 1000;

/* ---- the server ---- */

static void set_lanes(const char *lanes)
{
    wtgram_runtime_options runtime;
    wtgram_runtime_options_init(&runtime);
    runtime.lanes = (uint32_t)strtoul(lanes, NULL, 10);
    check(wtgram_runtime_configure(&runtime), "runtime", "");
}

/* Sends back all that is there. Returns false when the session has ended. */
static bool echo(wtgram_transport transport, uint64_t *echoed)
{
    static uint8_t arena[ARENA_BYTES];
    static wtgram_received_datagram received[BATCH];
    for (;;) {
        size_t taken;
        wtgram_status status =
            wtgram_transport_receive_batch(transport, 0, arena, sizeof arena, received, BATCH, &taken);
        if (status == WTGRAM_ERROR_CLOSED) return false;
        if (status == WTGRAM_ERROR_WOULD_BLOCK) return true;
        check(status, "receive batch", "");
        for (size_t i = 0; i < taken; i++) {
            status = wtgram_transport_try_send(transport, arena + received[i].offset, (size_t)received[i].length, NULL);
            if (status == WTGRAM_OK) (*echoed)++;
            else if (status != WTGRAM_ERROR_CLOSED && status != WTGRAM_ERROR_WOULD_BLOCK) check(status, "send", "");
        }
    }
}

static void accept_all(wtgram_server server, wtgram_poller poller, uint64_t *accepted)
{
    wtgram_session session;
    while (wtgram_server_accept(server, 0, &session) == WTGRAM_OK) {
        /* The session is the cookie, with which it is freed at its end. */
        check(wtgram_poller_add(poller, datagrams(session).id, WTGRAM_READY_READABLE | WTGRAM_READY_CLOSED, session.id),
              "poller add", "");
        (*accepted)++;
    }
}

/* Prints READY and its memory when this number of sessions is there, ends when the last session has ended after that.
 */
void crowd_server_command(char **arguments)
{
    set_lanes(arguments[0]);
    size_t expected = strtoul(arguments[1], NULL, 10);
    int64_t before_bytes = memory_bytes("VmRSS:"), began_ns = 0;
    wtgram_server server = listen_for(65536, OUTGOING_DATAGRAMS_DEFAULT);
    wtgram_poller poller;
    check(wtgram_poller_new(&poller), "poller", "");
    check(wtgram_poller_add(poller, server.id, WTGRAM_READY_ACCEPT, 0), "poller add", "");
    uint64_t accepted = 0, ended = 0, echoed = 0;
    double up_s = 0, bytes_per_session = 0;
    bool is_ready = false;
    wtgram_event events[EVENTS];
    while (!is_ready || ended < accepted) {
        size_t count;
        check(wtgram_poller_wait(poller, WTGRAM_FOREVER, events, EVENTS, &count), "poller wait", "");
        if (began_ns == 0) began_ns = now_ns();
        for (size_t i = 0; i < count; i++) {
            if (events[i].object == server.id) {
                accept_all(server, poller, &accepted);
            } else if (!echo((wtgram_transport){.id = events[i].object}, &echoed)) {
                wtgram_session_free((wtgram_session){.id = events[i].cookie});
                ended++;
            }
        }
        if (!is_ready && accepted >= expected) {
            is_ready = true;
            up_s = (double)(now_ns() - began_ns) / (double)SECOND_NS;
            sleep_ns(QUIET_NS);
            bytes_per_session = (double)(memory_bytes("VmRSS:") - before_bytes) / (double)accepted;
            printf("READY\n");
            fflush(stdout);
        }
    }
    printf("{\"accepted\": %" PRIu64 ", \"echoed\": %" PRIu64 ", \"up_s\": %.3f, \"bytes_per_session\": %.0f}\n",
           accepted, echoed, up_s, bytes_per_session);
    check(wtgram_shutdown(30 * SECOND_US), "shutdown", "");
}

/* ---- clients ---- */

struct crowd {
    struct connecting connecting;
    unsigned network; /* 127.<network>.0.x: no two processes have an address in common */
    wtgram_poller poller;
};

static void crowd_open(struct crowd *crowd, const char *network, const char *port, const char *hash)
{
    prepare(&crowd->connecting, port, hash, OUTGOING_DATAGRAMS_DEFAULT);
    crowd->connecting.options.timeout_us = CONNECT_PATIENCE_US;
    crowd->network = (unsigned)strtoul(network, NULL, 10);
    check(wtgram_poller_new(&crowd->poller), "poller", "");
}

/* Begins to connect client `number`, for which the poller will report CONNECTED. */
static wtgram_session begin(struct crowd *crowd, size_t number)
{
    char address[32];
    wtgram_session session;
    snprintf(address, sizeof address, "127.%u.0.%u", crowd->network, (unsigned)(1 + number % ADDRESSES));
    crowd->connecting.options.bind_host = address;
    check(wtgram_session_connect_start(crowd->connecting.url, &crowd->connecting.options, &session, NULL, 0), "connect",
          "");
    check(wtgram_poller_add(crowd->poller, session.id, WTGRAM_READY_CONNECTED | WTGRAM_READY_ONE_SHOT, number),
          "poller add", "");
    return session;
}

static wtgram_session *connect_crowd(struct crowd *crowd, size_t count)
{
    wtgram_session *sessions = allocate(count, sizeof *sessions);
    size_t begun = 0, connected = 0;
    wtgram_event events[EVENTS];
    while (connected < count) {
        for (; begun < count && begun - connected < AT_ONCE; begun++) sessions[begun] = begin(crowd, begun);
        size_t ready;
        check(wtgram_poller_wait(crowd->poller, CONNECT_PATIENCE_US, events, EVENTS, &ready), "connected", "");
        for (size_t i = 0; i < ready; i++) {
            check(wtgram_session_wait_connected(sessions[events[i].cookie], 0, NULL, 0), "connect", "");
            check(wtgram_poller_remove(crowd->poller, events[i].object), "poller remove", "");
            connected++;
        }
    }
    return sessions;
}

static int64_t *times_ns;
static size_t times;

static void take_echoes(wtgram_transport transport)
{
    static uint8_t arena[ARENA_BYTES];
    static wtgram_received_datagram received[BATCH];
    size_t taken;
    while (wtgram_transport_receive_batch(transport, 0, arena, sizeof arena, received, BATCH, &taken) == WTGRAM_OK) {
        int64_t now = now_ns();
        for (size_t i = 0; i < taken && times < MOST_TIMES; i++)
            times_ns[times++] = now - (int64_t)get_sequence(arena + received[i].offset);
    }
}

static void send_stamp(wtgram_transport transport, uint8_t *payload, size_t size_bytes, uint64_t *sent)
{
    put_sequence(payload, (uint64_t)now_ns());
    check(wtgram_transport_send(transport, payload, size_bytes, NULL), "send", "");
    (*sent)++;
}

static void take_for(wtgram_poller poller, int64_t until_ns)
{
    wtgram_event events[EVENTS];
    for (int64_t left_ns = until_ns - now_ns(); left_ns > 0; left_ns = until_ns - now_ns()) {
        size_t ready = 0;
        wtgram_status status = wtgram_poller_wait(poller, left_ns / 1000 + 1, events, EVENTS, &ready);
        if (status != WTGRAM_ERROR_TIMED_OUT) check(status, "poller wait", "");
        for (size_t i = 0; i < ready; i++) take_echoes((wtgram_transport){.id = events[i].object});
    }
}

/* Each session sends `rate` datagrams a second, evenly spread; 0: the sessions are idle. */
void crowd_client_command(char **arguments)
{
    struct crowd crowd;
    size_t count = strtoul(arguments[1], NULL, 10);
    double rate = strtod(arguments[2], NULL);
    struct target target = parse_target(arguments + 3);
    crowd_open(&crowd, arguments[0], target.port, target.hash);
    wtgram_session *sessions = connect_crowd(&crowd, count);
    wtgram_transport *transports = allocate(count, sizeof *transports);
    uint8_t *payload = allocate(1, target.size_bytes);
    times_ns = allocate(MOST_TIMES, sizeof *times_ns);
    for (size_t i = 0; i < count; i++) {
        transports[i] = datagrams(sessions[i]);
        check(wtgram_poller_add(crowd.poller, transports[i].id, WTGRAM_READY_READABLE, i), "poller add", "");
    }
    printf("READY\n");
    fflush(stdout);
    uint64_t sent = 0;
    int64_t start_ns = now_ns() + QUIET_NS, pause_ns = rate > 0 ? (int64_t)(1e9 / (rate * (double)count)) : 0;
    take_for(crowd.poller, start_ns);
    if (rate > 0) {
        for (size_t next = 0; now_ns() < start_ns + target.duration_ns; next++) {
            take_for(crowd.poller, start_ns + (int64_t)next * pause_ns);
            send_stamp(transports[next % count], payload, target.size_bytes, &sent);
        }
        take_for(crowd.poller, now_ns() + QUIET_NS);
    } else {
        take_for(crowd.poller, start_ns + target.duration_ns);
    }
    sort_times(times_ns, times);
    printf("{\"sent\": %" PRIu64 ", \"echoes\": %zu, \"p50_us\": %.1f, \"p99_us\": %.1f, \"p999_us\": %.1f}\n", sent,
           times, percentile_us(times_ns, times, 50), percentile_us(times_ns, times, 99),
           times == 0 ? 0.0 : (double)times_ns[(times - 1) * 999 / 1000] / 1000.0);
    check(wtgram_shutdown(60 * SECOND_US), "shutdown", ""); /* closes the sessions */
    free(sessions);
    free(transports);
    free(payload);
}

/* Clients that come and go: so many handshakes a second; each session is closed when it is established. */
void visitors_command(char **arguments)
{
    struct crowd crowd;
    double rate = strtod(arguments[1], NULL);
    struct target target = parse_target(arguments + 2);
    crowd_open(&crowd, arguments[0], target.port, target.hash);
    size_t most = (size_t)(rate * (double)target.duration_ns / 1e9) + 1, failed = 0;
    wtgram_session *sessions = allocate(most, sizeof *sessions);
    int64_t *began_ns = allocate(most, sizeof *began_ns);
    times_ns = allocate(most, sizeof *times_ns);
    int64_t start_ns = now_ns();
    wtgram_event events[EVENTS];
    for (size_t next = 0; times + failed < most;) {
        int64_t due_ns = start_ns + (int64_t)((double)next * 1e9 / rate);
        if (next < most && now_ns() >= due_ns) {
            began_ns[next] = now_ns();
            sessions[next] = begin(&crowd, next);
            next++;
            continue;
        }
        int64_t wait_us = next < most ? (due_ns - now_ns()) / 1000 + 1 : CONNECT_PATIENCE_US;
        size_t ready = 0;
        wtgram_status status = wtgram_poller_wait(crowd.poller, wait_us, events, EVENTS, &ready);
        if (status != WTGRAM_ERROR_TIMED_OUT) check(status, "poller wait", "");
        for (size_t i = 0; i < ready; i++) {
            wtgram_session session = sessions[events[i].cookie];
            if (wtgram_session_wait_connected(session, 0, NULL, 0) == WTGRAM_OK)
                times_ns[times++] = now_ns() - began_ns[events[i].cookie];
            else failed++;
            wtgram_session_free(session);
        }
    }
    sort_times(times_ns, times);
    printf("{\"visits\": %zu, \"failed\": %zu, \"p50_us\": %.1f, \"p99_us\": %.1f}\n", times, failed,
           percentile_us(times_ns, times, 50), percentile_us(times_ns, times, 99));
    check(wtgram_shutdown(30 * SECOND_US), "shutdown", "");
    free(sessions);
    free(began_ns);
}
