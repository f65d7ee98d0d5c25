/* Each way to trust a server works: hashes, authorities from a file or from memory, no verification. So does each
 * identity. */
#include "certificates.h"
#include "check.h"
#include "pair.h"

static struct certificates certificates;

static void exchange_with(wtgram_server server, const char *host, const wtgram_connect_options *options)
{
    char url[64], detail[256] = "";
    uint16_t port = 0;
    wtgram_session client, accepted;
    wtgram_transport from, to;
    CHECK_OK(wtgram_server_get_local_port(server, &port));
    snprintf(url, sizeof url, "https://%s:%u/trust", host, (unsigned)port);
    wtgram_status status = wtgram_session_connect(url, options, &client, detail, sizeof detail);
    if (status != WTGRAM_OK) fprintf(stderr, "connect: %s\n", detail);
    CHECK_OK(status);
    CHECK_OK(wtgram_server_accept(server, PATIENCE_US, &accepted));
    CHECK_OK(wtgram_session_get_transport(client, &from));
    CHECK_OK(wtgram_session_get_transport(accepted, &to));
    pair_exchange(from, to, "hello", 5);
    wtgram_session_free(client);
    wtgram_session_free(accepted);
}

static void ca_and_insecure(wtgram_server server)
{
    wtgram_connect_options options;
    size_t length = 0;
    uint8_t *ca = read_file(certificates.ca, &length);
    wtgram_connect_options_init(&options);
    options.trust = WTGRAM_TRUST_CA;
    TEST("a CA from a file, by address and by name");
    options.ca_file = certificates.ca;
    exchange_with(server, "127.0.0.1", &options);
    exchange_with(server, "localhost", &options);
    TEST("a CA from memory");
    options.ca_file = NULL;
    options.ca_pem = ca;
    options.ca_pem_length = length;
    exchange_with(server, "127.0.0.1", &options);
    free(ca);
    TEST("no verification at all, asked for by its long name");
    wtgram_connect_options_init(&options);
    options.trust = WTGRAM_TRUST_INSECURE_NO_VERIFICATION;
    exchange_with(server, "127.0.0.1", &options);
}

int main(void)
{
    wtgram_listen_options listen;
    wtgram_connect_options options;
    wtgram_server server;
    struct pair pair;
    uint8_t hashes[3 * WTGRAM_CERTIFICATE_HASH_LENGTH], hash[WTGRAM_CERTIFICATE_HASH_LENGTH];
    size_t certificate_length = 0, key_length = 0;
    certificates_make(&certificates);

    TEST("the right hash among others");
    pair_listen(&pair, NULL);
    memset(hashes, 0x42, sizeof hashes);
    memcpy(hashes + 2 * WTGRAM_CERTIFICATE_HASH_LENGTH, pair.hash, WTGRAM_CERTIFICATE_HASH_LENGTH);
    wtgram_connect_options_init(&options);
    options.trust = WTGRAM_TRUST_CERTIFICATE_HASHES;
    options.certificate_hashes = hashes;
    options.certificate_hashes_count = 3;
    exchange_with(pair.server, "127.0.0.1", &options);
    pair_free(&pair);

    wtgram_listen_options_init(&listen);
    listen.host = "127.0.0.1";
    listen.identity = WTGRAM_IDENTITY_PEM_FILES;
    listen.certificate_file = certificates.good;
    listen.private_key_file = certificates.good_key;
    CHECK_OK(wtgram_server_listen(&listen, &server, NULL, 0));
    ca_and_insecure(server);
    CHECK_OK(wtgram_server_get_certificate_hash(server, hash));
    wtgram_server_free(server);

    TEST("a server whose identity comes from memory has the same certificate");
    uint8_t *certificate = read_file(certificates.good, &certificate_length);
    uint8_t *key = read_file(certificates.good_key, &key_length);
    wtgram_listen_options_init(&listen);
    listen.host = "127.0.0.1";
    listen.identity = WTGRAM_IDENTITY_PEM_BYTES;
    listen.certificate_pem = certificate;
    listen.certificate_pem_length = certificate_length;
    listen.private_key_pem = key;
    listen.private_key_pem_length = key_length;
    CHECK_OK(wtgram_server_listen(&listen, &server, NULL, 0));
    memset(certificate, 0, certificate_length); /* the library has kept no pointer to it */
    memset(key, 0, key_length);
    free(certificate);
    free(key);
    CHECK_OK(wtgram_server_get_certificate_hash(server, hashes));
    CHECK_BYTES(hashes, hash, sizeof hash);
    ca_and_insecure(server);
    wtgram_server_free(server);
    return 0;
}
