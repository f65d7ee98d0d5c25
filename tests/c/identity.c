/* The identities of a server change while it runs: sessions go on, new connections get the new one. */
#include "certificates.h"
#include "check.h"
#include "pair.h"

#include <pthread.h>

static struct certificates certificates;

/* Datagrams both ways between the ends of a session, from another thread, until it is told to stop. */
struct traffic {
    const struct pair *pair;
    pthread_mutex_t mutex;
    pthread_t thread;
    uint64_t exchanges;
    int over;
};

static uint64_t exchanges(struct traffic *traffic)
{
    pthread_mutex_lock(&traffic->mutex);
    uint64_t count = traffic->exchanges;
    pthread_mutex_unlock(&traffic->mutex);
    return count;
}

static void *exchange(void *argument)
{
    struct traffic *traffic = (struct traffic *)argument;
    int over = 0;
    while (!over) {
        pair_exchange(traffic->pair->client_datagrams, traffic->pair->accepted_datagrams, "there", 5);
        pair_exchange(traffic->pair->accepted_datagrams, traffic->pair->client_datagrams, "back", 4);
        pthread_mutex_lock(&traffic->mutex);
        traffic->exchanges++;
        over = traffic->over;
        pthread_mutex_unlock(&traffic->mutex);
    }
    return NULL;
}

static void traffic_start(struct traffic *traffic, const struct pair *pair)
{
    traffic->pair = pair;
    traffic->exchanges = 0;
    traffic->over = 0;
    CHECK(pthread_mutex_init(&traffic->mutex, NULL) == 0);
    CHECK(pthread_create(&traffic->thread, NULL, exchange, traffic) == 0);
}

static void traffic_goes_on(struct traffic *traffic)
{
    uint64_t before = exchanges(traffic);
    for (int i = 0; i < 60000 && exchanges(traffic) < before + 10; i++) sleep_us(MILLISECOND_US);
    CHECK(exchanges(traffic) >= before + 10);
}

static void traffic_stop(struct traffic *traffic)
{
    pthread_mutex_lock(&traffic->mutex);
    traffic->over = 1;
    pthread_mutex_unlock(&traffic->mutex);
    CHECK(pthread_join(traffic->thread, NULL) == 0);
    pthread_mutex_destroy(&traffic->mutex);
}

static wtgram_connect_options trusting(const uint8_t *hash)
{
    wtgram_connect_options options;
    wtgram_connect_options_init(&options);
    options.timeout_us = PATIENCE_US;
    options.trust = WTGRAM_TRUST_CERTIFICATE_HASHES;
    options.certificate_hashes = hash;
    options.certificate_hashes_count = 1;
    return options;
}

static wtgram_connect_options trusting_authority(void)
{
    wtgram_connect_options options;
    wtgram_connect_options_init(&options);
    options.timeout_us = PATIENCE_US;
    options.trust = WTGRAM_TRUST_CA;
    options.ca_file = certificates.ca;
    return options;
}

static wtgram_identity_options from_files(const char *certificate, const char *key)
{
    wtgram_identity_options identity;
    wtgram_identity_options_init(&identity);
    identity.identity = WTGRAM_IDENTITY_PEM_FILES;
    identity.certificate_file = certificate;
    identity.private_key_file = key;
    return identity;
}

/* Connects to `host` and closes again. */
static wtgram_status attempt(wtgram_server server, const char *host, const wtgram_connect_options *options)
{
    char url[96], detail[256] = "";
    uint16_t port = 0;
    wtgram_session client;
    CHECK_OK(wtgram_server_get_local_port(server, &port));
    snprintf(url, sizeof url, "https://%s:%u/identity", host, (unsigned)port);
    wtgram_status status = wtgram_session_connect(url, options, &client, detail, sizeof detail);
    CHECK((status == WTGRAM_OK) == (detail[0] == 0));
    wtgram_session_free(client);
    return status;
}

static void set(wtgram_server server, const char *name, const wtgram_identity_options *identity)
{
    char detail[256] = "";
    wtgram_status status = wtgram_server_set_identity(server, name, identity, detail, sizeof detail);
    if (status != WTGRAM_OK) fprintf(stderr, "set_identity: %s\n", detail);
    CHECK_OK(status);
}

/* Sets the identity; the server's hash and what clients are shown change, and the running session goes on. `trust` is
 * that of new clients; NULL: by hash. */
static void change(struct pair *pair, struct traffic *traffic, const wtgram_identity_options *identity,
                   const wtgram_connect_options *trust)
{
    uint8_t hash[WTGRAM_CERTIFICATE_HASH_LENGTH];
    set(pair->server, NULL, identity);
    CHECK_OK(wtgram_server_get_certificate_hash(pair->server, hash));
    CHECK(memcmp(hash, pair->hash, sizeof hash) != 0);
    wtgram_connect_options old = trusting(pair->hash), new_one = trusting(hash);
    CHECK_STATUS(attempt(pair->server, "127.0.0.1", &old), WTGRAM_ERROR_CERTIFICATE_HASH_MISMATCH);
    CHECK_OK(attempt(pair->server, "127.0.0.1", trust != NULL ? trust : &new_one));
    memcpy(pair->hash, hash, sizeof hash);
    traffic_goes_on(traffic);
}

static void under_traffic(void)
{
    static const char *const names[] = {"somebody.example"};
    struct pair pair;
    struct traffic traffic;
    size_t certificate_length = 0, key_length = 0;
    uint32_t state = 0;
    wtgram_connect_options by_authority = trusting_authority();
    wtgram_identity_options identity;

    pair_open(&pair, NULL);
    traffic_start(&traffic, &pair);
    TEST("a new self-signed identity");
    change(&pair, &traffic, NULL, NULL);
    wtgram_identity_options_init(&identity);
    identity.self_signed_names = names;
    identity.self_signed_names_count = 1;
    change(&pair, &traffic, &identity, NULL);
    TEST("an identity from files");
    identity = from_files(certificates.good, certificates.good_key);
    change(&pair, &traffic, &identity, &by_authority);
    TEST("an identity from memory, which the library copies");
    change(&pair, &traffic, NULL, NULL);
    uint8_t *certificate = read_file(certificates.good, &certificate_length);
    uint8_t *key = read_file(certificates.good_key, &key_length);
    wtgram_identity_options_init(&identity);
    identity.identity = WTGRAM_IDENTITY_PEM_BYTES;
    identity.certificate_pem = certificate;
    identity.certificate_pem_length = certificate_length;
    identity.private_key_pem = key;
    identity.private_key_pem_length = key_length;
    change(&pair, &traffic, &identity, &by_authority);
    memset(certificate, 0, certificate_length);
    memset(key, 0, key_length);
    free(certificate);
    free(key);
    CHECK_OK(attempt(pair.server, "127.0.0.1", &by_authority));
    TEST("the session that was there before has lost nothing");
    traffic_goes_on(&traffic);
    traffic_stop(&traffic);
    CHECK_OK(wtgram_session_get_state(pair.client, &state));
    CHECK_UINT(state, WTGRAM_SESSION_CONNECTED);
    pair_free(&pair);
}

static void bad_ones_change_nothing(void)
{
    struct pair pair;
    char detail[256];
    uint8_t hash[WTGRAM_CERTIFICATE_HASH_LENGTH];
    const struct {
        const char *name, *certificate, *key;
        wtgram_status status;
    } bad[] = {
        {NULL, certificates.good, certificates.expired_key, WTGRAM_ERROR_KEY_MISMATCH},
        {NULL, "/no/such/file.pem", certificates.good_key, WTGRAM_ERROR_IDENTITY},
        {NULL, certificates.good_key, certificates.good_key, WTGRAM_ERROR_IDENTITY},
        {"localhost", certificates.good, certificates.expired_key, WTGRAM_ERROR_KEY_MISMATCH},
        {"localhost", certificates.other_name, certificates.other_name_key, WTGRAM_ERROR_CERTIFICATE_NAME_MISMATCH},
        {"127.0.0.1", certificates.good, certificates.good_key, WTGRAM_ERROR_INVALID_ARGUMENT},
        {"not a name", certificates.good, certificates.good_key, WTGRAM_ERROR_INVALID_ARGUMENT},
        {NULL, NULL, NULL, WTGRAM_ERROR_INVALID_ARGUMENT},
    };
    TEST("an identity that cannot be used changes nothing and says why");
    pair_listen(&pair, NULL);
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        wtgram_identity_options identity = from_files(bad[i].certificate, bad[i].key);
        memset(detail, 0, sizeof detail);
        CHECK_STATUS(wtgram_server_set_identity(pair.server, bad[i].name, &identity, detail, sizeof detail),
                     bad[i].status);
        CHECK(detail[0] != 0);
    }
    wtgram_identity_options identity;
    wtgram_identity_options_init(&identity);
    identity.identity = 77;
    CHECK_STATUS(wtgram_server_set_identity(pair.server, NULL, &identity, NULL, 0), WTGRAM_ERROR_INVALID_ARGUMENT);
    CHECK_OK(wtgram_server_get_certificate_hash(pair.server, hash));
    CHECK_BYTES(hash, pair.hash, sizeof hash);
    wtgram_connect_options options = trusting(hash);
    CHECK_OK(attempt(pair.server, "127.0.0.1", &options));
    CHECK_OK(attempt(pair.server, "localhost", &options));
    CHECK_OK(wtgram_server_close(pair.server));
    CHECK_STATUS(wtgram_server_set_identity(pair.server, NULL, NULL, NULL, 0), WTGRAM_ERROR_CLOSED);
    pair_free(&pair);
}

static void by_name(void)
{
    struct pair pair;
    wtgram_connect_options by_authority = trusting_authority();
    wtgram_identity_options identity = from_files(certificates.good, certificates.good_key);
    TEST("a client is shown the identity of the name that it asks for, and the default if there is none");
    pair_listen(&pair, NULL);
    CHECK_STATUS(attempt(pair.server, "localhost", &by_authority), WTGRAM_ERROR_CERTIFICATE_UNTRUSTED);
    set(pair.server, "localhost", &identity);
    CHECK_OK(attempt(pair.server, "localhost", &by_authority));
    CHECK_STATUS(attempt(pair.server, "127.0.0.1", &by_authority), WTGRAM_ERROR_CERTIFICATE_UNTRUSTED);
    TEST("the same call changes it later");
    set(pair.server, NULL, &identity);
    set(pair.server, "localhost", NULL);
    CHECK_OK(attempt(pair.server, "127.0.0.1", &by_authority));
    CHECK_STATUS(attempt(pair.server, "localhost", &by_authority), WTGRAM_ERROR_CERTIFICATE_UNTRUSTED);
    TEST("a name without an identity of its own gets the default");
    CHECK_OK(wtgram_server_remove_identity(pair.server, "LOCALHOST"));
    CHECK_OK(attempt(pair.server, "localhost", &by_authority));
    CHECK_STATUS(wtgram_server_remove_identity(pair.server, "localhost"), WTGRAM_ERROR_INVALID_STATE);
    CHECK_STATUS(wtgram_server_remove_identity(pair.server, "not a name"), WTGRAM_ERROR_INVALID_ARGUMENT);
    pair_free(&pair);
}

static void by_name_from_the_start(void)
{
    enum { LENGTH = WTGRAM_CERTIFICATE_HASH_LENGTH };
    wtgram_identity_options identity = from_files(certificates.good, certificates.good_key);
    wtgram_named_identity named[2];
    wtgram_listen_options listen;
    wtgram_connect_options by_authority = trusting_authority();
    wtgram_server server, other;
    uint8_t hashes[3 * LENGTH], single[LENGTH];
    char detail[256] = "";
    size_t count = 0;
    memset(named, 0, sizeof named);
    named[0].server_name = "localhost";
    named[0].identity = &identity;
    named[1].server_name = "*.other.example"; /* self-signed */
    wtgram_listen_options_init(&listen);
    listen.host = "127.0.0.1";
    listen.named_identities = named;
    listen.named_identities_count = 2;
    TEST("identities by name are there before the first client comes");
    CHECK_OK(wtgram_server_listen(&listen, &server, NULL, 0));
    CHECK_OK(attempt(server, "localhost", &by_authority));
    CHECK_STATUS(attempt(server, "127.0.0.1", &by_authority), WTGRAM_ERROR_CERTIFICATE_UNTRUSTED);
    TEST("the hashes of each name");
    CHECK_OK(wtgram_server_get_certificate_hashes(server, NULL, hashes, 3, &count));
    CHECK_UINT(count, 2);
    CHECK_OK(wtgram_server_get_certificate_hash(server, single));
    CHECK_BYTES(hashes, single, LENGTH);
    CHECK_OK(wtgram_server_get_next_certificate_hash(server, single));
    CHECK_BYTES(hashes + LENGTH, single, LENGTH);
    wtgram_connect_options by_hash = trusting(hashes);
    by_hash.certificate_hashes_count = count;
    CHECK_OK(attempt(server, "127.0.0.1", &by_hash));
    CHECK_STATUS(attempt(server, "localhost", &by_hash), WTGRAM_ERROR_CERTIFICATE_HASH_MISMATCH);
    CHECK_OK(wtgram_server_get_certificate_hashes(server, "a.other.example", hashes, 2, &count));
    CHECK_UINT(count, 2);
    CHECK(memcmp(hashes + LENGTH, single, LENGTH) != 0);
    CHECK_OK(wtgram_server_get_certificate_hashes(server, "localhost", hashes, 1, &count));
    CHECK_UINT(count, 1);
    CHECK_STATUS(wtgram_server_get_certificate_hashes(server, NULL, hashes, 1, &count), WTGRAM_ERROR_BUFFER_TOO_SMALL);
    CHECK_UINT(count, 2);
    wtgram_server_free(server);
    TEST("a certificate for another name is refused by listen");
    named[1].identity = &identity;
    CHECK_STATUS(wtgram_server_listen(&listen, &other, detail, sizeof detail), WTGRAM_ERROR_CERTIFICATE_NAME_MISMATCH);
    CHECK(strstr(detail, "other.example") != NULL);
    named[1].server_name = NULL;
    CHECK_STATUS(wtgram_server_listen(&listen, &other, NULL, 0), WTGRAM_ERROR_INVALID_ARGUMENT);
}

static void the_next_hash(void)
{
    struct pair pair;
    uint8_t next[WTGRAM_CERTIFICATE_HASH_LENGTH], hash[WTGRAM_CERTIFICATE_HASH_LENGTH];
    wtgram_identity_options identity = from_files(certificates.good, certificates.good_key);
    TEST("a self-signed identity says in advance what its next certificate will be");
    pair_listen(&pair, NULL);
    CHECK_OK(wtgram_server_get_next_certificate_hash(pair.server, next));
    CHECK(memcmp(next, pair.hash, sizeof next) != 0);
    CHECK_OK(wtgram_server_get_next_certificate_hash(pair.server, hash));
    CHECK_BYTES(hash, next, sizeof next);
    set(pair.server, NULL, NULL);
    CHECK_OK(wtgram_server_get_next_certificate_hash(pair.server, hash));
    CHECK(memcmp(hash, next, sizeof next) != 0);
    TEST("another identity has no next certificate");
    set(pair.server, NULL, &identity);
    CHECK_STATUS(wtgram_server_get_next_certificate_hash(pair.server, hash), WTGRAM_ERROR_INVALID_STATE);
    pair_free(&pair);
}

int main(void)
{
    certificates_make(&certificates);
    under_traffic();
    bad_ones_change_nothing();
    by_name();
    by_name_from_the_start();
    the_next_hash();
    return 0;
}
