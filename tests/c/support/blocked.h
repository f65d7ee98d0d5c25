/* A call that blocks in a thread of its own, so that a test can wake it and look at how it ended. */
#ifndef WTGRAM_TESTS_BLOCKED_H
#define WTGRAM_TESTS_BLOCKED_H

#include <pthread.h>
#include <wtgram.h>

struct blocked {
    wtgram_status (*call)(void *argument);
    void *argument;
    pthread_t thread;
    pthread_mutex_t mutex;
    int started, finished;
    wtgram_status status;
};

/* Starts the thread and returns when it has had time to be inside the call; fails if the call returned already. */
void blocked_start(struct blocked *blocked, wtgram_status (*call)(void *argument), void *argument);
/* Joins and checks the status. A call that does not come back hangs; the limit of the whole test ends that. */
void blocked_expect(struct blocked *blocked, wtgram_status expected);

#endif
