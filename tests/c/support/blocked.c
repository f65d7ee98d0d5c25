#include "blocked.h"
#include "check.h"
#include "pair.h"

static void *run(void *argument)
{
    struct blocked *blocked = (struct blocked *)argument;
    pthread_mutex_lock(&blocked->mutex);
    blocked->started = 1;
    pthread_mutex_unlock(&blocked->mutex);
    wtgram_status status = blocked->call(blocked->argument);
    pthread_mutex_lock(&blocked->mutex);
    blocked->status = status;
    blocked->finished = 1;
    pthread_mutex_unlock(&blocked->mutex);
    return NULL;
}

static int flag(struct blocked *blocked, const int *which)
{
    pthread_mutex_lock(&blocked->mutex);
    int value = *which;
    pthread_mutex_unlock(&blocked->mutex);
    return value;
}

void blocked_start(struct blocked *blocked, wtgram_status (*call)(void *argument), void *argument)
{
    memset(blocked, 0, sizeof *blocked);
    blocked->call = call;
    blocked->argument = argument;
    CHECK(pthread_mutex_init(&blocked->mutex, NULL) == 0);
    CHECK(pthread_create(&blocked->thread, NULL, run, blocked) == 0);
    while (!flag(blocked, &blocked->started)) sleep_us(MILLISECOND_US);
    sleep_us(50 * MILLISECOND_US);
    if (flag(blocked, &blocked->finished)) CHECK_STATUS(blocked->status, WTGRAM_ERROR_TIMED_OUT); /* it did not block */
}

void blocked_expect(struct blocked *blocked, wtgram_status expected)
{
    CHECK(pthread_join(blocked->thread, NULL) == 0);
    CHECK(pthread_mutex_destroy(&blocked->mutex) == 0);
    CHECK_STATUS(blocked->status, expected);
}
