/* A program that was compiled against the first release of this SONAME: its structs are shorter than the library's.
 * Structs may grow without a new SONAME, so it must work with the library of today. */
#include "frozen/wtgram.h"

#include <dlfcn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define CHECK(condition)                                                                                               \
    do {                                                                                                               \
        if (!(condition)) {                                                                                            \
            fprintf(stderr, "%s:%d: failed: %s\n", __FILE__, __LINE__, #condition);                                    \
            exit(1);                                                                                                   \
        }                                                                                                              \
    } while (0)

enum { SECOND_US = 1000 * 1000, GUARD = 0x5a };
static const int64_t PATIENCE_US = (int64_t)60 * SECOND_US;

/* The sizes of the first release, in bytes. */
_Static_assert(sizeof(wtgram_transport_options) == 72, "frozen");
_Static_assert(sizeof(wtgram_connect_options) == 96, "frozen");
_Static_assert(sizeof(wtgram_listen_options) == 120, "frozen");
_Static_assert(sizeof(wtgram_monitor_options) == 72, "frozen");
_Static_assert(sizeof(wtgram_reliability_stats) == 184, "frozen");

/* A struct of the program and what lies behind it, which the library must not touch. */
#define GUARDED(type)                                                                                                  \
    struct {                                                                                                           \
        type value;                                                                                                    \
        unsigned char guard[256];                                                                                      \
    }

static void check_guard(const unsigned char *guard, size_t size)
{
    for (size_t i = 0; i < size; i++) CHECK(guard[i] == GUARD);
}

/* The exported function of this name is for programs without the header. It writes the struct of the first release. */
static void the_exported_init_writes_the_first_version(void)
{
    GUARDED(wtgram_reliability_stats) one;
    void (*init)(void *) = NULL;
    void *found = dlsym(RTLD_DEFAULT, "wtgram_reliability_stats_init");
    CHECK(found != NULL);
    memcpy(&init, &found, sizeof init);
    memset(&one, GUARD, sizeof one);
    init(&one.value);
    CHECK(one.value.struct_size == sizeof one.value);
    check_guard(one.guard, sizeof one.guard);
}

static void a_size_that_no_version_has_is_refused(wtgram_transport transport)
{
    wtgram_monitor_options options;
    wtgram_monitor monitor;
    wtgram_monitor_options_init_sized(&options, sizeof options - 1);
    CHECK(options.struct_size == 0);
    CHECK(wtgram_monitor_open(transport, &options, &monitor) == WTGRAM_ERROR_INVALID_ARGUMENT);
}

int main(void)
{
    GUARDED(wtgram_transport_options) transport_options;
    GUARDED(wtgram_connect_options) connect_options;
    GUARDED(wtgram_monitor_options) monitor_options;
    GUARDED(wtgram_reliability_stats) stats;
    GUARDED(wtgram_listen_options) listen_options;
    wtgram_server server;
    wtgram_session client, accepted;
    wtgram_transport transport;
    wtgram_reliability one, other;
    wtgram_monitor monitor;
    uint8_t hash[WTGRAM_CERTIFICATE_HASH_LENGTH], buffer[16];
    uint16_t port;
    size_t length;
    uint64_t max_datagrams, max_bytes;
    char url[64];

    memset(&transport_options, GUARD, sizeof transport_options);
    memset(&connect_options, GUARD, sizeof connect_options);
    memset(&listen_options, GUARD, sizeof listen_options);
    memset(&monitor_options, GUARD, sizeof monitor_options);
    memset(&stats, GUARD, sizeof stats);

    wtgram_transport_options_init(&transport_options.value);
    CHECK(transport_options.value.struct_size == sizeof transport_options.value);
    check_guard(transport_options.guard, sizeof transport_options.guard);
    transport_options.value.outgoing_max_datagrams = 7;

    wtgram_listen_options_init(&listen_options.value);
    CHECK(listen_options.value.struct_size == sizeof listen_options.value);
    check_guard(listen_options.guard, sizeof listen_options.guard);
    listen_options.value.host = "127.0.0.1";
    listen_options.value.transport = &transport_options.value;
    CHECK(wtgram_server_listen(&listen_options.value, &server, NULL, 0) == WTGRAM_OK);
    CHECK(wtgram_server_get_certificate_hash(server, hash) == WTGRAM_OK);
    CHECK(wtgram_server_get_local_port(server, &port) == WTGRAM_OK);
    snprintf(url, sizeof url, "https://127.0.0.1:%u/", (unsigned)port);

    wtgram_connect_options_init(&connect_options.value);
    check_guard(connect_options.guard, sizeof connect_options.guard);
    connect_options.value.trust = WTGRAM_TRUST_CERTIFICATE_HASHES;
    connect_options.value.certificate_hashes = hash;
    connect_options.value.certificate_hashes_count = 1;
    CHECK(wtgram_session_connect(url, &connect_options.value, &client, NULL, 0) == WTGRAM_OK);
    CHECK(wtgram_server_accept(server, PATIENCE_US, &accepted) == WTGRAM_OK);

    /* The fields that it knows hold; the fields that came later have their defaults. */
    CHECK(wtgram_session_get_transport(accepted, &transport) == WTGRAM_OK);
    CHECK(wtgram_transport_get_outgoing_limits(transport, &max_datagrams, &max_bytes) == WTGRAM_OK);
    CHECK(max_datagrams == 7);

    wtgram_monitor_options_init(&monitor_options.value);
    check_guard(monitor_options.guard, sizeof monitor_options.guard);
    CHECK(wtgram_monitor_open(transport, &monitor_options.value, &monitor) == WTGRAM_OK);
    wtgram_monitor_free(monitor);
    a_size_that_no_version_has_is_refused(transport);
    the_exported_init_writes_the_first_version();

    CHECK(wtgram_reliability_open_over_session(client, NULL, &one) == WTGRAM_OK);
    CHECK(wtgram_reliability_open_over_session(accepted, NULL, &other) == WTGRAM_OK);
    CHECK(wtgram_reliability_send(one, (const uint8_t *)"hello", 5, NULL) == WTGRAM_OK);
    CHECK(wtgram_reliability_receive(other, PATIENCE_US, buffer, sizeof buffer, &length) == WTGRAM_OK);
    CHECK(length == 5 && memcmp(buffer, "hello", 5) == 0);

    /* The library fills what the program has, and nothing behind it. */
    wtgram_reliability_stats_init(&stats.value);
    CHECK(wtgram_reliability_get_stats(other, &stats.value) == WTGRAM_OK);
    CHECK(stats.value.struct_size == sizeof stats.value);
    CHECK(stats.value.received == 1 && stats.value.delivered == 1);
    check_guard(stats.guard, sizeof stats.guard);

    wtgram_reliability_free(one);
    wtgram_reliability_free(other);
    wtgram_session_free(client);
    wtgram_session_free(accepted);
    wtgram_server_free(server);
    CHECK(wtgram_shutdown(PATIENCE_US) == WTGRAM_OK);
    puts("a program of the first release works with this library");
    return 0;
}
