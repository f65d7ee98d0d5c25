/* The C ends of `make bench`: they measure what the C interface delivers. A server first prints LISTENING <port>
 * <hash>; each end finally prints one line of JSON. ends.h describes what they share; peers/ does the same over raw
 * quinn. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "ends.h"

static const struct command {
    const char *name;
    void (*run)(char **arguments);
    int arguments;
    const char *usage;
} COMMANDS[] = {
    {"receive", receive_command, 1, "batch|single"},
    {"send", send_command, 5, "batch|single <port> <hash> <size_bytes> <seconds>"},
    {"echo-server", echo_server_command, 1, "as-shipped|no-spin|poller"},
    {"echo-client", echo_client_command, 5, "as-shipped|no-spin|poller <port> <hash> <size_bytes> <seconds>"},
    {"sessions-receive", sessions_receive_command, 1, "<sessions>"},
    {"sessions-send", sessions_send_command, 5, "<sessions> <port> <hash> <size_bytes> <seconds>"},
    {"crowd-server", crowd_server_command, 2, "<lanes> <sessions>"},
    {"crowd-client", crowd_client_command, 7, "<network> <sessions> <rate> <port> <hash> <size_bytes> <seconds>"},
    {"visitors", visitors_command, 6, "<network> <rate> <port> <hash> <size_bytes> <seconds>"},
    {"flood-server", flood_server_command, 2, "<size_bytes> <seconds>"},
    {"flood-client", flood_client_command, 4, "<port> <hash> <size_bytes> <seconds>"},
    {"urgent-receive", urgent_receive_command, 0, ""},
    {"urgent-send", urgent_send_command, 4, "<port> <hash> <size_bytes> <seconds>"},
    {"broadcast", broadcast_command, 3, "<sessions> <rounds> <size_bytes>"},
    {"join", join_command, 3, "<port> <hash> <sessions>"},
};

int main(int argc, char **argv)
{
    size_t count = sizeof COMMANDS / sizeof *COMMANDS;
    for (size_t i = 0; i < count; i++) {
        if (argc == 2 + COMMANDS[i].arguments && strcmp(argv[1], COMMANDS[i].name) == 0) {
            COMMANDS[i].run(argv + 2);
            return EXIT_SUCCESS;
        }
    }
    for (size_t i = 0; i < count; i++)
        fprintf(stderr, "%s wtgram_bench %s %s\n", i == 0 ? "usage:" : "      ", COMMANDS[i].name, COMMANDS[i].usage);
    return 2;
}
