#define _POSIX_C_SOURCE 200809L
#include "perf.h"

static const char help[] =
    "wtgram-perf measures WebTransport datagrams between two machines, or on one.\n"
    "\n"
    "  wtgram-perf server [--host ADDRESS] [--port N] [--certificate FILE --key FILE] [--json]\n"
    "      Receives, and reports to its clients what arrives. Without a certificate it makes one and prints the\n"
    "      client's command line with its hash. Default: every address, port 4433. Ends with Ctrl-C.\n"
    "\n"
    "  wtgram-perf client URL [--hash HEX | --insecure] [options]\n"
    "      Sends for a while; a line each second and a summary at the end.\n"
    "      --hash HEX       trust the certificate with this SHA-256 (64 hex digits); else the system's authorities\n"
    "      --insecure       trust anybody; only for tests\n"
    "      --size BYTES     of each datagram, 24 to 1500                  default 1000\n"
    "      --rate N         datagrams per second; 0 is flat out           default 0\n"
    "      --seconds S      how long                                      default 10\n"
    "      --mix A,B,C      shares of priority 0, 1 and 2                 default 1,0,0\n"
    "      --ttl MS         age at which a datagram is dropped unsent     default none\n"
    "      --batch N        datagrams per call, 1 to 512                  default 64\n"
    "      --queue N        datagrams that may wait for sending           default 512\n"
    "      --full POLICY    evict, reject or wait when they do            default wait flat out, else evict\n"
    "      --json           one JSON object per line instead of text\n"
    "\n"
    "  delivered: what the server received of what was sent; rtt: of one datagram in about 10 ms, which the server\n"
    "  sends back, the queue included. Exit codes: 0 done, 1 failed, 2 wrong usage.\n";

static void wrong(const char *what, const char *value)
{
    fprintf(stderr, "wtgram-perf: %s%s%s\nTry `wtgram-perf --help`.\n", what, *value ? ": " : "", value);
    exit(2);
}

static double number(const char *name, const char *text, double least, double most)
{
    char *end = NULL;
    double value = strtod(text, &end);
    if (end == text || *end != '\0' || !(value >= least && value <= most)) {
        char message[100];
        snprintf(message, sizeof message, "%s is a number from %.15g to %.15g, not", name, least, most);
        wrong(message, text);
    }
    return value;
}

static void read_mix(unsigned mix[PRIORITIES], const char *text)
{
    char rest;
    if (sscanf(text, "%u,%u,%u%c", &mix[0], &mix[1], &mix[2], &rest) != 3 || mix[0] > 1000 || mix[1] > 1000 ||
        mix[2] > 1000 || mix[0] + mix[1] + mix[2] == 0)
        wrong("--mix is three shares, for example 80,15,5, not", text);
}

static int policy_of(const char *text)
{
    if (strcmp(text, "evict") == 0) return WTGRAM_FULL_EVICT;
    if (strcmp(text, "reject") == 0) return WTGRAM_FULL_REJECT;
    if (strcmp(text, "wait") == 0) return WTGRAM_FULL_WAIT;
    wrong("--full is evict, reject or wait, not", text);
    return 0;
}

static bool is_flag(const struct options *options, const char *name)
{
    return strcmp(name, "--json") == 0 || (!options->server && strcmp(name, "--insecure") == 0);
}

static void read_flag(struct options *options, const char *name)
{
    if (strcmp(name, "--json") == 0) options->json = true;
    else options->insecure = true;
}

static void read_server_option(struct options *options, const char *name, const char *value)
{
    if (strcmp(name, "--host") == 0) options->host = value;
    else if (strcmp(name, "--port") == 0) options->port = (uint32_t)number(name, value, 0, 65535);
    else if (strcmp(name, "--certificate") == 0) options->certificate = value;
    else if (strcmp(name, "--key") == 0) options->key = value;
    else wrong("the server knows no option", name);
}

static void read_client_option(struct options *options, const char *name, const char *value)
{
    if (strcmp(name, "--hash") == 0) options->hash = value;
    else if (strcmp(name, "--size") == 0) options->size = (uint64_t)number(name, value, sizeof(struct head), MAX_SIZE);
    else if (strcmp(name, "--rate") == 0) options->rate = number(name, value, 0, 1e9);
    else if (strcmp(name, "--seconds") == 0) options->seconds = number(name, value, 0.1, 86400);
    else if (strcmp(name, "--ttl") == 0) options->ttl_ms = number(name, value, 0, 1e9);
    else if (strcmp(name, "--batch") == 0) options->batch = (uint64_t)number(name, value, 1, MAX_BATCH);
    else if (strcmp(name, "--queue") == 0) options->queue = (uint64_t)number(name, value, 1, 1e6);
    else if (strcmp(name, "--mix") == 0) read_mix(options->mix, value);
    else if (strcmp(name, "--full") == 0) options->policy = policy_of(value);
    else wrong("the client knows no option", name);
}

void read_options(struct options *options, int argc, char **argv)
{
    memset(options, 0, sizeof *options);
    options->port = 4433;
    options->size = 1000;
    options->batch = 64;
    options->queue = 512;
    options->seconds = 10;
    options->mix[0] = 1;
    options->policy = -1;
    for (int i = 1; i < argc; i++) {
        if (strcmp(argv[i], "--help") == 0 || strcmp(argv[i], "-h") == 0) {
            fputs(help, stdout);
            exit(0);
        }
    }
    if (argc < 2) {
        fputs(help, stderr);
        exit(2);
    }
    options->server = strcmp(argv[1], "server") == 0;
    if (!options->server && strcmp(argv[1], "client") != 0) wrong("neither `server` nor `client`", argv[1]);
    for (int i = 2; i < argc; i++) {
        if (is_flag(options, argv[i])) read_flag(options, argv[i]);
        else if (strncmp(argv[i], "--", 2) != 0) {
            if (options->server || options->url != NULL) wrong("what is this", argv[i]);
            options->url = argv[i];
        } else if (i + 1 == argc) wrong("a value is missing after", argv[i]);
        else if (options->server) read_server_option(options, argv[i], argv[i + 1]), i++;
        else read_client_option(options, argv[i], argv[i + 1]), i++;
    }
    if (!options->server && options->url == NULL) wrong("the client needs a URL, as the server prints it", "");
    if ((options->certificate == NULL) != (options->key == NULL)) wrong("--certificate and --key go together", "");
    if (options->policy < 0) options->policy = options->rate > 0 ? WTGRAM_FULL_EVICT : WTGRAM_FULL_WAIT;
}
