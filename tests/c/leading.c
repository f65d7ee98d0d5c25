/* Threads of a program that lead their lane while they wait: signals, small stacks, cancellation. */
#define _POSIX_C_SOURCE 200809L
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>

#include "check.h"
#include "pair.h"

enum { SMALL_STACK_BYTES = 64 * 1024, ROUNDS = 40, DATAGRAMS = 2000, SIZE = 2000 };

static void handle(int number, void (*handler)(int))
{
    struct sigaction action;
    memset(&action, 0, sizeof action);
    action.sa_handler = handler;
    CHECK(sigaction(number, &action, NULL) == 0);
}

/* ---- signals ---- */

static wtgram_transport to_close;
static volatile sig_atomic_t interrupted;

static void count_it(int number)
{
    (void)number;
    interrupted = 1;
}

static void close_it(int number)
{
    (void)number;
    if (wtgram_transport_close(to_close) != WTGRAM_OK) abort();
}

static void *receive_until_closed(void *argument)
{
    wtgram_transport transport = *(wtgram_transport *)argument;
    uint8_t buffer[SIZE];
    size_t length;
    wtgram_status status;
    do {
        status = wtgram_transport_receive(transport, WTGRAM_FOREVER, buffer, sizeof buffer, &length);
    } while (status == WTGRAM_OK);
    CHECK_STATUS(status, WTGRAM_ERROR_CLOSED);
    return NULL;
}

static void signals(void)
{
    TEST("a signal interrupts no wait and loses nothing");
    struct pair pair;
    pthread_t thread;
    pair_open(&pair, NULL);
    handle(SIGUSR1, count_it);
    CHECK(pthread_create(&thread, NULL, receive_until_closed, &pair.accepted_datagrams) == 0);
    for (int i = 0; i < DATAGRAMS; i++) {
        CHECK(pthread_kill(thread, SIGUSR1) == 0);
        CHECK_OK(wtgram_transport_send(pair.client_datagrams, (const uint8_t *)"x", 1, NULL));
        if (i % 100 == 0) sleep_us(1000);
    }
    CHECK_OK(wtgram_transport_close(pair.accepted_datagrams));
    CHECK(pthread_join(thread, NULL) == 0);
    CHECK(interrupted == 1);
    pair_free(&pair);

    TEST("a handler closes what its thread waits for");
    handle(SIGUSR2, close_it);
    for (int round = 0; round < ROUNDS; round++) {
        pair_open(&pair, NULL);
        to_close = pair.accepted_datagrams;
        CHECK(pthread_create(&thread, NULL, receive_until_closed, &pair.accepted_datagrams) == 0);
        /* The signal arrives under traffic, in a sleep, or before the wait begins. */
        for (int i = 0; i < round; i++)
            CHECK_OK(wtgram_transport_send(pair.client_datagrams, (const uint8_t *)"x", 1, NULL));
        if (round % 2 == 0) sleep_us(2000);
        CHECK(pthread_kill(thread, SIGUSR2) == 0);
        CHECK(pthread_join(thread, NULL) == 0);
        pair_free(&pair);
    }
}

/* ---- a small stack ---- */

static void *connect_and_talk(void *unused)
{
    (void)unused;
    struct pair pair;
    pair_open(&pair, NULL);
    uint8_t buffer[SIZE];
    size_t length;
    for (int i = 0; i < ROUNDS; i++) {
        CHECK_OK(wtgram_transport_send(pair.client_datagrams, (const uint8_t *)"there", 5, NULL));
        CHECK_OK(wtgram_transport_receive(pair.accepted_datagrams, PATIENCE_US, buffer, sizeof buffer, &length));
        CHECK_OK(wtgram_transport_send(pair.accepted_datagrams, (const uint8_t *)"back", 4, NULL));
        CHECK_OK(wtgram_transport_receive(pair.client_datagrams, PATIENCE_US, buffer, sizeof buffer, &length));
        CHECK_UINT(length, 4);
    }
    pair_free(&pair);
    return NULL;
}

static int over;

static void *connect_again_and_again(void *unused)
{
    (void)unused;
    while (!__atomic_load_n(&over, __ATOMIC_SEQ_CST)) {
        struct pair pair;
        pair_open(&pair, NULL);
        pair_free(&pair);
    }
    return NULL;
}

static void small_stacks(void)
{
    TEST("a thread with a stack of 64 KiB connects, accepts and receives, while others connect beside it");
    pthread_attr_t attributes;
    pthread_t thread, others;
    CHECK(pthread_attr_init(&attributes) == 0);
    CHECK(pthread_attr_setstacksize(&attributes, SMALL_STACK_BYTES) == 0);
    CHECK(pthread_create(&others, NULL, connect_again_and_again, NULL) == 0);
    for (int round = 0; round < ROUNDS; round++) {
        CHECK(pthread_create(&thread, &attributes, connect_and_talk, NULL) == 0);
        CHECK(pthread_join(thread, NULL) == 0);
    }
    __atomic_store_n(&over, 1, __ATOMIC_SEQ_CST);
    CHECK(pthread_join(others, NULL) == 0);
    CHECK(pthread_attr_destroy(&attributes) == 0);
}

/* ---- cancellation ---- */

static void *receive_for_ever(void *argument)
{
    wtgram_transport transport = *(wtgram_transport *)argument;
    uint8_t buffer[SIZE];
    size_t length;
    for (;;) {
        CHECK_OK(wtgram_transport_receive(transport, WTGRAM_FOREVER, buffer, sizeof buffer, &length));
        pthread_testcancel();
    }
    return NULL;
}

static void cancelled(void)
{
    TEST("a thread is cancelled between two calls, never inside one");
    struct pair pair;
    pair_open(&pair, NULL);
    for (int round = 0; round < ROUNDS; round++) {
        pthread_t thread;
        CHECK(pthread_create(&thread, NULL, receive_for_ever, &pair.accepted_datagrams) == 0);
        if (round % 2 == 0) sleep_us(2000);
        CHECK(pthread_cancel(thread) == 0);
        /* The datagram ends the call that waits. */
        CHECK_OK(wtgram_transport_send(pair.client_datagrams, (const uint8_t *)"x", 1, NULL));
        void *result;
        CHECK(pthread_join(thread, &result) == 0);
        CHECK(result == PTHREAD_CANCELED);
    }
    uint8_t buffer[SIZE];
    size_t length;
    wtgram_status status;
    do {
        status = wtgram_transport_receive(pair.accepted_datagrams, 0, buffer, sizeof buffer, &length);
    } while (status == WTGRAM_OK);
    CHECK_STATUS(status, WTGRAM_ERROR_WOULD_BLOCK);
    pair_free(&pair);
}

/* ---- options ---- */

static void options(void)
{
    TEST("lead is 0 or 1, spin_us is 0 to 1000");
    wtgram_runtime_options runtime;
    wtgram_runtime_options_init(&runtime);
    CHECK_UINT(runtime.lead, 1);
    CHECK(runtime.spin_us == 30);
    runtime.lead = 2;
    CHECK_STATUS(wtgram_runtime_configure(&runtime), WTGRAM_ERROR_INVALID_ARGUMENT);
    wtgram_runtime_options_init(&runtime);
    runtime.spin_us = -1;
    CHECK_STATUS(wtgram_runtime_configure(&runtime), WTGRAM_ERROR_INVALID_ARGUMENT);
    runtime.spin_us = 1001;
    CHECK_STATUS(wtgram_runtime_configure(&runtime), WTGRAM_ERROR_INVALID_ARGUMENT);
    runtime.spin_us = 1000;
    CHECK_OK(wtgram_runtime_configure(&runtime));
    wtgram_runtime_options_init(&runtime);
    CHECK_OK(wtgram_runtime_configure(&runtime));
}

int main(void)
{
    options();
    signals();
    small_stacks();
    cancelled();
    return 0;
}
