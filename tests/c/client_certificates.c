/* Certificates of clients: off, optional and required, and what each side can read of the other's. */
#include "certificates.h"
#include "check.h"
#include "pair.h"

static struct certificates certificates;

static wtgram_identity_options from_files(const char *certificate, const char *key)
{
    wtgram_identity_options identity;
    wtgram_identity_options_init(&identity);
    identity.identity = WTGRAM_IDENTITY_PEM_FILES;
    identity.certificate_file = certificate;
    identity.private_key_file = key;
    return identity;
}

static wtgram_server serve_with(uint32_t client_certificates, uint32_t admission)
{
    wtgram_listen_options options;
    wtgram_server server;
    wtgram_listen_options_init(&options);
    options.host = "127.0.0.1";
    options.handshake_timeout_us = PATIENCE_US;
    options.identity = WTGRAM_IDENTITY_PEM_FILES;
    options.certificate_file = certificates.good;
    options.private_key_file = certificates.good_key;
    options.client_certificates = client_certificates;
    options.client_ca_file = certificates.ca;
    options.admission = admission;
    CHECK_OK(wtgram_server_listen(&options, &server, NULL, 0));
    return server;
}

static wtgram_server serve(uint32_t client_certificates)
{
    return serve_with(client_certificates, WTGRAM_ADMISSION_RULES);
}

/* Connects with this identity, which may be NULL, or begins to. `detail` has 256 bytes. */
static wtgram_status attempt_with(wtgram_server server, const wtgram_identity_options *identity, wtgram_session *client,
                                  char *detail, bool waits)
{
    char url[64];
    uint16_t port = 0;
    wtgram_connect_options options;
    CHECK_OK(wtgram_server_get_local_port(server, &port));
    snprintf(url, sizeof url, "https://127.0.0.1:%u/client", (unsigned)port);
    wtgram_connect_options_init(&options);
    options.timeout_us = PATIENCE_US;
    options.trust = WTGRAM_TRUST_CA;
    options.ca_file = certificates.ca;
    options.identity = identity;
    return waits ? wtgram_session_connect(url, &options, client, detail, 256)
                 : wtgram_session_connect_start(url, &options, client, detail, 256);
}

static wtgram_status attempt(wtgram_server server, const wtgram_identity_options *identity, wtgram_session *client,
                             char *detail)
{
    return attempt_with(server, identity, client, detail, true);
}

static size_t count_of(wtgram_session session)
{
    size_t count = 77;
    CHECK_OK(wtgram_session_get_peer_certificate_count(session, &count));
    return count;
}

/* The certificate is the one in this file. */
static void check_is(const uint8_t *certificate, size_t length, const char *path)
{
    uint8_t expected[4096];
    char command[256];
    snprintf(command, sizeof command, "openssl x509 -in '%s' -outform DER", path);
    FILE *der = popen(command, "r");
    CHECK(der != NULL);
    CHECK_UINT(fread(expected, 1, sizeof expected, der), length);
    CHECK(pclose(der) == 0);
    CHECK_BYTES(certificate, expected, length);
}

/* The session's only certificate of the peer is the one in this file. */
static void check_shown(wtgram_session session, const char *path)
{
    uint8_t shown[4096];
    size_t length = 0;
    CHECK_UINT(count_of(session), 1);
    CHECK_OK(wtgram_session_get_peer_certificate(session, 0, shown, sizeof shown, &length));
    check_is(shown, length, path);
    CHECK_STATUS(wtgram_session_get_peer_certificate(session, 0, shown, length - 1, &length),
                 WTGRAM_ERROR_BUFFER_TOO_SMALL);
    CHECK(length > 100);
    CHECK_OK(wtgram_session_get_peer_certificate(session, 0, shown, length, &length));
    CHECK_STATUS(wtgram_session_get_peer_certificate(session, 1, shown, sizeof shown, &length),
                 WTGRAM_ERROR_INVALID_ARGUMENT);
    CHECK_UINT(length, 0);
}

/* Connects as somebody who is accepted, and checks what each side sees of the other. */
static void accepted_as(wtgram_server server, const wtgram_identity_options *identity, const char *certificate)
{
    char detail[256] = "";
    wtgram_session client, accepted;
    wtgram_transport from, to;
    wtgram_status status = attempt(server, identity, &client, detail);
    if (status != WTGRAM_OK) fprintf(stderr, "connect: %s\n", detail);
    CHECK_OK(status);
    CHECK_OK(wtgram_server_accept(server, PATIENCE_US, &accepted));
    CHECK_OK(wtgram_session_get_transport(client, &from));
    CHECK_OK(wtgram_session_get_transport(accepted, &to));
    pair_exchange(from, to, "hello", 5);
    check_shown(client, certificates.good);
    if (certificate != NULL) check_shown(accepted, certificate);
    else CHECK_UINT(count_of(accepted), 0);
    CHECK_OK(wtgram_session_close(client, 0, NULL, 0));
    check_shown(client, certificates.good);
    wtgram_session_free(client);
    wtgram_session_free(accepted);
}

static void refused(wtgram_server server, const wtgram_identity_options *identity, const char *why)
{
    char detail[256] = "";
    wtgram_session client;
    CHECK_STATUS(attempt(server, identity, &client, detail), WTGRAM_ERROR_CLIENT_CERTIFICATE);
    if (strstr(detail, why) == NULL) fprintf(stderr, "detail: %s\n", detail);
    CHECK(strstr(detail, why) != NULL);
}

static void seen_in_a_request(const wtgram_identity_options *identity, const char *certificate)
{
    char detail[256] = "";
    uint8_t shown[4096];
    size_t count = 77, length = 0;
    wtgram_session client;
    wtgram_request request;
    wtgram_server server = serve_with(WTGRAM_CLIENT_CERTIFICATES_OPTIONAL, WTGRAM_ADMISSION_REQUESTS);
    CHECK_OK(attempt_with(server, identity, &client, detail, false));
    CHECK_OK(wtgram_server_next_request(server, PATIENCE_US, &request));
    CHECK_OK(wtgram_request_get_peer_certificate_count(request, &count));
    CHECK_UINT(count, certificate != NULL ? 1 : 0);
    if (certificate != NULL) {
        CHECK_STATUS(wtgram_request_get_peer_certificate(request, 0, shown, 100, &length),
                     WTGRAM_ERROR_BUFFER_TOO_SMALL);
        CHECK_OK(wtgram_request_get_peer_certificate(request, 0, shown, length, &length));
        check_is(shown, length, certificate);
    }
    CHECK_STATUS(wtgram_request_get_peer_certificate(request, count, shown, sizeof shown, &length),
                 WTGRAM_ERROR_INVALID_ARGUMENT);
    CHECK_OK(wtgram_request_reject(request, 403, NULL, 0));
    wtgram_request_free(request);
    wtgram_session_free(client);
    wtgram_server_free(server);
}

static void options_that_cannot_work(void)
{
    char detail[256] = "";
    wtgram_session client;
    wtgram_listen_options options;
    wtgram_server server;
    wtgram_identity_options identity;
    TEST("a client certificate that cannot be used is refused before anything is sent");
    server = serve(WTGRAM_CLIENT_CERTIFICATES_OFF);
    wtgram_identity_options_init(&identity); /* self-signed */
    CHECK_STATUS(attempt(server, &identity, &client, detail), WTGRAM_ERROR_INVALID_ARGUMENT);
    CHECK(strstr(detail, "self-signed") != NULL);
    identity = from_files(certificates.good, certificates.expired_key);
    CHECK_STATUS(attempt(server, &identity, &client, detail), WTGRAM_ERROR_KEY_MISMATCH);
    identity = from_files("/no/such/file.pem", certificates.good_key);
    CHECK_STATUS(attempt(server, &identity, &client, detail), WTGRAM_ERROR_IDENTITY);
    wtgram_server_free(server);
    TEST("a server needs the authorities of its clients");
    wtgram_listen_options_init(&options);
    options.client_certificates = WTGRAM_CLIENT_CERTIFICATES_REQUIRED;
    CHECK_STATUS(wtgram_server_listen(&options, &server, detail, sizeof detail), WTGRAM_ERROR_IDENTITY);
    options.client_ca_file = "/no/such/ca.pem";
    CHECK_STATUS(wtgram_server_listen(&options, &server, detail, sizeof detail), WTGRAM_ERROR_IDENTITY);
    CHECK(strstr(detail, "/no/such/ca.pem") != NULL);
    options.client_certificates = 3;
    CHECK_STATUS(wtgram_server_listen(&options, &server, NULL, 0), WTGRAM_ERROR_INVALID_ARGUMENT);
}

int main(void)
{
    certificates_make(&certificates);
    wtgram_identity_options good = from_files(certificates.other_name, certificates.other_name_key);
    wtgram_identity_options expired = from_files(certificates.expired, certificates.expired_key);

    TEST("off: a client is not asked");
    wtgram_server server = serve(WTGRAM_CLIENT_CERTIFICATES_OFF);
    accepted_as(server, NULL, NULL);
    accepted_as(server, &good, NULL);
    wtgram_server_free(server);

    TEST("optional: a client may show none, but no bad one");
    server = serve(WTGRAM_CLIENT_CERTIFICATES_OPTIONAL);
    accepted_as(server, NULL, NULL);
    accepted_as(server, &good, certificates.other_name);
    refused(server, &expired, "Expired");
    wtgram_server_free(server);

    TEST("a program sees the certificate when it decides about the request");
    seen_in_a_request(&good, certificates.other_name);
    seen_in_a_request(NULL, NULL);

    TEST("required: a client must show a good one");
    server = serve(WTGRAM_CLIENT_CERTIFICATES_REQUIRED);
    refused(server, NULL, "requires");
    refused(server, &expired, "Expired");
    accepted_as(server, &good, certificates.other_name);
    wtgram_server_stats stats;
    wtgram_server_stats_init(&stats);
    CHECK_OK(wtgram_server_get_stats(server, &stats));
    CHECK_UINT(stats.failed_client_certificate, 2);
    wtgram_server_free(server);

    TEST("the authorities come from memory, too");
    size_t length = 0;
    uint8_t *ca = read_file(certificates.other_ca, &length);
    wtgram_listen_options options;
    wtgram_listen_options_init(&options);
    options.host = "127.0.0.1";
    options.identity = WTGRAM_IDENTITY_PEM_FILES;
    options.certificate_file = certificates.good;
    options.private_key_file = certificates.good_key;
    options.client_certificates = WTGRAM_CLIENT_CERTIFICATES_REQUIRED;
    options.client_ca_pem = ca;
    options.client_ca_pem_length = length;
    CHECK_OK(wtgram_server_listen(&options, &server, NULL, 0));
    free(ca);
    refused(server, &good, "certificate");
    wtgram_server_free(server);

    options_that_cannot_work();
    return 0;
}
