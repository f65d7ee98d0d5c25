/* Each reason why a connection fails has its own status and a text that explains it. Listen refuses each identity that
 * a server cannot use. */
#include "certificates.h"
#include "check.h"
#include "pair.h"

#include <arpa/inet.h>
#include <sys/socket.h>
#include <unistd.h>

static struct certificates certificates;

/* A connect that must fail: the handle stays zero and `detail` gets a text. */
static wtgram_status connect_failing(const char *url, const wtgram_connect_options *options)
{
    char detail[256];
    wtgram_session session;
    session.id = 99;
    memset(detail, 'x', sizeof detail);
    wtgram_status status = wtgram_session_connect(url, options, &session, detail, sizeof detail);
    CHECK(status != WTGRAM_OK);
    CHECK_UINT(session.id, 0);
    CHECK(memchr(detail, '\0', sizeof detail) != NULL);
    CHECK(detail[0] != '\0');
    printf("    %s: %s\n", wtgram_status_name(status), detail);
    return status;
}

static void bad_urls(void)
{
    wtgram_connect_options options;
    wtgram_connect_options_init(&options);
    static const char *const urls[] = {"",
                                       "no url",
                                       "http://127.0.0.1/",
                                       "ftp://127.0.0.1/",
                                       "https://",
                                       "//127.0.0.1:443",
                                       "https://127.0.0.1:99999/",
                                       "https://[::1/",
                                       "https://a b/"};
    TEST("what is not an https URL with a host is INVALID_URL");
    for (size_t i = 0; i < sizeof urls / sizeof *urls; i++) {
        printf("    \"%s\"\n", urls[i]);
        CHECK_STATUS(connect_failing(urls[i], &options), WTGRAM_ERROR_INVALID_URL);
    }
}

static void nobody_there(void)
{
    wtgram_connect_options options;
    char url[64];
    wtgram_connect_options_init(&options);
    options.trust = WTGRAM_TRUST_INSECURE_NO_VERIFICATION;
    TEST("a name that does not exist is NAME_NOT_RESOLVED");
    CHECK_STATUS(connect_failing("https://no-such-host.invalid:4433/", &options), WTGRAM_ERROR_NAME_NOT_RESOLVED);

    TEST("nobody listening is CONNECT_TIMEOUT when the deadline passes, or CONNECTION_REFUSED sooner");
    /* A bound UDP socket that never answers, so that no other program can have the port. */
    int fd = socket(AF_INET, SOCK_DGRAM, 0);
    struct sockaddr_in address;
    socklen_t address_length = sizeof address;
    memset(&address, 0, sizeof address);
    address.sin_family = AF_INET;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    CHECK(fd >= 0 && bind(fd, (struct sockaddr *)&address, sizeof address) == 0);
    CHECK(getsockname(fd, (struct sockaddr *)&address, &address_length) == 0);
    snprintf(url, sizeof url, "https://127.0.0.1:%u/", (unsigned)ntohs(address.sin_port));
    options.timeout_us = 500 * MILLISECOND_US;
    int64_t before = now_us();
    CHECK_STATUS(connect_failing(url, &options), WTGRAM_ERROR_CONNECT_TIMEOUT);
    int64_t took = now_us() - before;
    CHECK(took >= 450 * MILLISECOND_US);
    close(fd);
    wtgram_status status = connect_failing(url, &options);
    CHECK(status == WTGRAM_ERROR_CONNECT_TIMEOUT || status == WTGRAM_ERROR_CONNECTION_REFUSED);
}

static wtgram_server listen_with(const char *certificate, const char *key, char *url, size_t url_capacity)
{
    wtgram_listen_options options;
    wtgram_server server;
    char detail[256] = "";
    uint16_t port = 0;
    wtgram_listen_options_init(&options);
    options.host = "127.0.0.1";
    options.identity = WTGRAM_IDENTITY_PEM_FILES;
    options.certificate_file = certificate;
    options.private_key_file = key;
    wtgram_status status = wtgram_server_listen(&options, &server, detail, sizeof detail);
    if (status != WTGRAM_OK) fprintf(stderr, "listen: %s\n", detail);
    CHECK_OK(status);
    CHECK_OK(wtgram_server_get_local_port(server, &port));
    snprintf(url, url_capacity, "https://127.0.0.1:%u/", (unsigned)port);
    return server;
}

static void certificates_that_are_refused(void)
{
    struct pair pair;
    wtgram_connect_options options;
    uint8_t wrong_hash[2 * WTGRAM_CERTIFICATE_HASH_LENGTH];
    char url[64];
    pair_listen(&pair, NULL);
    wtgram_connect_options_init(&options);

    TEST("another certificate's hash is CERTIFICATE_HASH_MISMATCH, also when several are trusted");
    memset(wrong_hash, 0, sizeof wrong_hash);
    memcpy(wrong_hash, pair.hash, WTGRAM_CERTIFICATE_HASH_LENGTH);
    wrong_hash[31] ^= 1;
    options.trust = WTGRAM_TRUST_CERTIFICATE_HASHES;
    options.certificate_hashes = wrong_hash;
    options.certificate_hashes_count = 2;
    CHECK_STATUS(connect_failing(pair.url, &options), WTGRAM_ERROR_CERTIFICATE_HASH_MISMATCH);

    TEST("a self-signed certificate is CERTIFICATE_UNTRUSTED to the system's roots and to another CA");
    wtgram_connect_options_init(&options);
    options.trust = WTGRAM_TRUST_SYSTEM;
    CHECK_STATUS(connect_failing(pair.url, &options), WTGRAM_ERROR_CERTIFICATE_UNTRUSTED);
    options.trust = WTGRAM_TRUST_CA;
    options.ca_file = certificates.ca;
    CHECK_STATUS(connect_failing(pair.url, &options), WTGRAM_ERROR_CERTIFICATE_UNTRUSTED);
    pair_free(&pair);

    TEST("a chain of another CA is CERTIFICATE_UNTRUSTED");
    wtgram_server server = listen_with(certificates.good, certificates.good_key, url, sizeof url);
    options.ca_file = certificates.other_ca;
    CHECK_STATUS(connect_failing(url, &options), WTGRAM_ERROR_CERTIFICATE_UNTRUSTED);
    wtgram_server_free(server);

    TEST("an expired certificate is CERTIFICATE_EXPIRED");
    server = listen_with(certificates.expired, certificates.expired_key, url, sizeof url);
    options.ca_file = certificates.ca;
    CHECK_STATUS(connect_failing(url, &options), WTGRAM_ERROR_CERTIFICATE_EXPIRED);
    wtgram_server_free(server);

    TEST("a certificate for another name is CERTIFICATE_NAME_MISMATCH");
    server = listen_with(certificates.other_name, certificates.other_name_key, url, sizeof url);
    CHECK_STATUS(connect_failing(url, &options), WTGRAM_ERROR_CERTIFICATE_NAME_MISMATCH);
    wtgram_server_free(server);

    TEST("a CA file that is not there, or holds no certificate, is an error of its own, before any packet");
    options.ca_file = "/nonexistent/ca.pem";
    wtgram_status status = connect_failing(url, &options);
    CHECK(status == WTGRAM_ERROR_IO || status == WTGRAM_ERROR_IDENTITY || status == WTGRAM_ERROR_TLS);
    options.ca_file = certificates.good_key;
    status = connect_failing(url, &options);
    CHECK(status == WTGRAM_ERROR_IDENTITY || status == WTGRAM_ERROR_TLS || status == WTGRAM_ERROR_INVALID_ARGUMENT);
}

static wtgram_status listen_failing(const wtgram_listen_options *options)
{
    char detail[256] = "";
    wtgram_server server;
    server.id = 99;
    wtgram_status status = wtgram_server_listen(options, &server, detail, sizeof detail);
    CHECK(status != WTGRAM_OK);
    CHECK_UINT(server.id, 0);
    CHECK(detail[0] != '\0');
    printf("    %s: %s\n", wtgram_status_name(status), detail);
    return status;
}

static void identities_that_are_refused(void)
{
    wtgram_listen_options options;
    wtgram_listen_options_init(&options);
    options.host = "127.0.0.1";
    options.identity = WTGRAM_IDENTITY_PEM_FILES;
    TEST("PEM files that are not there, hold nothing of use, or do not belong together");
    options.certificate_file = "/nonexistent/certificate.pem";
    options.private_key_file = certificates.good_key;
    wtgram_status status = listen_failing(&options);
    CHECK(status == WTGRAM_ERROR_IO || status == WTGRAM_ERROR_IDENTITY);
    options.certificate_file = certificates.good;
    options.private_key_file = "/nonexistent/key.pem";
    status = listen_failing(&options);
    CHECK(status == WTGRAM_ERROR_IO || status == WTGRAM_ERROR_IDENTITY);
    options.certificate_file = certificates.good_key;
    options.private_key_file = certificates.good_key;
    CHECK_STATUS(listen_failing(&options), WTGRAM_ERROR_IDENTITY);
    options.certificate_file = certificates.good;
    options.private_key_file = certificates.good;
    CHECK_STATUS(listen_failing(&options), WTGRAM_ERROR_IDENTITY);
    options.private_key_file = certificates.expired_key;
    CHECK_STATUS(listen_failing(&options), WTGRAM_ERROR_KEY_MISMATCH);
    options.certificate_file = NULL;
    CHECK_STATUS(listen_failing(&options), WTGRAM_ERROR_INVALID_ARGUMENT);

    TEST("PEM bytes that are garbage");
    wtgram_listen_options_init(&options);
    options.host = "127.0.0.1";
    options.identity = WTGRAM_IDENTITY_PEM_BYTES;
    options.certificate_pem = options.private_key_pem = (const uint8_t *)"garbage";
    options.certificate_pem_length = options.private_key_pem_length = 7;
    CHECK_STATUS(listen_failing(&options), WTGRAM_ERROR_IDENTITY);

    TEST("a host that is no address is INVALID_ARGUMENT; a port that is taken is IO");
    wtgram_listen_options_init(&options);
    options.host = "not-an-address";
    CHECK_STATUS(listen_failing(&options), WTGRAM_ERROR_INVALID_ARGUMENT);
    struct pair pair;
    uint16_t port = 0;
    pair_listen(&pair, NULL);
    CHECK_OK(wtgram_server_get_local_port(pair.server, &port));
    options.host = "127.0.0.1";
    options.port = port;
    CHECK_STATUS(listen_failing(&options), WTGRAM_ERROR_IO);
    pair_free(&pair);
}

static void details_fit_their_buffer(void)
{
    wtgram_session session;
    char detail[8];
    memset(detail, 'x', sizeof detail);
    TEST("detail is cut to the buffer and always ends with NUL; NULL with 0 is fine");
    CHECK_STATUS(wtgram_session_connect("nonsense", NULL, &session, detail, 5), WTGRAM_ERROR_INVALID_URL);
    CHECK(memchr(detail, '\0', 5) != NULL);
    CHECK_BYTES(detail + 5, "xxx", 3);
    CHECK_STATUS(wtgram_session_connect("nonsense", NULL, &session, NULL, 0), WTGRAM_ERROR_INVALID_URL);
}

int main(void)
{
    certificates_make(&certificates);
    bad_urls();
    nobody_there();
    certificates_that_are_refused();
    identities_that_are_refused();
    details_fit_their_buffer();
    return 0;
}
