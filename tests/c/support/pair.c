#include "pair.h"
#include "check.h"

#include <time.h>

static const char PATH[] = "/test";

void pair_listen_with(struct pair *pair, wtgram_listen_options *listen)
{
    char detail[PAIR_DETAIL] = "";
    uint16_t port = 0;
    memset(pair, 0, sizeof *pair);
    listen->host = "127.0.0.1";
    wtgram_status status = wtgram_server_listen(listen, &pair->server, detail, sizeof detail);
    if (status != WTGRAM_OK) fprintf(stderr, "listen: %s\n", detail);
    CHECK_OK(status);
    CHECK_OK(wtgram_server_get_certificate_hash(pair->server, pair->hash));
    CHECK_OK(wtgram_server_get_local_port(pair->server, &port));
    snprintf(pair->url, sizeof pair->url, "https://127.0.0.1:%u%s", (unsigned)port, PATH);
}

void pair_listen(struct pair *pair, const struct pair_options *options)
{
    wtgram_listen_options listen;
    wtgram_listen_options_init(&listen);
    listen.handshake_timeout_us = PATIENCE_US;
    if (options != NULL) {
        listen.transport = options->transport;
        listen.connection = options->connection;
    }
    pair_listen_with(pair, &listen);
}

static void trust(wtgram_connect_options *options, const struct pair *pair)
{
    options->timeout_us = PATIENCE_US;
    options->trust = WTGRAM_TRUST_CERTIFICATE_HASHES;
    options->certificate_hashes = pair->hash;
    options->certificate_hashes_count = 1;
}

void pair_trust(wtgram_connect_options *options, const struct pair *pair)
{
    wtgram_connect_options_init(options);
    trust(options, pair);
}

wtgram_status pair_try_connect(const struct pair *pair, const char *path, const wtgram_connect_options *connect,
                               wtgram_session *client, char *detail)
{
    wtgram_connect_options options;
    char url[1024];
    int host = (int)(strlen(pair->url) - strlen(PATH));
    CHECK((size_t)snprintf(url, sizeof url, "%.*s%s", host, pair->url, path) < sizeof url);
    if (connect != NULL) options = *connect;
    else wtgram_connect_options_init(&options);
    trust(&options, pair);
    return wtgram_session_connect(url, &options, client, detail, detail != NULL ? PAIR_DETAIL : 0);
}

void pair_connect(const struct pair *pair, const struct pair_options *options, wtgram_session *client,
                  wtgram_session *accepted)
{
    wtgram_connect_options connect;
    char detail[PAIR_DETAIL] = "";
    wtgram_connect_options_init(&connect);
    if (options != NULL) {
        connect.transport = options->transport;
        connect.connection = options->connection;
    }
    wtgram_status status = pair_try_connect(pair, PATH, &connect, client, detail);
    if (status != WTGRAM_OK) fprintf(stderr, "connect: %s\n", detail);
    CHECK_OK(status);
    CHECK_OK(wtgram_server_accept(pair->server, PATIENCE_US, accepted));
}

void pair_open(struct pair *pair, const struct pair_options *options)
{
    pair_listen(pair, options);
    pair_connect(pair, options, &pair->client, &pair->accepted);
    CHECK_OK(wtgram_session_get_transport(pair->client, &pair->client_datagrams));
    CHECK_OK(wtgram_session_get_transport(pair->accepted, &pair->accepted_datagrams));
}

void pair_free(struct pair *pair)
{
    wtgram_session_free(pair->client);
    wtgram_session_free(pair->accepted);
    wtgram_server_free(pair->server);
}

void pair_exchange(wtgram_transport from, wtgram_transport to, const void *data, size_t length)
{
    static uint8_t buffer[65536];
    size_t received = 0;
    CHECK_OK(wtgram_transport_send(from, (const uint8_t *)data, length, NULL));
    CHECK_OK(wtgram_transport_receive(to, PATIENCE_US, buffer, sizeof buffer, &received));
    CHECK_UINT(received, length);
    if (length > 0) CHECK_BYTES(buffer, data, length);
}

int64_t now_us(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (int64_t)now.tv_sec * SECOND_US + now.tv_nsec / 1000;
}

void sleep_us(int64_t duration_us)
{
    struct timespec duration;
    duration.tv_sec = (time_t)(duration_us / SECOND_US);
    duration.tv_nsec = (long)(duration_us % SECOND_US) * 1000;
    nanosleep(&duration, NULL);
}
