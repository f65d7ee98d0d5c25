/* wtgram-perf measures how fast, how reliable and how prompt datagrams are. It uses only the C interface. See
 * --help. */
#define _POSIX_C_SOURCE 200809L
#include "perf.h"

volatile sig_atomic_t interrupted;

static void on_interrupt(int number)
{
    (void)number;
    interrupted = 1;
}

int main(int argc, char **argv)
{
    struct options options;
    read_options(&options, argc, argv);
    struct sigaction action;
    memset(&action, 0, sizeof action);
    action.sa_handler = on_interrupt;
    sigaction(SIGINT, &action, NULL);
    sigaction(SIGTERM, &action, NULL);
    setvbuf(stdout, NULL, _IOLBF, 0); /* shows each line at once, in a pipe, too */
    int code = options.server ? run_server(&options) : run_client(&options);
    wtgram_status status = wtgram_shutdown(2 * (int64_t)SECOND_US);
    if (status != WTGRAM_OK && code == 0) code = failed("shutting down", status, "");
    return code;
}
