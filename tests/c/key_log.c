/* The key log: both ends write the same secrets, into the files that their options name and nowhere else. */
#include <sys/stat.h>
#include <unistd.h>

#include "certificates.h"
#include "check.h"
#include "pair.h"

static char folder[] = "/tmp/wtgram-key-log-XXXXXX";
static char of_server[64], of_client[64], of_environment[64];

/* The content of a key log as a text, which the caller frees. */
static char *log_text(const char *path)
{
    size_t length = 0;
    char *bytes = (char *)read_file(path, &length);
    char *text = (char *)malloc(length + 1);
    CHECK(text != NULL);
    memcpy(text, bytes, length);
    text[length] = '\0';
    free(bytes);
    return text;
}

/* Copies the only line of the log that begins with this label. */
static void line_of(const char *log, const char *label, char *line, size_t capacity)
{
    char start[64];
    snprintf(start, sizeof start, "%s ", label);
    const char *found = NULL;
    for (const char *next = log; next != NULL && *next != '\0';) {
        if (strncmp(next, start, strlen(start)) == 0) {
            CHECK(found == NULL);
            found = next;
        }
        next = strchr(next, '\n');
        if (next != NULL) next++;
    }
    CHECK(found != NULL);
    const size_t length = strcspn(found, "\n");
    CHECK(length < capacity && found[length] == '\n');
    memcpy(line, found, length);
    line[length] = '\0';
}

/* The secrets of TLS 1.3, from which Wireshark derives the keys of QUIC. */
static void check_same_secrets(void)
{
    static const char *const labels[] = {"CLIENT_HANDSHAKE_TRAFFIC_SECRET", "SERVER_HANDSHAKE_TRAFFIC_SECRET",
                                         "CLIENT_TRAFFIC_SECRET_0", "SERVER_TRAFFIC_SECRET_0"};
    char *server = log_text(of_server), *client = log_text(of_client);
    for (size_t i = 0; i < sizeof labels / sizeof *labels; i++) {
        char ours[256], theirs[256], random[65], secret[129];
        line_of(server, labels[i], ours, sizeof ours);
        line_of(client, labels[i], theirs, sizeof theirs);
        CHECK_TEXT(ours, theirs);
        CHECK(sscanf(ours, "%*s %64[0-9a-f] %128[0-9a-f]", random, secret) == 2);
        CHECK_UINT(strlen(random), 64);
        CHECK(strlen(secret) >= 64 && strlen(secret) % 32 == 0);
    }
    free(server);
    free(client);
}

static void check_only_for_the_user(const char *path)
{
    struct stat info;
    CHECK(stat(path, &info) == 0);
    CHECK_UINT(info.st_mode & 0777, 0600);
}

int main(void)
{
    CHECK(mkdtemp(folder) != NULL);
    snprintf(of_server, sizeof of_server, "%s/server", folder);
    snprintf(of_client, sizeof of_client, "%s/client", folder);
    snprintf(of_environment, sizeof of_environment, "%s/environment", folder);
    setenv("SSLKEYLOGFILE", of_environment, 1);

    TEST("the secrets of both ends agree, and only the user can read them");
    wtgram_listen_options listen;
    wtgram_listen_options_init(&listen);
    CHECK(listen.key_log_file == NULL);
    listen.key_log_file = of_server;
    struct pair pair;
    pair_listen_with(&pair, &listen);
    wtgram_connect_options connect;
    wtgram_connect_options_init(&connect);
    CHECK(connect.key_log_file == NULL);
    connect.key_log_file = of_client;
    wtgram_session client, quiet;
    CHECK_OK(pair_try_connect(&pair, "/", &connect, &client, NULL));
    check_same_secrets();
    check_only_for_the_user(of_server);
    check_only_for_the_user(of_client);

    TEST("a session whose options name no file logs nothing, whatever the environment says");
    char *before = log_text(of_client);
    CHECK_OK(pair_try_connect(&pair, "/", NULL, &quiet, NULL));
    char *after = log_text(of_client);
    CHECK_TEXT(after, before);
    free(before);
    free(after);
    CHECK(access(of_environment, F_OK) != 0);
    wtgram_session_free(client);
    wtgram_session_free(quiet);

    TEST("a file that cannot be opened is refused at once, with its path");
    char detail[PAIR_DETAIL];
    wtgram_server server;
    connect.key_log_file = listen.key_log_file = "/no/such/folder/keys";
    CHECK_STATUS(pair_try_connect(&pair, "/", &connect, &client, detail), WTGRAM_ERROR_IO);
    CHECK(strstr(detail, "/no/such/folder/keys") != NULL);
    CHECK_STATUS(wtgram_session_connect_start(pair.url, &connect, &client, detail, sizeof detail), WTGRAM_ERROR_IO);
    CHECK(strstr(detail, "/no/such/folder/keys") != NULL);
    CHECK_STATUS(wtgram_server_listen(&listen, &server, detail, sizeof detail), WTGRAM_ERROR_IO);
    CHECK(strstr(detail, "/no/such/folder/keys") != NULL);
    connect.key_log_file = "\xff";
    CHECK_STATUS(pair_try_connect(&pair, "/", &connect, &client, NULL), WTGRAM_ERROR_INVALID_ARGUMENT);

    wtgram_server_free(pair.server);
    CHECK(unlink(of_server) == 0 && unlink(of_client) == 0 && rmdir(folder) == 0);
    return 0;
}
