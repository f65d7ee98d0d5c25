#include "wire.h"
#include "check.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

static int flag(struct wire *wire, const int *which)
{
    pthread_mutex_lock(&wire->mutex);
    int value = *which;
    pthread_mutex_unlock(&wire->mutex);
    return value;
}

static void raise_flag(struct wire *wire, int *which)
{
    pthread_mutex_lock(&wire->mutex);
    *which = 1;
    pthread_mutex_unlock(&wire->mutex);
}

static void *carry(void *argument)
{
    struct wire *wire = (struct wire *)argument;
    struct pollfd sockets[2] = {{wire->front, POLLIN, 0}, {wire->back, POLLIN, 0}};
    struct sockaddr_in client;
    socklen_t client_length = 0;
    static char packet[65536];
    while (!flag(wire, &wire->over)) {
        poll(sockets, 2, 10);
        for (int i = 0; i < 2; i++) {
            socklen_t length = sizeof client;
            ssize_t size =
                i == 0 ? recvfrom(wire->front, packet, sizeof packet, MSG_DONTWAIT, (struct sockaddr *)&client, &length)
                       : recv(wire->back, packet, sizeof packet, MSG_DONTWAIT);
            if (size < 0) continue;
            if (i == 0) client_length = length;
            if (flag(wire, &wire->stopped)) continue;
            /* A packet for which the kernel has no space is lost, as on any wire. */
            if (i == 0) (void)send(wire->back, packet, (size_t)size, 0);
            else if (client_length > 0)
                (void)sendto(wire->front, packet, (size_t)size, 0, (struct sockaddr *)&client, client_length);
        }
    }
    return NULL;
}

void wire_open(struct wire *wire, struct pair *pair, const struct pair_options *options)
{
    struct sockaddr_in address;
    socklen_t length = sizeof address;
    unsigned port = 0;
    memset(wire, 0, sizeof *wire);
    pair_listen(pair, options);
    CHECK(sscanf(pair->url, "https://127.0.0.1:%u/", &port) == 1);
    wire->front = socket(AF_INET, SOCK_DGRAM, 0);
    wire->back = socket(AF_INET, SOCK_DGRAM, 0);
    CHECK(wire->front >= 0 && wire->back >= 0);
    memset(&address, 0, sizeof address);
    address.sin_family = AF_INET;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    CHECK(bind(wire->front, (struct sockaddr *)&address, sizeof address) == 0);
    address.sin_port = htons((uint16_t)port);
    CHECK(connect(wire->back, (struct sockaddr *)&address, sizeof address) == 0);
    CHECK(getsockname(wire->front, (struct sockaddr *)&address, &length) == 0);
    pthread_mutex_init(&wire->mutex, NULL);
    CHECK(pthread_create(&wire->thread, NULL, carry, wire) == 0);
    snprintf(pair->url, sizeof pair->url, "https://127.0.0.1:%u/test", (unsigned)ntohs(address.sin_port));
    pair_connect(pair, options, &pair->client, &pair->accepted);
    CHECK_OK(wtgram_session_get_transport(pair->client, &pair->client_datagrams));
    CHECK_OK(wtgram_session_get_transport(pair->accepted, &pair->accepted_datagrams));
}

void wire_stop(struct wire *wire, const struct pair *pair)
{
    static uint8_t zeroes[1000];
    wtgram_transport_stats stats;
    uint64_t sent = 0, cleared = 0;
    int64_t start = now_us(), quiet_since = start;
    raise_flag(wire, &wire->stopped);
    /* The queue drains until the congestion window is used up and QUIC holds as much as it may. */
    while (now_us() - quiet_since < 300 * MILLISECOND_US && now_us() - start < PATIENCE_US) {
        for (int i = 0; i < 50; i++) {
            wtgram_status status = wtgram_transport_try_send(pair->client_datagrams, zeroes, sizeof zeroes, NULL);
            CHECK(status == WTGRAM_OK || status == WTGRAM_ERROR_QUEUE_FULL || status == WTGRAM_ERROR_WOULD_BLOCK);
        }
        sleep_us(5 * MILLISECOND_US);
        wtgram_transport_stats_init(&stats);
        CHECK_OK(wtgram_transport_get_stats(pair->client_datagrams, &stats));
        if (stats.sent != sent) quiet_since = now_us();
        sent = stats.sent;
    }
    CHECK_OK(wtgram_transport_clear_send_buffer(pair->client_datagrams, &cleared));
    CHECK(cleared > 0);
}

void wire_close(struct wire *wire)
{
    raise_flag(wire, &wire->over);
    pthread_join(wire->thread, NULL);
    pthread_mutex_destroy(&wire->mutex);
    close(wire->front);
    close(wire->back);
}
