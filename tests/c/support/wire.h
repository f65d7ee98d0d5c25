/* A wire between one client and the server that can be stopped: what is sent then stays in the client's queue. */
#ifndef WTGRAM_TESTS_WIRE_H
#define WTGRAM_TESTS_WIRE_H

#include "pair.h"

#include <pthread.h>

struct wire {
    int front, back; /* sockets towards the client and towards the server */
    int stopped, over;
    pthread_mutex_t mutex;
    pthread_t thread;
};

/* pair_open with the wire between the two. */
void wire_open(struct wire *wire, struct pair *pair, const struct pair_options *options);
/* Carries nothing from now on, and returns when the client's datagrams stay in its queue, which is empty then. */
void wire_stop(struct wire *wire, const struct pair *pair);
/* After pair_free. */
void wire_close(struct wire *wire);

#endif
