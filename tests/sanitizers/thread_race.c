/* Two threads write without a lock. */
#include <pthread.h>
#include <stddef.h>

static int shared;

static void *write_it(void *argument)
{
    shared++;
    return argument;
}

int main(void)
{
    pthread_t threads[2];
    for (int i = 0; i < 2; i++)
        if (pthread_create(&threads[i], NULL, write_it, NULL) != 0) return 0;
    for (int i = 0; i < 2; i++) pthread_join(threads[i], NULL);
    return 0;
}
