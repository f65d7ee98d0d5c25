/* A server whose sessions are spread over two lanes: 200 clients with addresses of their own, options, the end of
 * listening, and shutdown while handshakes are under way. */
#include "check.h"
#include "pair.h"

#include <sys/types.h>

#include <dirent.h>
#include <stdio.h>

enum { CLIENTS = 200, UNDER_WAY = 50 };

static wtgram_session clients[CLIENTS], accepted[CLIENTS];

/* The number of lanes: the threads "wtgram-0", "wtgram-1" and so on. */
static unsigned lanes(void)
{
    DIR *tasks = opendir("/proc/self/task");
    unsigned count = 0;
    CHECK(tasks != NULL);
    for (struct dirent *task = readdir(tasks); task != NULL; task = readdir(tasks)) {
        char path[300], name[32] = "";
        snprintf(path, sizeof path, "/proc/self/task/%s/comm", task->d_name);
        FILE *file = fopen(path, "r");
        if (file == NULL) continue;
        if (fgets(name, sizeof name, file) != NULL && strncmp(name, "wtgram-", 7) == 0 &&
            strspn(name + 7, "0123456789") > 0)
            count++;
        fclose(file);
    }
    closedir(tasks);
    return count;
}

static void options(void)
{
    wtgram_runtime_options runtime;
    const uint32_t first = 0, none = 1024;
    TEST("where and how lanes run is checked");
    wtgram_runtime_options_init(&runtime);
    CHECK(runtime.lane_cpus == NULL);
    CHECK_UINT(runtime.lane_cpus_count, 0);
    CHECK_UINT(runtime.lane_scheduling, WTGRAM_SCHEDULING_INHERITED);
    runtime.lane_cpus = &none;
    runtime.lane_cpus_count = 1;
    CHECK_STATUS(wtgram_runtime_configure(&runtime), WTGRAM_ERROR_INVALID_ARGUMENT);
    runtime.lane_cpus = NULL;
    CHECK_STATUS(wtgram_runtime_configure(&runtime), WTGRAM_ERROR_INVALID_ARGUMENT);
    wtgram_runtime_options_init(&runtime);
    runtime.lane_scheduling = 77;
    CHECK_STATUS(wtgram_runtime_configure(&runtime), WTGRAM_ERROR_INVALID_ARGUMENT);
    runtime.lane_scheduling = WTGRAM_SCHEDULING_FIFO; /* without a priority */
    CHECK_STATUS(wtgram_runtime_configure(&runtime), WTGRAM_ERROR_INVALID_ARGUMENT);
    runtime.lane_priority = 100;
    CHECK_STATUS(wtgram_runtime_configure(&runtime), WTGRAM_ERROR_INVALID_ARGUMENT);
    runtime.lane_scheduling = WTGRAM_SCHEDULING_INHERITED;
    runtime.lane_priority = 1;
    CHECK_STATUS(wtgram_runtime_configure(&runtime), WTGRAM_ERROR_INVALID_ARGUMENT);
    wtgram_runtime_options_init(&runtime);
    runtime.lanes = 2;
    runtime.lane_cpus = &first;
    runtime.lane_cpus_count = 1;
    CHECK_OK(wtgram_runtime_configure(&runtime));

    TEST("a server has at most as many lanes as the library, and a server id of at most 11 bytes");
    const uint8_t id[12] = {0};
    wtgram_listen_options listen;
    wtgram_server server;
    wtgram_listen_options_init(&listen);
    CHECK_UINT(listen.lanes, 0);
    listen.lanes = 3;
    CHECK_STATUS(wtgram_server_listen(&listen, &server, NULL, 0), WTGRAM_ERROR_INVALID_ARGUMENT);
    wtgram_listen_options_init(&listen);
    listen.server_id = id;
    listen.server_id_length = 12;
    CHECK_STATUS(wtgram_server_listen(&listen, &server, NULL, 0), WTGRAM_ERROR_INVALID_ARGUMENT);
    listen.server_id_length = 0;
    listen.server_id_rotation = 1; /* of no id */
    CHECK_STATUS(wtgram_server_listen(&listen, &server, NULL, 0), WTGRAM_ERROR_INVALID_ARGUMENT);
    listen.server_id_length = 11;
    listen.server_id_rotation = 7;
    CHECK_STATUS(wtgram_server_listen(&listen, &server, NULL, 0), WTGRAM_ERROR_INVALID_ARGUMENT);
}

static void exchange_all(void)
{
    for (int i = 0; i < CLIENTS; i++) {
        wtgram_transport near_end, far_end;
        CHECK_OK(wtgram_session_get_transport(clients[i], &near_end));
        CHECK_OK(wtgram_session_get_transport(accepted[i], &far_end));
        pair_exchange(near_end, far_end, &i, sizeof i);
        pair_exchange(far_end, near_end, &i, sizeof i);
    }
}

int main(void)
{
    struct pair pair;
    wtgram_listen_options listen;
    wtgram_connect_options connect;
    wtgram_server_stats stats;
    wtgram_session session, under_way[UNDER_WAY];
    const uint8_t id[3] = {1, 2, 3};
    options();

    TEST("200 clients get in, and datagrams go both ways on both lanes");
    wtgram_listen_options_init(&listen);
    listen.handshake_timeout_us = PATIENCE_US;
    listen.server_id = id;
    listen.server_id_length = sizeof id;
    pair_listen_with(&pair, &listen);
    CHECK_UINT(lanes(), 2);
    for (int i = 0; i < CLIENTS; i++) {
        char address[32];
        pair_trust(&connect, &pair);
        snprintf(address, sizeof address, "127.0.0.%d", 2 + i);
        connect.bind_host = address;
        CHECK_OK(wtgram_session_connect(pair.url, &connect, &clients[i], NULL, 0));
        CHECK_OK(wtgram_server_accept(pair.server, PATIENCE_US, &accepted[i]));
    }
    exchange_all();
    wtgram_server_stats_init(&stats);
    CHECK_OK(wtgram_server_get_stats(pair.server, &stats));
    CHECK_UINT(stats.connections, CLIENTS);

    TEST("a second server does not get the port");
    uint16_t port = 0;
    wtgram_server second;
    CHECK_OK(wtgram_server_get_local_port(pair.server, &port));
    wtgram_listen_options_init(&listen);
    listen.host = "127.0.0.1";
    listen.port = port;
    CHECK_STATUS(wtgram_server_listen(&listen, &second, NULL, 0), WTGRAM_ERROR_IO);

    TEST("after stop_listening no lane lets anybody in, and the sessions go on");
    CHECK_OK(wtgram_server_stop_listening(pair.server));
    for (int i = 0; i < 8; i++) {
        char address[32];
        pair_trust(&connect, &pair);
        snprintf(address, sizeof address, "127.0.1.%d", 2 + i);
        connect.bind_host = address;
        CHECK_STATUS(wtgram_session_connect(pair.url, &connect, &session, NULL, 0), WTGRAM_ERROR_CONNECTION_REFUSED);
    }
    exchange_all();

    TEST("shutdown while handshakes are under way ends all");
    struct pair other;
    wtgram_listen_options_init(&listen);
    listen.handshake_timeout_us = PATIENCE_US;
    pair_listen_with(&other, &listen);
    pair_trust(&connect, &other);
    for (int i = 0; i < UNDER_WAY; i++)
        CHECK_OK(wtgram_session_connect_start(other.url, &connect, &under_way[i], NULL, 0));
    CHECK_OK(wtgram_shutdown(PATIENCE_US));
    CHECK_UINT(lanes(), 0);
    for (int i = 0; i < UNDER_WAY; i++) wtgram_session_free(under_way[i]);
    for (int i = 0; i < CLIENTS; i++) {
        wtgram_session_free(clients[i]);
        wtgram_session_free(accepted[i]);
    }
    wtgram_server_free(pair.server);
    wtgram_server_free(other.server);
    return 0;
}
