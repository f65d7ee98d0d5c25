/* One poller for all objects: level-triggered, with one descriptor that is readable while an object is ready. */
#include "blocked.h"
#include "check.h"
#include "pair.h"

#include <poll.h>

static bool descriptor_readable(wtgram_poller poller, int timeout_ms)
{
    struct pollfd entry;
    int fd = -1;
    CHECK_OK(wtgram_poller_get_fd(poller, &fd));
    CHECK(fd >= 0);
    entry.fd = fd;
    entry.events = POLLIN;
    entry.revents = 0;
    return poll(&entry, 1, timeout_ms) == 1;
}

/* Waits for the event of `cookie`, and checks that it has at least the bits `ready`. */
static void expect_event(wtgram_poller poller, uint64_t object, uint64_t cookie, uint32_t ready)
{
    wtgram_event events[16];
    int64_t start = now_us();
    while (now_us() - start < PATIENCE_US) {
        size_t count = 0;
        CHECK_OK(wtgram_poller_wait(poller, PATIENCE_US, events, 16, &count));
        CHECK(count >= 1);
        for (size_t i = 0; i < count; i++) {
            if (events[i].cookie == cookie && (events[i].ready & ready) == ready) {
                CHECK_UINT(events[i].object, object);
                return;
            }
        }
    }
    check_fail(__FILE__, __LINE__, "the event never came");
}

static void expect_silence(wtgram_poller poller)
{
    wtgram_event events[4];
    size_t count = 9;
    CHECK_STATUS(wtgram_poller_wait(poller, 0, events, 4, &count), WTGRAM_ERROR_WOULD_BLOCK);
    CHECK_UINT(count, 0);
    count = 9;
    CHECK_STATUS(wtgram_poller_wait(poller, 20 * MILLISECOND_US, events, 4, &count), WTGRAM_ERROR_TIMED_OUT);
    CHECK_UINT(count, 0);
    CHECK(!descriptor_readable(poller, 0));
}

static void readable_is_level_triggered(void)
{
    struct pair pair;
    wtgram_poller poller;
    uint8_t buffer[16];
    size_t length = 0;
    pair_open(&pair, NULL);
    CHECK_OK(wtgram_poller_new(&poller));
    TEST("an empty poller, and one whose objects are idle, are silent");
    expect_silence(poller);
    CHECK_OK(wtgram_poller_add(poller, pair.accepted_datagrams.id, WTGRAM_READY_READABLE, 42));
    expect_silence(poller);
    TEST("a datagram makes the object and the descriptor readable, again and again, until it is taken");
    CHECK_OK(wtgram_transport_send(pair.client_datagrams, (const uint8_t *)"a", 1, NULL));
    CHECK(descriptor_readable(poller, 10 * 1000));
    for (int i = 0; i < 3; i++) {
        expect_event(poller, pair.accepted_datagrams.id, 42, WTGRAM_READY_READABLE);
        CHECK(descriptor_readable(poller, 0));
    }
    CHECK_OK(wtgram_transport_try_receive(pair.accepted_datagrams, buffer, sizeof buffer, &length));
    expect_silence(poller);
    TEST("after that it becomes readable again, a hundred times");
    for (int i = 0; i < 100; i++) {
        CHECK_OK(wtgram_transport_send(pair.client_datagrams, (const uint8_t *)"b", 1, NULL));
        CHECK(descriptor_readable(poller, 10 * 1000));
        expect_event(poller, pair.accepted_datagrams.id, 42, WTGRAM_READY_READABLE);
        CHECK_OK(wtgram_transport_try_receive(pair.accepted_datagrams, buffer, sizeof buffer, &length));
    }
    TEST("modify changes interest and cookie; remove ends it");
    CHECK_OK(wtgram_poller_modify(poller, pair.accepted_datagrams.id, WTGRAM_READY_WRITABLE, 43));
    expect_event(poller, pair.accepted_datagrams.id, 43, WTGRAM_READY_WRITABLE);
    CHECK_OK(wtgram_poller_remove(poller, pair.accepted_datagrams.id));
    expect_silence(poller);
    TEST("adding twice, and changing or removing what is not there, is refused");
    CHECK_OK(wtgram_poller_add(poller, pair.client_datagrams.id, WTGRAM_READY_READABLE, 1));
    CHECK(wtgram_poller_add(poller, pair.client_datagrams.id, WTGRAM_READY_READABLE, 1) != WTGRAM_OK);
    CHECK(wtgram_poller_modify(poller, pair.accepted_datagrams.id, WTGRAM_READY_READABLE, 1) != WTGRAM_OK);
    CHECK(wtgram_poller_remove(poller, pair.accepted_datagrams.id) != WTGRAM_OK);
    wtgram_poller_free(poller);
    pair_free(&pair);
}

static void accept_and_close_are_events(void)
{
    struct pair pair;
    wtgram_poller poller;
    wtgram_session client, accepted;
    pair_listen(&pair, NULL);
    CHECK_OK(wtgram_poller_new(&poller));
    CHECK_OK(wtgram_poller_add(poller, pair.server.id, WTGRAM_READY_ACCEPT | WTGRAM_READY_CLOSED, 7));
    expect_silence(poller);
    TEST("a session that waits is reported until it is accepted");
    wtgram_connect_options options;
    wtgram_connect_options_init(&options);
    options.trust = WTGRAM_TRUST_CERTIFICATE_HASHES;
    options.certificate_hashes = pair.hash;
    options.certificate_hashes_count = 1;
    CHECK_OK(wtgram_session_connect(pair.url, &options, &client, NULL, 0));
    expect_event(poller, pair.server.id, 7, WTGRAM_READY_ACCEPT);
    expect_event(poller, pair.server.id, 7, WTGRAM_READY_ACCEPT);
    CHECK_OK(wtgram_server_accept(pair.server, 0, &accepted));
    expect_silence(poller);
    TEST("the peer's close is reported on the session and on its transport");
    wtgram_transport datagrams;
    CHECK_OK(wtgram_session_get_transport(accepted, &datagrams));
    CHECK_OK(wtgram_poller_add(poller, accepted.id, WTGRAM_READY_CLOSED, 8));
    CHECK_OK(wtgram_poller_add(poller, datagrams.id, WTGRAM_READY_CLOSED | WTGRAM_READY_READABLE, 9));
    expect_silence(poller);
    CHECK_OK(wtgram_session_close(client, 1, NULL, 0));
    expect_event(poller, accepted.id, 8, WTGRAM_READY_CLOSED);
    expect_event(poller, datagrams.id, 9, WTGRAM_READY_CLOSED);
    TEST("an object that is closed already can be added and is reported at once");
    CHECK_OK(wtgram_poller_remove(poller, accepted.id));
    CHECK_OK(wtgram_poller_add(poller, accepted.id, WTGRAM_READY_CLOSED, 10));
    expect_event(poller, accepted.id, 10, WTGRAM_READY_CLOSED);
    TEST("a freed object leaves the poller by itself, at once");
    wtgram_session_free(accepted);
    CHECK_STATUS(wtgram_poller_remove(poller, accepted.id), WTGRAM_ERROR_INVALID_STATE);
    CHECK_STATUS(wtgram_poller_remove(poller, datagrams.id), WTGRAM_ERROR_INVALID_STATE);
    wtgram_session_free(client);
    expect_silence(poller);
    TEST("closing the server is an event");
    CHECK_OK(wtgram_server_close(pair.server));
    expect_event(poller, pair.server.id, 7, WTGRAM_READY_CLOSED);
    wtgram_poller_free(poller);
    pair_free(&pair);
}

static void writable_follows_the_queue(void)
{
    struct pair pair;
    struct pair_options options;
    wtgram_transport_options transport;
    wtgram_poller poller;
    static uint8_t data[1000];
    wtgram_transport_options_init(&transport);
    transport.outgoing_max_datagrams = 4;
    transport.outgoing_full_policy = WTGRAM_FULL_REJECT;
    memset(&options, 0, sizeof options);
    options.transport = &transport;
    pair_open(&pair, &options);
    CHECK_OK(wtgram_poller_new(&poller));
    TEST("with room the transport is writable; after a refused datagram it becomes writable again");
    CHECK_OK(wtgram_poller_add(poller, pair.client_datagrams.id, WTGRAM_READY_WRITABLE, 1));
    expect_event(poller, pair.client_datagrams.id, 1, WTGRAM_READY_WRITABLE);
    bool refused = false;
    for (int i = 0; i < 2000000 && !refused; i++) {
        wtgram_status status = wtgram_transport_try_send(pair.client_datagrams, data, sizeof data, NULL);
        refused = status == WTGRAM_ERROR_QUEUE_FULL;
        if (!refused) CHECK_OK(status);
    }
    CHECK(refused); /* a tight loop of sends is faster than a queue of four */
    expect_event(poller, pair.client_datagrams.id, 1, WTGRAM_READY_WRITABLE);
    CHECK_OK(wtgram_transport_send(pair.client_datagrams, data, sizeof data, NULL));
    wtgram_poller_free(poller);
    pair_free(&pair);
}

enum { MANY = 50 };

static void many_objects_in_one_poller(void)
{
    struct pair pair;
    wtgram_poller poller;
    wtgram_session clients[MANY], accepted[MANY];
    wtgram_transport from[MANY], to[MANY];
    bool seen[MANY];
    size_t seen_count = 0;
    memset(seen, 0, sizeof seen);
    pair_listen(&pair, NULL);
    CHECK_OK(wtgram_poller_new(&poller));
    for (size_t i = 0; i < MANY; i++) {
        pair_connect(&pair, NULL, &clients[i], &accepted[i]);
        CHECK_OK(wtgram_session_get_transport(clients[i], &from[i]));
        CHECK_OK(wtgram_session_get_transport(accepted[i], &to[i]));
        CHECK_OK(wtgram_poller_add(poller, to[i].id, WTGRAM_READY_READABLE | WTGRAM_READY_CLOSED, i));
    }
    expect_silence(poller);
    TEST("fifty sessions, one poller, room for 7 events at a time: each is reported, none starves");
    for (size_t i = 0; i < MANY; i++) CHECK_OK(wtgram_transport_send(from[i], (const uint8_t *)&i, sizeof i, NULL));
    /* The test does not receive the datagrams of the objects seen first. They stay ready, and the others must still get
     * their turn. */
    for (int64_t start = now_us(); seen_count < MANY && now_us() - start < PATIENCE_US;) {
        wtgram_event events[7];
        size_t count = 0, seen_before = seen_count;
        CHECK_OK(wtgram_poller_wait(poller, PATIENCE_US, events, 7, &count));
        CHECK(count >= 1 && count <= 7);
        for (size_t i = 0; i < count; i++) {
            CHECK(events[i].cookie < MANY);
            CHECK_UINT(events[i].object, to[events[i].cookie].id);
            CHECK_UINT(events[i].ready, WTGRAM_READY_READABLE);
            seen_count += !seen[events[i].cookie];
            seen[events[i].cookie] = true;
        }
        if (seen_count == seen_before) sleep_us(MILLISECOND_US); /* datagrams of the others are still on their way */
    }
    CHECK_UINT(seen_count, MANY);
    for (size_t i = 0; i < MANY; i++) {
        size_t number = 0, length = 0;
        CHECK_OK(wtgram_transport_try_receive(to[i], (uint8_t *)&number, sizeof number, &length));
        CHECK_UINT(number, i);
    }
    expect_silence(poller);
    for (size_t i = 0; i < MANY; i++) {
        wtgram_session_free(clients[i]);
        wtgram_session_free(accepted[i]);
    }
    wtgram_poller_free(poller);
    pair_free(&pair);
}

static void freed_objects_on_a_transport_leave(void)
{
    static const wtgram_object_type types[] = {{1, 0, 0, {0, 0}}};
    struct pair pair;
    wtgram_poller poller;
    wtgram_reliability layer;
    wtgram_structured over_transport, over_session, over_reliability;
    wtgram_monitor monitor;
    pair_open(&pair, NULL);
    CHECK_OK(wtgram_poller_new(&poller));
    CHECK_OK(wtgram_reliability_open_over_transport(pair.client_datagrams, NULL, &layer));
    CHECK_OK(wtgram_structured_open_over_reliability(layer, types, 1, NULL, &over_reliability));
    CHECK_OK(wtgram_structured_open_over_session(pair.client, types, 1, NULL, &over_session));
    CHECK_OK(wtgram_structured_open_over_transport(pair.accepted_datagrams, types, 1, NULL, &over_transport));
    CHECK_OK(wtgram_monitor_open(pair.accepted_datagrams, NULL, &monitor));
    const uint64_t all[] = {over_reliability.id, over_session.id, layer.id, monitor.id, over_transport.id};
    enum { ALL = sizeof all / sizeof all[0] };
    for (size_t i = 0; i < ALL; i++) CHECK_OK(wtgram_poller_add(poller, all[i], 0, i));
    expect_silence(poller);
    TEST("structured transports of every form, monitors and layers leave the poller when they are freed");
    wtgram_structured_free(over_reliability);
    wtgram_structured_free(over_session);
    wtgram_reliability_free(layer);
    wtgram_monitor_free(monitor);
    wtgram_structured_free(over_transport);
    expect_silence(poller);
    for (size_t i = 0; i < ALL; i++) {
        CHECK_STATUS(wtgram_poller_remove(poller, all[i]), WTGRAM_ERROR_INVALID_STATE);
        CHECK_STATUS(wtgram_poller_add(poller, all[i], 0, i), WTGRAM_ERROR_INVALID_HANDLE);
    }
    TEST("closed ones stay, and are reported, until they are freed");
    CHECK_OK(wtgram_monitor_open(pair.client_datagrams, NULL, &monitor));
    CHECK_OK(wtgram_poller_add(poller, monitor.id, WTGRAM_READY_ALERT, 77));
    CHECK_OK(wtgram_monitor_close(monitor));
    expect_event(poller, monitor.id, 77, WTGRAM_READY_CLOSED);
    expect_event(poller, monitor.id, 77, WTGRAM_READY_CLOSED);
    wtgram_monitor_free(monitor);
    expect_silence(poller);
    wtgram_poller_free(poller);
    pair_free(&pair);
}

static wtgram_status wait_for_one(void *argument)
{
    wtgram_event event;
    size_t count = 0;
    wtgram_status status = wtgram_poller_wait(*(wtgram_poller *)argument, WTGRAM_FOREVER, &event, 1, &count);
    CHECK(status != WTGRAM_OK || count == 1);
    return status;
}

static void every_waiting_thread_hears(void)
{
    struct pair pair;
    struct blocked threads[3];
    wtgram_poller poller;
    pair_open(&pair, NULL);
    CHECK_OK(wtgram_poller_new(&poller));
    CHECK_OK(wtgram_poller_add(poller, pair.accepted_datagrams.id, WTGRAM_READY_READABLE, 1));
    TEST("of three threads that wait on one poller each wakes while something is ready");
    for (size_t i = 0; i < 3; i++) blocked_start(&threads[i], wait_for_one, &poller);
    CHECK_OK(wtgram_transport_send(pair.client_datagrams, (const uint8_t *)"a", 1, NULL));
    for (size_t i = 0; i < 3; i++) blocked_expect(&threads[i], WTGRAM_OK);
    wtgram_poller_free(poller);
    pair_free(&pair);
}

int main(void)
{
    readable_is_level_triggered();
    accept_and_close_are_events();
    writable_follows_the_queue();
    many_objects_in_one_poller();
    freed_objects_on_a_transport_leave();
    every_waiting_thread_hears();
    return 0;
}
