/* The program of every consumer project: it links, it loads, it is the library that it was compiled for. */
#include <stdio.h>
#include <string.h>

#include <wtgram.h>

int main(void)
{
    if (strcmp(wtgram_version(), CONSUMER_EXPECTS_VERSION) != 0) {
        fprintf(stderr, "expected wtgram %s, this is %s\n", CONSUMER_EXPECTS_VERSION, wtgram_version());
        return 1;
    }
    if (strcmp(wtgram_status_name(WTGRAM_OK), "WTGRAM_OK") != 0) {
        fprintf(stderr, "status 0 is called %s\n", wtgram_status_name(WTGRAM_OK));
        return 1;
    }
    printf("linked with wtgram %s\n", wtgram_version());
    return 0;
}
