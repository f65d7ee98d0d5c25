/* Broadcasters: each member gets a datagram once, a problem of one member does not affect the others, and in a storm
 * the counts add up. */
#include "check.h"
#include "pair.h"

#include <pthread.h>

static wtgram_broadcaster make(uint32_t policy, uint32_t limit)
{
    wtgram_broadcaster_options options;
    wtgram_broadcaster broadcaster;
    wtgram_broadcaster_options_init(&options);
    CHECK_UINT(options.slow_policy, WTGRAM_SLOW_DROP);
    options.slow_policy = policy;
    options.slow_limit = limit;
    CHECK_OK(wtgram_broadcaster_new(&options, &broadcaster));
    return broadcaster;
}

static size_t count_of(wtgram_broadcaster broadcaster)
{
    size_t count = 99;
    CHECK_OK(wtgram_broadcaster_get_member_count(broadcaster, &count));
    return count;
}

static size_t broadcast(wtgram_broadcaster broadcaster, const void *data, size_t length)
{
    size_t accepted = 99;
    CHECK_OK(wtgram_broadcaster_broadcast(broadcaster, (const uint8_t *)data, length, NULL, NULL, 0, NULL, &accepted));
    return accepted;
}

static void expect_received(wtgram_transport transport, const char *text)
{
    uint8_t buffer[64];
    size_t length = 0;
    CHECK_OK(wtgram_transport_receive(transport, PATIENCE_US, buffer, sizeof buffer, &length));
    CHECK_UINT(length, strlen(text));
    CHECK_BYTES(buffer, text, length);
}

enum { FEW = 3 };

static void members_come_and_go(void)
{
    struct pair pair;
    wtgram_session clients[FEW], accepted[FEW];
    wtgram_transport to[FEW];
    pair_listen(&pair, NULL);
    wtgram_broadcaster broadcaster = make(WTGRAM_SLOW_DROP, 1);
    TEST("a broadcaster without members is fine");
    CHECK_UINT(broadcast(broadcaster, "x", 1), 0);
    for (int i = 0; i < FEW; i++) {
        pair_connect(&pair, NULL, &clients[i], &accepted[i]);
        CHECK_OK(wtgram_session_get_transport(clients[i], &to[i]));
        CHECK_OK(wtgram_broadcaster_add_session(broadcaster, accepted[i]));
    }
    TEST("a session and its transport are one member; adding twice counts once");
    wtgram_transport first;
    CHECK_OK(wtgram_session_get_transport(accepted[0], &first));
    CHECK_OK(wtgram_broadcaster_add_transport(broadcaster, first));
    CHECK_OK(wtgram_broadcaster_add_session(broadcaster, accepted[0]));
    CHECK_UINT(count_of(broadcaster), FEW);
    CHECK_UINT(broadcast(broadcaster, "hello", 5), FEW);
    for (int i = 0; i < FEW; i++) expect_received(to[i], "hello");
    TEST("the result of each member; what does not fit the array is left out");
    static uint8_t large[70000];
    wtgram_broadcast_result results[FEW];
    size_t members = 0, took = 9;
    memset(results, 0x55, sizeof results);
    CHECK_OK(wtgram_broadcaster_broadcast(broadcaster, large, sizeof large, NULL, results, 2, &members, &took));
    CHECK_UINT(members, FEW);
    CHECK_UINT(took, 0);
    CHECK_STATUS(results[0].status, WTGRAM_ERROR_TOO_LARGE);
    CHECK_UINT(results[1].removed, 0);
    CHECK_UINT(results[2].member, UINT64_C(0x5555555555555555));
    CHECK_UINT(count_of(broadcaster), FEW); /* pywebtransport removes all members here */
    TEST("removed ones get nothing; removing twice is fine");
    CHECK_OK(wtgram_broadcaster_remove_transport(broadcaster, first));
    CHECK_OK(wtgram_broadcaster_remove_session(broadcaster, accepted[0]));
    CHECK_UINT(broadcast(broadcaster, "two", 3), FEW - 1);
    TEST("a closed member is reported once and gone");
    CHECK_OK(wtgram_session_close(accepted[1], 0, NULL, 0));
    CHECK_UINT(count_of(broadcaster), 1);
    CHECK_OK(wtgram_broadcaster_broadcast(broadcaster, (const uint8_t *)"x", 1, NULL, results, FEW, &members, &took));
    CHECK_UINT(members, 2);
    CHECK_UINT(took, 1);
    int closed = results[0].status == WTGRAM_ERROR_CLOSED ? 0 : 1;
    CHECK_STATUS(results[closed].status, WTGRAM_ERROR_CLOSED);
    CHECK_UINT(results[closed].removed, 1);
    CHECK_OK(results[1 - closed].status);
    CHECK_OK(wtgram_broadcaster_broadcast(broadcaster, (const uint8_t *)"x", 1, NULL, results, FEW, &members, &took));
    CHECK_UINT(members, 1);
    CHECK_STATUS(wtgram_broadcaster_add_session(broadcaster, accepted[1]), WTGRAM_ERROR_CLOSED);
    wtgram_broadcaster_stats statistics;
    wtgram_broadcaster_stats_init(&statistics);
    CHECK_OK(wtgram_broadcaster_get_stats(broadcaster, &statistics));
    CHECK_UINT(statistics.broadcasts, 6);
    CHECK_UINT(statistics.accepted, FEW + 2 + 1 + 1);
    CHECK_UINT(statistics.too_large, FEW);
    CHECK_UINT(statistics.closed, 1);
    TEST("shutdown clears and refuses; the members live on");
    CHECK_OK(wtgram_broadcaster_close(broadcaster));
    CHECK_OK(wtgram_broadcaster_close(broadcaster));
    CHECK_UINT(count_of(broadcaster), 0);
    CHECK_STATUS(wtgram_broadcaster_add_session(broadcaster, accepted[2]), WTGRAM_ERROR_CLOSED);
    CHECK_STATUS(wtgram_broadcaster_broadcast(broadcaster, NULL, 0, NULL, NULL, 0, &members, &took),
                 WTGRAM_ERROR_CLOSED);
    CHECK_UINT(members, 0);
    CHECK_UINT(took, 0);
    wtgram_broadcaster_free(broadcaster);
    wtgram_broadcaster_free(broadcaster);
    CHECK_STATUS(wtgram_broadcaster_close(broadcaster), WTGRAM_ERROR_INVALID_HANDLE);
    expect_received(to[2], "two");
    for (int i = 0; i < FEW; i++) {
        wtgram_session_free(clients[i]);
        wtgram_session_free(accepted[i]);
    }
    pair_free(&pair);
}

static void slow_members(void)
{
    struct pair pair;
    struct pair_options options;
    wtgram_transport_options transport;
    static uint8_t data[1000];
    memset(&options, 0, sizeof options);
    wtgram_transport_options_init(&transport);
    transport.outgoing_max_datagrams = 1;
    transport.outgoing_full_policy = WTGRAM_FULL_WAIT;
    options.transport = &transport;
    pair_open(&pair, &options);
    TEST("a member whose queue is full misses it, without a wait; after three in a row it is removed");
    wtgram_broadcaster broadcaster = make(WTGRAM_SLOW_REMOVE, 3);
    CHECK_OK(wtgram_broadcaster_add_transport(broadcaster, pair.client_datagrams));
    wtgram_broadcast_result result;
    size_t members = 1, accepted = 0, in_a_row = 0;
    int64_t start = now_us();
    while (members == 1 && now_us() - start < PATIENCE_US) {
        CHECK_OK(wtgram_broadcaster_broadcast(broadcaster, data, sizeof data, NULL, &result, 1, &members, &accepted));
        if (members == 0) break;
        in_a_row = accepted == 1 ? 0 : in_a_row + 1;
        CHECK(in_a_row <= 3);
        CHECK_UINT(result.removed, in_a_row == 3);
        if (accepted == 0) CHECK_STATUS(result.status, WTGRAM_ERROR_QUEUE_FULL);
    }
    CHECK_UINT(in_a_row, 3);
    CHECK_UINT(count_of(broadcaster), 0);
    TEST("there is no such policy, and no limit of 0");
    wtgram_broadcaster_options bad;
    wtgram_broadcaster none = {1};
    wtgram_broadcaster_options_init(&bad);
    bad.slow_policy = 2;
    CHECK_STATUS(wtgram_broadcaster_new(&bad, &none), WTGRAM_ERROR_INVALID_ARGUMENT);
    CHECK_UINT(none.id, 0);
    bad.slow_policy = WTGRAM_SLOW_REMOVE;
    bad.slow_limit = 0;
    CHECK_STATUS(wtgram_broadcaster_new(&bad, &none), WTGRAM_ERROR_INVALID_ARGUMENT);
    wtgram_broadcaster_free(broadcaster);
    pair_free(&pair);
}

/* The storm: members 0 to 7 are healthy, 8 to 15 come and go, 16 to 23 die. Queues are short and reject. */
enum { MEMBERS = 24, HEALTHY = 8, DYING = 16, SPEAKERS = 10, MOVERS = 3, KILLERS = 1, LISTENERS = 2, ROUNDS = 200 };

struct storm {
    struct pair pair;
    wtgram_broadcaster broadcaster;
    wtgram_session clients[MEMBERS], accepted[MEMBERS];
    wtgram_transport from[MEMBERS], to[MEMBERS];
    pthread_mutex_t mutex;
    uint64_t queued[MEMBERS], full[MEMBERS], large[MEMBERS], closed[MEMBERS], all, broadcasts;
    bool over;
};

static struct storm storm;
static uint8_t oversized[70000];

static bool storm_is_over(void)
{
    pthread_mutex_lock(&storm.mutex);
    bool over = storm.over;
    pthread_mutex_unlock(&storm.mutex);
    return over;
}

static void *speak(void *argument)
{
    wtgram_broadcast_result results[MEMBERS];
    (void)argument;
    for (int round = 0; round < ROUNDS; round++) {
        size_t members = 0, accepted = 0, ok = 0;
        bool large = round % 10 == 9;
        CHECK_OK(wtgram_broadcaster_broadcast(storm.broadcaster, oversized, large ? sizeof oversized : 200, NULL,
                                              results, MEMBERS, &members, &accepted));
        CHECK(members <= MEMBERS);
        pthread_mutex_lock(&storm.mutex);
        storm.broadcasts++;
        storm.all += members;
        for (size_t i = 0; i < members; i++) {
            size_t member = 0;
            while (member < MEMBERS && storm.from[member].id != results[i].member) member++;
            CHECK(member < MEMBERS);
            switch (results[i].status) {
            case WTGRAM_OK: storm.queued[member]++, ok++; break;
            case WTGRAM_ERROR_QUEUE_FULL: storm.full[member]++; break;
            case WTGRAM_ERROR_TOO_LARGE: storm.large[member]++; break;
            default: CHECK_STATUS(results[i].status, WTGRAM_ERROR_CLOSED); storm.closed[member]++;
            }
            CHECK_UINT(results[i].removed, results[i].status == WTGRAM_ERROR_CLOSED);
            CHECK(large ? results[i].status != WTGRAM_OK : results[i].status != WTGRAM_ERROR_TOO_LARGE);
        }
        pthread_mutex_unlock(&storm.mutex);
        CHECK_UINT(ok, accepted);
        if (round % 4 == 0) sleep_us(200);
    }
    return NULL;
}

static void *move(void *argument)
{
    unsigned seed = (unsigned)(uintptr_t)argument * 2654435761u + 1;
    while (!storm_is_over()) {
        seed = seed * 1664525u + 1013904223u;
        size_t member = HEALTHY + (seed >> 16) % (DYING - HEALTHY);
        if (seed >> 31 == 1) {
            CHECK_OK(wtgram_broadcaster_add_transport(storm.broadcaster, storm.from[member]));
        } else {
            CHECK_OK(wtgram_broadcaster_remove_session(storm.broadcaster, storm.accepted[member]));
        }
    }
    return NULL;
}

static void *kill_members(void *argument)
{
    (void)argument;
    for (size_t member = DYING; member < MEMBERS; member++) {
        sleep_us(10 * MILLISECOND_US);
        CHECK_OK(wtgram_session_close(member % 2 == 0 ? storm.accepted[member] : storm.clients[member], 0, NULL, 0));
    }
    return NULL;
}

static void *listen_to_it(void *argument)
{
    static uint8_t arenas[LISTENERS][64 * 1024];
    wtgram_received_datagram received[256];
    size_t listener = (size_t)(uintptr_t)argument, count = 0;
    while (!storm_is_over()) {
        for (size_t member = listener; member < MEMBERS; member += LISTENERS) {
            wtgram_status status = wtgram_transport_receive_batch(storm.to[member], 0, arenas[listener],
                                                                  sizeof arenas[listener], received, 256, &count);
            CHECK(status == WTGRAM_OK || status == WTGRAM_ERROR_WOULD_BLOCK || status == WTGRAM_ERROR_CLOSED);
        }
        sleep_us(200);
    }
    return NULL;
}

static void start_many(pthread_t *threads, size_t *running, size_t count, void *(*run)(void *))
{
    for (size_t i = 0; i < count; i++) {
        CHECK(pthread_create(&threads[(*running)++], NULL, run, (void *)(uintptr_t)i) == 0);
    }
}

static void a_storm(void)
{
    struct pair_options options;
    wtgram_transport_options transport;
    pthread_t threads[SPEAKERS + MOVERS + KILLERS + LISTENERS];
    size_t running = 0;
    memset(&options, 0, sizeof options);
    wtgram_transport_options_init(&transport);
    transport.outgoing_max_datagrams = 8;
    transport.outgoing_full_policy = WTGRAM_FULL_REJECT;
    options.transport = &transport;
    pair_listen(&storm.pair, &options);
    storm.broadcaster = make(WTGRAM_SLOW_DROP, 1);
    pthread_mutex_init(&storm.mutex, NULL);
    for (int i = 0; i < MEMBERS; i++) {
        pair_connect(&storm.pair, &options, &storm.clients[i], &storm.accepted[i]);
        CHECK_OK(wtgram_session_get_transport(storm.accepted[i], &storm.from[i]));
        CHECK_OK(wtgram_session_get_transport(storm.clients[i], &storm.to[i]));
        CHECK_OK(wtgram_broadcaster_add_transport(storm.broadcaster, storm.from[i]));
    }
    TEST("16 threads broadcast, add, remove, close and receive at once");
    start_many(threads, &running, SPEAKERS, speak);
    start_many(threads, &running, KILLERS, kill_members);
    start_many(threads, &running, MOVERS, move);
    start_many(threads, &running, LISTENERS, listen_to_it);
    CHECK_UINT(running, 16);
    for (size_t i = 0; i < SPEAKERS + KILLERS; i++) pthread_join(threads[i], NULL);
    pthread_mutex_lock(&storm.mutex);
    storm.over = true;
    pthread_mutex_unlock(&storm.mutex);
    for (size_t i = SPEAKERS + KILLERS; i < running; i++) pthread_join(threads[i], NULL);
    TEST("every member of every broadcast is in exactly one count, ours and the broadcaster's");
    wtgram_broadcaster_stats statistics;
    uint64_t queued = 0, full = 0, large = 0, closed = 0;
    wtgram_broadcaster_stats_init(&statistics);
    CHECK_OK(wtgram_broadcaster_get_stats(storm.broadcaster, &statistics));
    for (int i = 0; i < MEMBERS; i++) {
        queued += storm.queued[i];
        full += storm.full[i];
        large += storm.large[i];
        closed += storm.closed[i];
    }
    CHECK_UINT(statistics.broadcasts, SPEAKERS * ROUNDS);
    CHECK_UINT(storm.broadcasts, SPEAKERS * ROUNDS);
    CHECK_UINT(statistics.accepted, queued);
    CHECK_UINT(statistics.dropped, full);
    CHECK_UINT(statistics.too_large, large);
    CHECK_UINT(statistics.closed, closed);
    CHECK_UINT(statistics.failed, 0);
    CHECK_UINT(queued + full + large + closed, storm.all);
    TEST("healthy members were asked every time; all they had room for was sent, and they never left");
    for (int i = 0; i < DYING; i++) {
        wtgram_transport_stats sent;
        int64_t start = now_us();
        do {
            wtgram_transport_stats_init(&sent);
            CHECK_OK(wtgram_transport_get_stats(storm.from[i], &sent));
        } while (sent.send_queued > 0 && now_us() - start < PATIENCE_US);
        CHECK_UINT(sent.sent, storm.queued[i]);
        CHECK_UINT(sent.send_rejected, storm.full[i]);
        CHECK_UINT(sent.send_too_large, storm.large[i]);
        CHECK_UINT(sent.handed_in, sent.sent + sent.send_rejected + sent.send_too_large);
        CHECK_UINT(storm.closed[i], 0);
        if (i < HEALTHY) CHECK_UINT(sent.handed_in, SPEAKERS * ROUNDS);
    }
    TEST("the dead are gone");
    for (int i = DYING; i < MEMBERS; i++) {
        wtgram_close_info info;
        wtgram_close_info_init(&info);
        CHECK_OK(wtgram_session_wait_closed(storm.accepted[i], PATIENCE_US, &info));
    }
    CHECK_UINT(broadcast(storm.broadcaster, "end", 3), count_of(storm.broadcaster));
    for (int i = DYING; i < MEMBERS; i++) {
        CHECK_STATUS(wtgram_broadcaster_add_transport(storm.broadcaster, storm.from[i]), WTGRAM_ERROR_CLOSED);
    }
    wtgram_broadcaster_free(storm.broadcaster);
    for (int i = 0; i < MEMBERS; i++) {
        wtgram_session_free(storm.clients[i]);
        wtgram_session_free(storm.accepted[i]);
    }
    pthread_mutex_destroy(&storm.mutex);
    pair_free(&storm.pair);
}

int main(void)
{
    members_come_and_go();
    slow_members();
    a_storm();
    return 0;
}
