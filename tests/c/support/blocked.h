/* A call that blocks in its own thread, so that a test can wake it and check how it ended. */
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

/* Starts the thread, and returns when it has had time to be inside the call. Fails if the call has already returned. */
void blocked_start(struct blocked *blocked, wtgram_status (*call)(void *argument), void *argument);
/* Joins the thread and checks the status. If the call never returns, the time limit of the test ends it. */
void blocked_expect(struct blocked *blocked, wtgram_status expected);

#endif
