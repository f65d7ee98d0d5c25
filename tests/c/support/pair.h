/* A server with a self-signed certificate on 127.0.0.1 and a client that trusts its hash, in one process. */
#ifndef WTGRAM_TESTS_PAIR_H
#define WTGRAM_TESTS_PAIR_H

#include <wtgram.h>

enum { MILLISECOND_US = 1000, SECOND_US = 1000 * 1000 };
/* For waits that must succeed: long enough for a loaded machine, shorter than the time limit of the test. */
#define PATIENCE_US ((int64_t)60 * SECOND_US)

struct pair {
    wtgram_server server;
    wtgram_session client, accepted;
    wtgram_transport client_datagrams, accepted_datagrams;
    uint8_t hash[WTGRAM_CERTIFICATE_HASH_LENGTH];
    char url[128];
};

/* Options for pair_open; NULL: the library's defaults. Both sides get the same. */
struct pair_options {
    const wtgram_transport_options *transport;
    const wtgram_connection_options *connection;
};

/* Starts only a server: sets pair->server, url and hash; the handles of sessions are zero. */
void pair_listen(struct pair *pair, const struct pair_options *options);
/* The same with these options. The host is 127.0.0.1. */
void pair_listen_with(struct pair *pair, wtgram_listen_options *listen);
/* Connects one more client to the server of the pair and accepts it. */
void pair_connect(const struct pair *pair, const struct pair_options *options, wtgram_session *client,
                  wtgram_session *accepted);
/* The defaults for a client that trusts the server of the pair. */
void pair_trust(wtgram_connect_options *options, const struct pair *pair);
enum { PAIR_DETAIL = 256 };
/* Connects one more client for this path, and returns the status. It trusts the server of the pair; `connect` says what
 * else it wants, or is NULL. `detail` has PAIR_DETAIL bytes or is NULL. */
wtgram_status pair_try_connect(const struct pair *pair, const char *path, const wtgram_connect_options *connect,
                               wtgram_session *client, char *detail);
/* Starts a server, connects a client, and gets the transports of both ends. */
void pair_open(struct pair *pair, const struct pair_options *options);
/* Frees the three handles, which may be zero or stale. */
void pair_free(struct pair *pair);

/* Sends `length` bytes in one direction and checks that they arrive. Loopback loses nothing here, but may take time. */
void pair_exchange(wtgram_transport from, wtgram_transport to, const void *data, size_t length);

int64_t now_us(void); /* monotonic */
void sleep_us(int64_t duration_us);

#endif
