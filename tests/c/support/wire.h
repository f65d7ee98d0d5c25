/* A wire between one client and the server that can be stopped. What the client sends after that stays in its queue. */
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

/* Like pair_open, with the wire between client and server. */
void wire_open(struct wire *wire, struct pair *pair, const struct pair_options *options);
/* Stops the wire. Returns when the client's queue is empty and new datagrams stay in it. */
void wire_stop(struct wire *wire, const struct pair *pair);
/* Call it after pair_free. */
void wire_close(struct wire *wire);

#endif
