/* A server on a socket that somebody else has bound: a service manager, as systemd does it, or the program itself. */
#include "check.h"
#include "pair.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

/* Where the passed descriptors begin, as in sd_listen_fds(3). */
enum { FIRST_PASSED = 3 };

static int udp_socket(void)
{
    int fd = socket(AF_INET, SOCK_DGRAM, 0);
    CHECK(fd >= 0);
    return fd;
}

static struct sockaddr_in loopback(uint16_t port)
{
    struct sockaddr_in address;
    memset(&address, 0, sizeof address);
    address.sin_family = AF_INET;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    address.sin_port = htons(port);
    return address;
}

static int bound_socket(uint16_t *port)
{
    struct sockaddr_in address = loopback(0);
    socklen_t length = sizeof address;
    int fd = udp_socket();
    CHECK(bind(fd, (struct sockaddr *)&address, sizeof address) == 0);
    CHECK(getsockname(fd, (struct sockaddr *)&address, &length) == 0);
    *port = ntohs(address.sin_port);
    return fd;
}

static wtgram_session connect_to(uint16_t port, const uint8_t *hash)
{
    wtgram_connect_options options;
    wtgram_session session;
    char url[64], detail[256] = "";
    snprintf(url, sizeof url, "https://127.0.0.1:%u/", (unsigned)port);
    wtgram_connect_options_init(&options);
    options.timeout_us = PATIENCE_US;
    options.trust = WTGRAM_TRUST_CERTIFICATE_HASHES;
    options.certificate_hashes = hash;
    options.certificate_hashes_count = 1;
    wtgram_status status = wtgram_session_connect(url, &options, &session, detail, sizeof detail);
    if (status != WTGRAM_OK) fprintf(stderr, "connect: %s\n", detail);
    CHECK_OK(status);
    return session;
}

/* The activated service: takes its socket as sd_listen_fds(3) says, serves one session, and ends. */
static int serve(void)
{
    const char *pid = getenv("LISTEN_PID"), *count = getenv("LISTEN_FDS");
    wtgram_listen_options options;
    wtgram_server server;
    wtgram_session session;
    wtgram_transport transport;
    wtgram_close_info info;
    uint8_t hash[WTGRAM_CERTIFICATE_HASH_LENGTH], data[64];
    char detail[256] = "";
    size_t length = 0;
    CHECK(pid != NULL && atol(pid) == (long)getpid());
    CHECK(count != NULL && atoi(count) == 1);
    wtgram_listen_options_init(&options);
    options.socket_fd = FIRST_PASSED;
    options.handshake_timeout_us = PATIENCE_US;
    wtgram_status status = wtgram_server_listen(&options, &server, detail, sizeof detail);
    if (status != WTGRAM_OK) fprintf(stderr, "listen: %s\n", detail);
    CHECK_OK(status);
    CHECK(close(FIRST_PASSED) == 0); /* the server has its own */
    CHECK_OK(wtgram_server_get_certificate_hash(server, hash));
    CHECK(write(STDOUT_FILENO, hash, sizeof hash) == (ssize_t)sizeof hash);
    CHECK_OK(wtgram_server_accept(server, PATIENCE_US, &session));
    CHECK_OK(wtgram_session_get_transport(session, &transport));
    CHECK_OK(wtgram_transport_receive(transport, PATIENCE_US, data, sizeof data, &length));
    CHECK_OK(wtgram_transport_send(transport, data, length, NULL));
    wtgram_close_info_init(&info);
    CHECK_OK(wtgram_session_wait_closed(session, PATIENCE_US, &info));
    CHECK_UINT(info.code, 5);
    wtgram_session_free(session);
    wtgram_server_free(server);
    CHECK_OK(wtgram_shutdown(PATIENCE_US));
    return 0;
}

/* Starts this program again as a service with `fd` as its first passed descriptor, as systemd does. Returns a
 * descriptor for what it writes. The library is not used before the fork. */
static int activate(int fd, pid_t *child)
{
    int output[2];
    CHECK(pipe(output) == 0);
    *child = fork();
    CHECK(*child >= 0);
    if (*child == 0) {
        static char program[] = "/proc/self/exe", serve_it[] = "serve";
        char *arguments[] = {program, serve_it, NULL};
        char pid[32];
        int passed = fcntl(fd, F_DUPFD, 10); /* not one that dup2 replaces */
        snprintf(pid, sizeof pid, "%ld", (long)getpid());
        if (dup2(output[1], STDOUT_FILENO) < 0 || dup2(passed, FIRST_PASSED) < 0 || setenv("LISTEN_FDS", "1", 1) != 0 ||
            setenv("LISTEN_PID", pid, 1) != 0)
            _exit(70);
        close(passed);
        execv(program, arguments);
        _exit(71);
    }
    close(output[1]);
    return output[0];
}

static void a_service_is_activated_with_its_socket(void)
{
    uint16_t port = 0;
    pid_t child;
    int status = -1, fd = bound_socket(&port);
    uint8_t hash[WTGRAM_CERTIFICATE_HASH_LENGTH];
    wtgram_transport transport;
    TEST("a service serves on the descriptor 3 that it was started with");
    int output = activate(fd, &child);
    for (size_t have = 0; have < sizeof hash;) {
        ssize_t count = read(output, hash + have, sizeof hash - have);
        CHECK(count > 0); /* otherwise the service has ended, and has said why */
        have += (size_t)count;
    }
    wtgram_session session = connect_to(port, hash);
    CHECK_OK(wtgram_session_get_transport(session, &transport));
    pair_exchange(transport, transport, "echo", 4);
    CHECK_OK(wtgram_session_close(session, 5, NULL, 0));
    CHECK(waitpid(child, &status, 0) == child);
    CHECK(WIFEXITED(status) && WEXITSTATUS(status) == 0);
    TEST("the port stays with its owner");
    struct sockaddr_in address = loopback(port);
    int other = udp_socket();
    CHECK(bind(other, (struct sockaddr *)&address, sizeof address) != 0);
    wtgram_session_free(session);
    close(other);
    close(output);
    close(fd);
}

static void the_descriptor_stays_the_callers(void)
{
    wtgram_listen_options options;
    wtgram_server server, other;
    wtgram_session session, accepted;
    wtgram_transport from, to;
    uint8_t hash[WTGRAM_CERTIFICATE_HASH_LENGTH];
    uint16_t port = 0, found = 0;
    int fd = bound_socket(&port);
    TEST("the server has the address of the socket");
    wtgram_listen_options_init(&options);
    CHECK_UINT(options.socket_fd, -1);
    options.socket_fd = fd;
    CHECK_OK(wtgram_server_listen(&options, &server, NULL, 0));
    CHECK_OK(wtgram_server_get_local_port(server, &found));
    CHECK_UINT(found, port);
    TEST("it serves, also after the caller has closed the descriptor");
    CHECK(close(fd) == 0);
    CHECK_OK(wtgram_server_get_certificate_hash(server, hash));
    session = connect_to(port, hash);
    CHECK_OK(wtgram_server_accept(server, PATIENCE_US, &accepted));
    CHECK_OK(wtgram_session_get_transport(session, &from));
    CHECK_OK(wtgram_session_get_transport(accepted, &to));
    pair_exchange(from, to, "there", 5);
    pair_exchange(to, from, "back", 4);
    wtgram_session_free(session);
    wtgram_session_free(accepted);
    wtgram_server_free(server);

    TEST("the end of the server leaves the descriptor open");
    fd = bound_socket(&port);
    options.socket_fd = fd;
    CHECK_OK(wtgram_server_listen(&options, &server, NULL, 0));
    wtgram_server_free(server);
    wtgram_listen_options_init(&options);
    options.host = "127.0.0.1";
    options.port = port;
    CHECK_STATUS(wtgram_server_listen(&options, &other, NULL, 0), WTGRAM_ERROR_IO); /* it is in use */
    CHECK(fcntl(fd, F_GETFD) >= 0);
    close(fd);
}

static void refused(const wtgram_listen_options *options, const char *why)
{
    wtgram_server server;
    char detail[256] = "";
    CHECK_STATUS(wtgram_server_listen(options, &server, detail, sizeof detail), WTGRAM_ERROR_INVALID_ARGUMENT);
    CHECK_UINT(server.id, 0);
    if (strstr(detail, why) == NULL) fprintf(stderr, "\"%s\" does not say \"%s\"\n", detail, why);
    CHECK(strstr(detail, why) != NULL);
}

static void other_descriptors_are_refused(void)
{
    wtgram_listen_options options;
    uint16_t port = 0;
    int ends[2];
    TEST("only a bound UDP socket is accepted, and the error says what it is instead");
    wtgram_listen_options_init(&options);
    int unbound = udp_socket(), stream = socket(AF_INET, SOCK_STREAM, 0), bound = bound_socket(&port);
    options.socket_fd = unbound;
    refused(&options, "not bound");
    options.socket_fd = stream;
    refused(&options, "not a UDP socket");
    CHECK(pipe(ends) == 0);
    options.socket_fd = ends[0];
    refused(&options, "not a socket");
    close(ends[0]);
    refused(&options, "not open");
    options.socket_fd = -2;
    refused(&options, "not open");
    TEST("and no host or port beside it");
    options.socket_fd = bound;
    options.port = port;
    refused(&options, "no port");
    options.port = 0;
    options.host = "127.0.0.1";
    refused(&options, "no host");
    struct sockaddr_in address = loopback(9);
    CHECK(connect(bound, (struct sockaddr *)&address, sizeof address) == 0);
    options.host = NULL;
    refused(&options, "connected");
    close(unbound);
    close(stream);
    close(bound);
    close(ends[1]);
}

int main(int argc, char **argv)
{
    if (argc == 2 && strcmp(argv[1], "serve") == 0) return serve();
    a_service_is_activated_with_its_socket();
    the_descriptor_stays_the_callers();
    other_descriptors_are_refused();
    return 0;
}
