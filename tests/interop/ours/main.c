/* Our end of the echo test (../echo_test.py says what both ends do), with the C header alone.
 *
 *   peer server [--certificate FILE --key FILE] [--sessions N] [--close-code N] [--close-reason TEXT] [--protocol NAME]
 *               [--seconds S]
 *   peer client URL (--hash HEX | --insecure) [--count N] [--closer client|server] [--close-code N]
 *               [--close-reason TEXT] [--protocols A,B] [--seconds S]
 *
 * The server ends after N sessions (default 1). Both ends end after S seconds
 * (default 60) at the latest. They print one JSON object a line. The exit code is 0 only if everything that was asked
 * for has happened. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "peer.h"

static int usage(const char *problem)
{
    fprintf(stderr, "peer: %s\nusage: peer server [options] | peer client URL (--hash HEX | --insecure) [options]\n",
            problem);
    return 2;
}

/* Splits the text at its commas, in place. */
static void parse_protocols(char *text, struct arguments *arguments)
{
    for (char *name = strtok(text, ","); name != NULL; name = strtok(NULL, ","))
        if (arguments->protocols_count < MAX_PROTOCOLS) arguments->protocols[arguments->protocols_count++] = name;
}

static int parse(int count, char **words, struct arguments *arguments)
{
    if (count < 2) return usage("no role");
    arguments->is_server = strcmp(words[1], "server") == 0;
    if (!arguments->is_server && strcmp(words[1], "client") != 0) return usage("the role is server or client");
    int next = 2;
    if (!arguments->is_server) {
        if (count < 3) return usage("a client needs a URL");
        arguments->url = words[next++];
    }
    for (; next < count; next++) {
        const char *name = words[next];
        if (strcmp(name, "--insecure") == 0) {
            arguments->insecure = true;
            continue;
        }
        if (++next == count) return usage("an option lacks its value");
        char *value = words[next];
        uint32_t number = (uint32_t)strtoul(value, NULL, 10);
        if (strcmp(name, "--certificate") == 0) arguments->certificate = value;
        else if (strcmp(name, "--key") == 0) arguments->key = value;
        else if (strcmp(name, "--hash") == 0) arguments->hash = value;
        else if (strcmp(name, "--close-reason") == 0) arguments->close_reason = value;
        else if (strcmp(name, "--protocol") == 0 || strcmp(name, "--protocols") == 0) parse_protocols(value, arguments);
        else if (strcmp(name, "--closer") == 0) arguments->server_closes = strcmp(value, "server") == 0;
        else if (strcmp(name, "--close-code") == 0) arguments->close_code = number;
        else if (strcmp(name, "--count") == 0) arguments->count = number;
        else if (strcmp(name, "--sessions") == 0) arguments->sessions = number;
        else if (strcmp(name, "--seconds") == 0) arguments->seconds = number;
        else return usage(name);
    }
    return 0;
}

int main(int argc, char **argv)
{
    struct arguments arguments = {.close_reason = "", .count = 1000, .sessions = 1, .seconds = 60};
    int result = parse(argc, argv, &arguments);
    if (result != 0) return result;
    result = arguments.is_server ? run_server(&arguments) : run_client(&arguments);
    /* Gives a close message that is on its way time to leave. */
    wtgram_status status = wtgram_shutdown(5 * SECOND_US);
    if (status != WTGRAM_OK && result == 0) result = fail("shutdown", status, NULL);
    return result;
}
