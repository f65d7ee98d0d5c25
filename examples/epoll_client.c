/* Uses WebTransport datagrams in a program that already has an epoll loop: one thread, no callback, no blocking call,
 * not even to connect.
 *
 *   epoll_client --url URL --hash HEX [--count N]
 *
 * The poller's descriptor is readable while any object in the poller is ready. So it goes into epoll beside all other
 * descriptors: here a timer that sends a datagram every 10 ms, and a descriptor that delivers SIGINT and SIGTERM.
 * Exit codes: 0 all N came back (default 100), 1 something failed, 2 wrong usage, 3 some did not come back. */
#define _GNU_SOURCE
#include <errno.h>
#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/signalfd.h>
#include <sys/timerfd.h>
#include <unistd.h>
#include <wtgram.h>

enum { SEND_INTERVAL_NS = 10 * 1000 * 1000, GRACE_TICKS = 3000 }; /* waits at most half a minute for the last echoes */

static uint64_t sent, echoed;

static int failed(const char *what, wtgram_status status, const char *detail)
{
    return fprintf(stderr, "epoll_client: %s: %s %s\n", what, wtgram_status_message(status), detail), 1;
}

static int parse_hash(const char *hex, uint8_t hash[WTGRAM_CERTIFICATE_HASH_LENGTH])
{
    for (int i = 0; i < WTGRAM_CERTIFICATE_HASH_LENGTH; i++)
        if (sscanf(hex + 2 * i, "%2hhx", &hash[i]) != 1) return 0; /* a text that ends early does not match, either */
    return hex[2 * WTGRAM_CERTIFICATE_HASH_LENGTH] == '\0';
}

/* The attempt to connect has ended, well or not. */
static wtgram_status on_connected(wtgram_poller poller, wtgram_session session, wtgram_transport *datagrams)
{
    char detail[256] = "";
    wtgram_status status = wtgram_session_wait_connected(session, 0, detail, sizeof detail);
    if (status != WTGRAM_OK) fprintf(stderr, "epoll_client: %s\n", detail);
    if (status == WTGRAM_OK) status = wtgram_session_get_transport(session, datagrams);
    if (status == WTGRAM_OK) status = wtgram_poller_add(poller, datagrams->id, WTGRAM_READY_READABLE, 0);
    return status;
}

static wtgram_status on_readable(wtgram_transport datagrams)
{
    char text[64];
    size_t length = 0;
    wtgram_status status;
    while ((status = wtgram_transport_try_receive(datagrams, (uint8_t *)text, sizeof text, &length)) == WTGRAM_OK)
        echoed++, printf("echo: %.*s\n", (int)length, text);
    return status == WTGRAM_ERROR_WOULD_BLOCK ? WTGRAM_OK : status;
}

/* Called when the poller's descriptor is readable. All timeouts are 0: this thread never sleeps in the library. */
static wtgram_status on_poller(wtgram_poller poller, wtgram_session session, wtgram_transport *datagrams)
{
    wtgram_event event;
    size_t count = 0;
    wtgram_status status = wtgram_poller_wait(poller, 0, &event, 1, &count);
    for (; status == WTGRAM_OK; status = wtgram_poller_wait(poller, 0, &event, 1, &count)) {
        status = event.object == session.id ? on_connected(poller, session, datagrams) : on_readable(*datagrams);
        if (status != WTGRAM_OK) return status;
    }
    return status == WTGRAM_ERROR_WOULD_BLOCK ? WTGRAM_OK : status;
}

static wtgram_status on_timer(wtgram_transport datagrams)
{
    char text[64];
    int length = snprintf(text, sizeof text, "datagram %" PRIu64, sent);
    wtgram_status status = wtgram_transport_try_send(datagrams, (const uint8_t *)text, (size_t)length, NULL);
    if (status == WTGRAM_OK) sent++;
    return status == WTGRAM_ERROR_WOULD_BLOCK || status == WTGRAM_ERROR_QUEUE_FULL ? WTGRAM_OK : status;
}

static int watch(int epoll, int fd)
{
    struct epoll_event event = {.events = EPOLLIN, .data.fd = fd};
    return fd < 0 ? -1 : epoll_ctl(epoll, EPOLL_CTL_ADD, fd, &event);
}

static int loop(wtgram_poller poller, int poller_fd, wtgram_session session, uint64_t count)
{
    wtgram_transport datagrams = {0}; /* none before the session is established */
    sigset_t signals;
    struct itimerspec interval = {{0, SEND_INTERVAL_NS}, {0, SEND_INTERVAL_NS}};
    sigemptyset(&signals);
    sigaddset(&signals, SIGINT);
    sigaddset(&signals, SIGTERM);
    int epoll = epoll_create1(EPOLL_CLOEXEC), timer = timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC | TFD_NONBLOCK);
    int signal_fd = sigprocmask(SIG_BLOCK, &signals, NULL) == 0 ? signalfd(-1, &signals, SFD_CLOEXEC) : -1;
    if (watch(epoll, poller_fd) != 0 || watch(epoll, timer) != 0 || watch(epoll, signal_fd) != 0 ||
        timerfd_settime(timer, 0, &interval, NULL) != 0)
        return perror("epoll_client"), 1;
    int stopping = 0, grace = GRACE_TICKS;
    wtgram_status status = WTGRAM_OK;
    while (status == WTGRAM_OK && !stopping && echoed < count && grace > 0) {
        struct epoll_event events[3];
        int ready = epoll_wait(epoll, events, 3, -1);
        if (ready < 0 && errno != EINTR) return perror("epoll_wait"), 1;
        for (int i = 0; i < ready && status == WTGRAM_OK; i++) {
            uint64_t ticks = 0;
            if (events[i].data.fd == poller_fd) status = on_poller(poller, session, &datagrams);
            else if (events[i].data.fd == signal_fd) stopping = 1;
            else if (read(timer, &ticks, sizeof ticks) != (ssize_t)sizeof ticks) continue;
            else if (sent >= count) grace--;
            else if (datagrams.id != 0) status = on_timer(datagrams);
        }
    }
    close(signal_fd), close(timer), close(epoll); /* the poller's descriptor belongs to the library */
    if (status != WTGRAM_OK) return failed("echo", status, "");
    printf("%" PRIu64 " sent, %" PRIu64 " echoed\n", sent, echoed);
    return echoed == count ? 0 : 3;
}

int main(int argc, char **argv)
{
    const char *url = NULL;
    uint8_t hash[WTGRAM_CERTIFICATE_HASH_LENGTH];
    uint64_t count = 100;
    int ok = argc % 2, have_hash = 0;
    for (int i = 1; ok && i + 1 < argc; i += 2) {
        if (strcmp(argv[i], "--url") == 0) url = argv[i + 1];
        else if (strcmp(argv[i], "--hash") == 0) ok = have_hash = parse_hash(argv[i + 1], hash);
        else if (strcmp(argv[i], "--count") == 0) count = strtoull(argv[i + 1], NULL, 10);
        else ok = 0;
    }
    if (!ok || !url || !have_hash || count == 0)
        return fprintf(stderr, "usage: epoll_client --url URL --hash HEX [--count N]\n"), 2;

    wtgram_connect_options options;
    wtgram_connect_options_init(&options);
    options.trust = WTGRAM_TRUST_CERTIFICATE_HASHES;
    options.certificate_hashes = hash;
    options.certificate_hashes_count = 1;
    wtgram_session session = {0};
    wtgram_poller poller = {0};
    int poller_fd = -1;
    char detail[256] = "";
    wtgram_status status = wtgram_session_connect_start(url, &options, &session, detail, sizeof detail);
    if (status == WTGRAM_OK) status = wtgram_poller_new(&poller);
    if (status == WTGRAM_OK) /* reported once, when the attempt has ended */
        status = wtgram_poller_add(poller, session.id, WTGRAM_READY_CONNECTED | WTGRAM_READY_ONE_SHOT, 0);
    if (status == WTGRAM_OK) status = wtgram_poller_get_fd(poller, &poller_fd);
    int exit_code = status == WTGRAM_OK ? loop(poller, poller_fd, session, count) : failed("start", status, detail);
    wtgram_poller_free(poller);
    wtgram_session_free(session);
    status = wtgram_shutdown(1000 * 1000); /* waits until the server is notified */
    return status == WTGRAM_OK ? exit_code : failed("shutdown", status, "");
}
