#define _POSIX_C_SOURCE 200809L
#include "perf.h"

enum { MAX_SESSIONS = 256, REPORT_INTERVAL_US = 100 * 1000 };

struct client {
    wtgram_session session; /* {0}: this place is free */
    wtgram_transport datagrams;
    char address[64];
    uint64_t datagrams_received, bytes_received, reported;
};

static struct client clients[MAX_SESSIONS];
static wtgram_poller poller;
static bool json;

static void print_identity(wtgram_server server, const struct options *options)
{
    uint8_t hash[WTGRAM_CERTIFICATE_HASH_LENGTH] = {0};
    char hex[2 * WTGRAM_CERTIFICATE_HASH_LENGTH + 1] = "";
    uint16_t port = 0;
    if (wtgram_server_get_certificate_hash(server, hash) != WTGRAM_OK) return;
    if (wtgram_server_get_local_port(server, &port) != WTGRAM_OK) return;
    for (int i = 0; i < WTGRAM_CERTIFICATE_HASH_LENGTH; i++) snprintf(hex + 2 * i, 3, "%02x", hash[i]);
    const char *host = options->host != NULL ? options->host : "127.0.0.1";
    const char *open = strchr(host, ':') != NULL ? "[" : "", *close = *open ? "]" : "";
    if (json) printf("{\"port\":%u,\"certificate_hash\":\"%s\"}\n", port, hex);
    else
        printf("listening; the client's command:\n  wtgram-perf client https://%s%s%s:%u --hash %s\n", open, host,
               close, port, hex);
}

static void welcome(wtgram_server server)
{
    wtgram_session session;
    while (wtgram_server_accept(server, 0, &session) == WTGRAM_OK) {
        uint64_t place = 0;
        while (place < MAX_SESSIONS && clients[place].session.id != 0) place++;
        if (place == MAX_SESSIONS) {
            wtgram_session_free(session);
            continue;
        }
        struct client *client = &clients[place];
        size_t length = 0;
        memset(client, 0, sizeof *client);
        client->session = session;
        if (wtgram_session_get_remote_address(session, client->address, sizeof client->address, &length) != WTGRAM_OK ||
            wtgram_session_get_transport(session, &client->datagrams) != WTGRAM_OK ||
            wtgram_poller_add(poller, client->datagrams.id, WTGRAM_READY_READABLE | WTGRAM_READY_CLOSED, place) !=
                WTGRAM_OK) {
            wtgram_session_free(session);
            memset(client, 0, sizeof *client);
        } else if (!json) printf("%s: connected\n", client->address);
    }
}

/* Counts datagrams and sends back those that ask for it. Returns false when the session is over. */
static bool receive(struct client *client)
{
    static uint8_t arena[MAX_BATCH * MAX_SIZE];
    wtgram_received_datagram received[MAX_BATCH];
    wtgram_send_options urgent;
    size_t count = 0;
    wtgram_status status =
        wtgram_transport_receive_batch(client->datagrams, 0, arena, sizeof arena, received, MAX_BATCH, &count);
    wtgram_send_options_init(&urgent);
    urgent.priority = 2;
    for (size_t i = 0; i < count; i++) {
        const uint8_t *data = arena + received[i].offset;
        struct head head;
        client->datagrams_received++;
        client->bytes_received += received[i].length;
        if (received[i].length < sizeof head) continue;
        memcpy(&head, data, sizeof head);
        if (memcmp(head.magic, magic, sizeof magic) == 0 && head.type == ECHO_PLEASE) {
            status = wtgram_transport_try_send(client->datagrams, data, sizeof head, &urgent);
            if (status == WTGRAM_ERROR_CLOSED) break;
        }
    }
    return !(is_over(status) && status != WTGRAM_ERROR_QUEUE_FULL);
}

static void put_le64(uint8_t *to, uint64_t value)
{
    for (int i = 0; i < 8; i++) to[i] = (uint8_t)(value >> (8 * i));
}

static void report(struct client *client)
{
    uint8_t data[REPORT_SIZE] = {0};
    wtgram_send_options urgent;
    struct head head;
    if (client->reported == client->datagrams_received) return;
    memset(&head, 0, sizeof head);
    memcpy(head.magic, magic, sizeof magic);
    head.type = REPORT;
    memcpy(data, &head, sizeof head);
    put_le64(data + sizeof head, client->datagrams_received);
    put_le64(data + sizeof head + 8, client->bytes_received);
    wtgram_send_options_init(&urgent);
    urgent.priority = 2;
    if (wtgram_transport_try_send(client->datagrams, data, sizeof data, &urgent) == WTGRAM_OK)
        client->reported = client->datagrams_received;
}

static void goodbye(struct client *client)
{
    const char *form = json ? "{\"client\":\"%s\",\"datagrams\":%" PRIu64 ",\"bytes\":%" PRIu64 "}\n"
                            : "%s: gone after %" PRIu64 " datagrams, %" PRIu64 " bytes\n";
    printf(form, client->address, client->datagrams_received, client->bytes_received);
    wtgram_session_free(client->session); /* the poller removes it by itself */
    memset(client, 0, sizeof *client);
}

int run_server(const struct options *options)
{
    wtgram_listen_options listen;
    wtgram_server server = {0};
    char detail[256] = "";
    json = options->json;
    wtgram_listen_options_init(&listen);
    listen.host = options->host;
    listen.port = options->port;
    if (options->certificate != NULL) {
        listen.identity = WTGRAM_IDENTITY_PEM_FILES;
        listen.certificate_file = options->certificate;
        listen.private_key_file = options->key;
    }
    wtgram_status status = wtgram_server_listen(&listen, &server, detail, sizeof detail);
    if (status != WTGRAM_OK) return failed("cannot listen", status, detail);
    status = wtgram_poller_new(&poller);
    if (status == WTGRAM_OK) status = wtgram_poller_add(poller, server.id, WTGRAM_READY_ACCEPT, MAX_SESSIONS);
    if (status != WTGRAM_OK) return failed("cannot wait", status, "");
    print_identity(server, options);
    int64_t next_report = now_us();
    while (!interrupted && !is_over(status)) {
        wtgram_event events[64];
        size_t count = 0;
        status = wtgram_poller_wait(poller, REPORT_INTERVAL_US, events, 64, &count);
        for (size_t i = 0; i < count; i++) {
            if (events[i].cookie == MAX_SESSIONS) welcome(server);
            else if (clients[events[i].cookie].session.id != 0 && !receive(&clients[events[i].cookie]))
                goodbye(&clients[events[i].cookie]);
        }
        if (now_us() < next_report) continue;
        for (int i = 0; i < MAX_SESSIONS; i++)
            if (clients[i].session.id != 0) report(&clients[i]);
        next_report = now_us() + REPORT_INTERVAL_US;
    }
    for (int i = 0; i < MAX_SESSIONS; i++)
        if (clients[i].session.id != 0) goodbye(&clients[i]);
    wtgram_poller_free(poller);
    wtgram_server_free(server);
    return is_over(status) ? failed("waiting", status, "") : 0;
}
