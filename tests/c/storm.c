/* All kinds of objects at once: servers, sessions, transports, reliability layers, structured transports of every form,
 * monitors and broadcasters come and go on one poller, from eight threads. The poller reports no object that was freed
 * before the wait began, no wake-up is lost, and the counts add up. `WTGRAM_STORM_SECONDS` sets for how long (30),
 * `WTGRAM_STORM_LANES` on how many lanes (1). ctest-timeout: 180 */
#include "check.h"
#include "pair.h"

#include <pthread.h>

#define LOAD(variable)       __atomic_load_n(&(variable), __ATOMIC_SEQ_CST)
#define STORE(variable, to)  __atomic_store_n(&(variable), (to), __ATOMIC_SEQ_CST)
#define ADD(variable, count) __atomic_add_fetch(&(variable), (count), __ATOMIC_SEQ_CST)

enum { WAITERS = 2, SENDERS = 2, COOKIES = 1 << 20, PATIENCE_S = 60 };
enum form { PLAIN, RELIABLE, OVER_TRANSPORT, OVER_SESSION, OVER_RELIABILITY, PLACES };
static const wtgram_object_type TYPES[] = {{1, 0, 0, {0, 0}}};
static const wtgram_object_type TYPES_BESIDE[] = {{7, 0, 0, {0, 0}}};

/* A session that lasts, and the objects over both its ends. The poller has its far end; the cookie is the number of the
 * place. */
struct place {
    struct pair pair;
    wtgram_reliability near_layer, far_layer;
    wtgram_structured near_structured, far_structured;
    uint64_t far_object;
    uint64_t sent, received, outcomes;
};

/* What a cookie stands for. Cookies of places are their numbers; every other cookie is used once. */
enum kind { NOTHING, SERVER, OUTCOMES, PASSING, ACCEPTED };
struct registered {
    uint32_t kind;
    uint64_t object;
    uint64_t freed; /* the clock after its free returned; 0 before */
    wtgram_session session;
};

static struct place places[PLACES];
static struct registered registered[COOKIES];
static wtgram_poller poller;
static wtgram_server server;
static char url[128];
static uint8_t hash[WTGRAM_CERTIFICATE_HASH_LENGTH];
static uint64_t last_cookie = PLACES, ticks = 1, connected, accepted_count, broadcasts, events_seen;
static int stop_changing, stop_waiting;

static uint32_t draw(uint32_t *state, uint32_t limit)
{
    *state = *state * 1664525u + 1013904223u;
    return (*state >> 8) % limit;
}

/* Checks the status of a call on an object that another thread may free. */
static void check_passing(wtgram_status status)
{
    CHECK(status == WTGRAM_OK || status == WTGRAM_ERROR_WOULD_BLOCK || status == WTGRAM_ERROR_CLOSED ||
          status == WTGRAM_ERROR_INVALID_HANDLE || status == WTGRAM_ERROR_INVALID_STATE ||
          status == WTGRAM_ERROR_QUEUE_FULL);
}

static uint64_t watch(enum kind kind, uint64_t object, uint32_t interest)
{
    uint64_t cookie = ADD(last_cookie, 1);
    CHECK(cookie < COOKIES);
    registered[cookie].object = object;
    STORE(registered[cookie].kind, kind);
    check_passing(wtgram_poller_add(poller, object, interest, cookie));
    return cookie;
}

/* To be called after a free: from now on no wait that begins may report it. */
static void is_freed(uint64_t cookie) { STORE(registered[cookie].freed, ADD(ticks, 1)); }

static bool is_one_shot(size_t place) { return place % 2 == 1; }

static uint32_t interest_of(size_t place)
{
    return WTGRAM_READY_READABLE | (is_one_shot(place) ? (uint32_t)WTGRAM_READY_ONE_SHOT : 0);
}

static wtgram_status receive_at(struct place *place, size_t form)
{
    uint8_t buffer[2048];
    size_t length = 0;
    uint32_t type = 0;
    switch (form) {
    case PLAIN: return wtgram_transport_try_receive(place->pair.accepted_datagrams, buffer, sizeof buffer, &length);
    case RELIABLE: return wtgram_reliability_try_receive(place->far_layer, buffer, sizeof buffer, &length);
    default: return wtgram_structured_try_receive(place->far_structured, buffer, sizeof buffer, &type, &length);
    }
}

static void drain_place(size_t number)
{
    struct place *place = &places[number];
    wtgram_status status = WTGRAM_OK;
    while ((status = receive_at(place, number)) == WTGRAM_OK) ADD(place->received, 1);
    CHECK_STATUS(status, WTGRAM_ERROR_WOULD_BLOCK);
    /* It drains first and arms then. Another thread may have removed the object from the poller; that thread adds it
     * again, armed. */
    if (is_one_shot(number))
        check_passing(wtgram_poller_modify(poller, place->far_object, interest_of(number), number));
}

static void accept_all(void)
{
    wtgram_session session;
    wtgram_transport datagrams;
    while (wtgram_server_accept(server, 0, &session) == WTGRAM_OK) {
        uint64_t cookie = ADD(last_cookie, 1);
        CHECK(cookie < COOKIES);
        CHECK_OK(wtgram_session_get_transport(session, &datagrams));
        registered[cookie].session = session;
        registered[cookie].object = datagrams.id;
        STORE(registered[cookie].kind, ACCEPTED);
        ADD(accepted_count, 1);
        CHECK_OK(wtgram_poller_add(poller, datagrams.id, WTGRAM_READY_READABLE, cookie));
    }
}

static void handle_accepted(struct registered *entry, uint64_t cookie, uint32_t ready)
{
    uint8_t buffer[2048];
    size_t length = 0;
    wtgram_transport datagrams = {entry->object};
    while (wtgram_transport_try_receive(datagrams, buffer, sizeof buffer, &length) == WTGRAM_OK) {
        check_passing(wtgram_transport_try_send(datagrams, buffer, length, NULL));
    }
    uint32_t expected = ACCEPTED;
    if ((ready & WTGRAM_READY_CLOSED) != 0 && __atomic_compare_exchange_n(&entry->kind, &expected, (uint32_t)NOTHING,
                                                                          false, __ATOMIC_SEQ_CST, __ATOMIC_SEQ_CST)) {
        wtgram_session_free(entry->session);
        is_freed(cookie);
    }
}

static void handle(const wtgram_event *event, uint64_t before)
{
    CHECK(event->cookie < COOKIES);
    struct registered *entry = &registered[event->cookie];
    if (event->cookie < PLACES) {
        CHECK_UINT(event->object, places[event->cookie].far_object);
        CHECK_UINT(event->ready, WTGRAM_READY_READABLE);
        drain_place(event->cookie);
        return;
    }
    CHECK_UINT(event->object, entry->object);
    uint64_t freed = LOAD(entry->freed);
    CHECK(freed == 0 || freed > before); /* otherwise the poller reported a freed object */
    switch (LOAD(entry->kind)) {
    case SERVER: accept_all(); break;
    case OUTCOMES: {
        wtgram_reliability_outcome outcomes[64];
        size_t count = 0;
        wtgram_reliability layer = {event->object};
        while (wtgram_reliability_next_outcomes(layer, 0, outcomes, 64, &count) == WTGRAM_OK) {
            for (size_t i = 0; i < count; i++) CHECK_UINT(outcomes[i].kind, WTGRAM_RELIABILITY_ACKNOWLEDGED);
            for (size_t i = 0; i < PLACES; i++)
                if (places[i].near_layer.id == layer.id) ADD(places[i].outcomes, count);
        }
        break;
    }
    case ACCEPTED: handle_accepted(entry, event->cookie, event->ready); break;
    default: break;
    }
}

static void *wait_for_events(void *argument)
{
    size_t room = *(size_t *)argument;
    while (!LOAD(stop_waiting)) {
        wtgram_event events[16];
        size_t count = 0;
        uint64_t before = LOAD(ticks);
        CHECK_OK(wtgram_poller_wait(poller, WTGRAM_FOREVER, events, room, &count));
        ADD(events_seen, count);
        for (size_t i = 0; i < count; i++) handle(&events[i], before);
    }
    return NULL;
}

static void send_at(struct place *place, size_t form, uint64_t number)
{
    char text[64];
    int length = snprintf(text, sizeof text, "{\"n\":%" PRIu64 "}", number);
    const uint8_t *data = (const uint8_t *)text;
    wtgram_status status = WTGRAM_OK;
    switch (form) {
    case PLAIN: status = wtgram_transport_send(place->pair.client_datagrams, data, (size_t)length, NULL); break;
    case RELIABLE: {
        wtgram_send_options options;
        wtgram_send_options_init(&options);
        options.timeout_us = PATIENCE_S * (int64_t)SECOND_US;
        options.report_id = number;
        status = wtgram_reliability_send(place->near_layer, data, (size_t)length, &options);
        break;
    }
    default: status = wtgram_structured_send(place->near_structured, 1, data, (size_t)length, NULL); break;
    }
    if (form == OVER_RELIABILITY && status == WTGRAM_ERROR_WOULD_BLOCK) { /* the window is full */
        sleep_us(MILLISECOND_US);
        return;
    }
    CHECK_OK(status);
    ADD(place->sent, 1);
}

static wtgram_transport_stats transport_figures(wtgram_transport transport)
{
    wtgram_transport_stats figures;
    wtgram_transport_stats_init(&figures);
    CHECK_OK(wtgram_transport_get_stats(transport, &figures));
    return figures;
}

static wtgram_reliability_stats layer_figures(wtgram_reliability layer)
{
    wtgram_reliability_stats figures;
    wtgram_reliability_stats_init(&figures);
    CHECK_OK(wtgram_reliability_get_stats(layer, &figures));
    return figures;
}

static wtgram_structured_stats structured_figures(wtgram_structured structured)
{
    wtgram_structured_stats figures;
    wtgram_structured_stats_init(&figures);
    CHECK_OK(wtgram_structured_get_stats(structured, &figures));
    return figures;
}

/* Whether everything that was sent has been received at the other end, by threads that learn of it only from the
 * poller. */
static bool is_taken(const struct place *place, size_t form)
{
    if (place->near_layer.id != 0) {
        wtgram_reliability_stats near_end = layer_figures(place->near_layer);
        return near_end.unresolved == 0 && layer_figures(place->far_layer).delivered == near_end.acknowledged;
    }
    if (transport_figures(place->pair.client_datagrams).send_queued != 0) return false;
    if (form == OVER_SESSION) return structured_figures(place->far_structured).receive_queued == 0;
    return transport_figures(place->pair.accepted_datagrams).receive_queued == 0;
}

static void wait_until_taken(const struct place *place, size_t form)
{
    int64_t start = now_us();
    while (!is_taken(place, form)) {
        if (now_us() - start > PATIENCE_S * (int64_t)SECOND_US) fprintf(stderr, "form %zu\n", form);
        CHECK(now_us() - start < PATIENCE_S * (int64_t)SECOND_US); /* otherwise a wake-up was lost */
        sleep_us(MILLISECOND_US);
    }
}

static void *send_to_places(void *argument)
{
    size_t first = *(size_t *)argument;
    uint64_t number = 1; /* 0 is not a report id */
    while (!LOAD(stop_changing)) {
        for (size_t burst = 0; burst < 200; burst++, number++)
            for (size_t i = first; i < PLACES; i += SENDERS) send_at(&places[i], i, number);
        for (size_t i = first; i < PLACES; i += SENDERS) wait_until_taken(&places[i], i);
    }
    return NULL;
}

/* Makes sessions with one object of each kind. The threads that wait accept and free the other ends. */
static void *connect_and_free(void *argument)
{
    uint32_t state = 7;
    (void)argument;
    while (!LOAD(stop_changing)) {
        wtgram_connect_options options;
        wtgram_session session;
        wtgram_transport datagrams;
        wtgram_reliability layer;
        wtgram_structured beside, over_layer;
        wtgram_monitor monitor;
        wtgram_connect_options_init(&options);
        options.trust = WTGRAM_TRUST_CERTIFICATE_HASHES;
        options.certificate_hashes = hash;
        options.certificate_hashes_count = 1;
        options.timeout_us = PATIENCE_S * (int64_t)SECOND_US;
        CHECK_OK(wtgram_session_connect(url, &options, &session, NULL, 0));
        ADD(connected, 1);
        CHECK_OK(wtgram_session_get_transport(session, &datagrams));
        CHECK_OK(wtgram_reliability_open_over_session(session, NULL, &layer));
        CHECK_OK(wtgram_structured_open_over_session(session, TYPES, 1, NULL, &beside));
        CHECK_OK(wtgram_structured_open_over_reliability(layer, TYPES, 1, NULL, &over_layer));
        CHECK_OK(wtgram_monitor_open(datagrams, NULL, &monitor));
        const uint64_t cookies[] = {
            watch(PASSING, session.id, WTGRAM_READY_CONNECTED),
            watch(PASSING, datagrams.id, WTGRAM_READY_SIZE_CHANGED),
            watch(PASSING, layer.id, WTGRAM_READY_OUTCOME),
            watch(PASSING, beside.id, WTGRAM_READY_READABLE),
            watch(PASSING, over_layer.id, 0),
            watch(PASSING, monitor.id, WTGRAM_READY_ALERT),
        };
        for (int i = 0; i < 20; i++) check_passing(wtgram_transport_try_send(datagrams, hash, 8, NULL));
        bool closes_first = draw(&state, 2) == 0;
        if (closes_first) CHECK_OK(wtgram_session_close(session, 3, NULL, 0));
        wtgram_monitor_free(monitor);
        is_freed(cookies[5]);
        wtgram_structured_free(over_layer);
        is_freed(cookies[4]);
        wtgram_structured_free(beside);
        is_freed(cookies[3]);
        wtgram_reliability_free(layer);
        is_freed(cookies[2]);
        wtgram_session_free(session);
        is_freed(cookies[1]);
        is_freed(cookies[0]);
        sleep_us(draw(&state, 5) * MILLISECOND_US);
    }
    return NULL;
}

/* On the lasting sessions: opens monitors and structured transports beside the readers, and broadcasts. */
static void *open_beside_and_broadcast(void *argument)
{
    uint32_t state = 11;
    (void)argument;
    while (!LOAD(stop_changing)) {
        const struct place *place = &places[draw(&state, PLACES)];
        wtgram_monitor monitor;
        wtgram_structured beside;
        wtgram_broadcaster broadcaster;
        wtgram_broadcaster_stats figures;
        size_t accepted = 0, sum = 0;
        CHECK_OK(wtgram_monitor_open(place->pair.client_datagrams, NULL, &monitor));
        CHECK_OK(wtgram_structured_open_over_session(place->pair.accepted, TYPES_BESIDE, 1, NULL, &beside));
        uint64_t monitored = watch(PASSING, monitor.id, WTGRAM_READY_ALERT);
        uint64_t structured = watch(PASSING, beside.id, WTGRAM_READY_READABLE);
        CHECK_OK(wtgram_broadcaster_new(NULL, &broadcaster));
        CHECK_OK(wtgram_broadcaster_add_transport(broadcaster, places[PLAIN].pair.client_datagrams));
        CHECK_OK(wtgram_broadcaster_add_reliability(broadcaster, places[RELIABLE].near_layer));
        uint32_t rounds = 1 + draw(&state, 5);
        for (uint32_t i = 0; i < rounds; i++) {
            CHECK_OK(wtgram_broadcaster_broadcast(broadcaster, hash, 16, NULL, NULL, 0, NULL, &accepted));
            sum += accepted;
        }
        wtgram_broadcaster_stats_init(&figures);
        CHECK_OK(wtgram_broadcaster_get_stats(broadcaster, &figures));
        CHECK_UINT(figures.broadcasts, rounds);
        CHECK_UINT(figures.accepted, sum);
        CHECK_UINT(figures.accepted + figures.dropped, 2 * (uint64_t)rounds);
        ADD(broadcasts, rounds);
        wtgram_broadcaster_free(broadcaster);
        wtgram_structured_free(beside);
        is_freed(structured);
        wtgram_monitor_free(monitor);
        is_freed(monitored);
        sleep_us(draw(&state, 3) * MILLISECOND_US);
    }
    return NULL;
}

/* Removes the lasting objects from the poller, adds them again, and adds them to other pollers. */
static void *change_interests(void *argument)
{
    uint32_t state = 13;
    (void)argument;
    while (!LOAD(stop_changing)) {
        size_t number = draw(&state, PLACES);
        struct place *place = &places[number];
        if (draw(&state, 2) == 0) {
            CHECK_OK(wtgram_poller_remove(poller, place->far_object));
            CHECK_OK(wtgram_poller_add(poller, place->far_object, interest_of(number), number));
        } else {
            CHECK_OK(wtgram_poller_modify(poller, place->far_object, interest_of(number), number));
        }
        if (draw(&state, 16) == 0) {
            wtgram_poller other;
            wtgram_event events[PLACES];
            size_t count = 0;
            CHECK_OK(wtgram_poller_new(&other));
            for (size_t i = 0; i < PLACES; i++)
                CHECK_OK(wtgram_poller_add(other, places[i].far_object, WTGRAM_READY_READABLE, i));
            (void)!wtgram_poller_wait(other, MILLISECOND_US, events, PLACES, &count);
            wtgram_poller_free(other);
        }
        sleep_us(draw(&state, 500));
    }
    return NULL;
}

/* Wakes the poller, and also waits with a timeout of its own: it receives what it finds, as the others do. */
static void *wake_and_look(void *argument)
{
    uint32_t state = 17;
    (void)argument;
    while (!LOAD(stop_changing)) {
        wtgram_event events[4];
        size_t count = 0;
        if (draw(&state, 4) == 0) CHECK_OK(wtgram_poller_wake(poller));
        uint64_t before = LOAD(ticks);
        wtgram_status status = wtgram_poller_wait(poller, draw(&state, 2000), events, 4, &count);
        CHECK(status == WTGRAM_OK || status == WTGRAM_ERROR_TIMED_OUT || status == WTGRAM_ERROR_WOULD_BLOCK);
        for (size_t i = 0; i < count; i++) handle(&events[i], before);
    }
    return NULL;
}

static void open_place(size_t form)
{
    struct place *place = &places[form];
    pair_open(&place->pair, NULL);
    const struct pair *pair = &place->pair;
    if (form == RELIABLE || form == OVER_RELIABILITY) {
        CHECK_OK(wtgram_reliability_open_over_transport(pair->client_datagrams, NULL, &place->near_layer));
        CHECK_OK(wtgram_reliability_open_over_session(pair->accepted, NULL, &place->far_layer));
        place->far_object = place->far_layer.id;
    }
    if (form == PLAIN) place->far_object = pair->accepted_datagrams.id;
    if (form == OVER_TRANSPORT) {
        CHECK_OK(
            wtgram_structured_open_over_transport(pair->client_datagrams, TYPES, 1, NULL, &place->near_structured));
        CHECK_OK(
            wtgram_structured_open_over_transport(pair->accepted_datagrams, TYPES, 1, NULL, &place->far_structured));
    }
    if (form == OVER_SESSION) {
        CHECK_OK(wtgram_structured_open_over_session(pair->client, TYPES, 1, NULL, &place->near_structured));
        CHECK_OK(wtgram_structured_open_over_session(pair->accepted, TYPES, 1, NULL, &place->far_structured));
    }
    if (form == OVER_RELIABILITY) {
        CHECK_OK(wtgram_structured_open_over_reliability(place->near_layer, TYPES, 1, NULL, &place->near_structured));
        CHECK_OK(wtgram_structured_open_over_reliability(place->far_layer, TYPES, 1, NULL, &place->far_structured));
    }
    if (place->far_structured.id != 0) place->far_object = place->far_structured.id;
    if (form == RELIABLE) watch(OUTCOMES, place->near_layer.id, WTGRAM_READY_OUTCOME);
    CHECK_OK(wtgram_poller_add(poller, place->far_object, interest_of(form), form));
}

static void check_counts(size_t form)
{
    const struct place *place = &places[form];
    wtgram_transport_stats out = transport_figures(place->pair.client_datagrams);
    wtgram_transport_stats in = transport_figures(place->pair.accepted_datagrams);
    CHECK(place->sent > 0 && place->received > 0);
    CHECK_UINT(out.handed_in, out.sent + out.send_expired + out.send_evicted + out.send_rejected + out.send_too_large +
                                  out.send_failed + out.send_cleared + out.send_queued);
    CHECK_UINT(in.received,
               in.delivered + in.receive_expired + in.receive_dropped_full + in.receive_cleared + in.receive_queued);
    if (form == PLAIN) CHECK_UINT(place->received, in.delivered);
    if (form == OVER_SESSION) {
        wtgram_structured_stats far_end = structured_figures(place->far_structured);
        CHECK_UINT(place->received, far_end.received);
        CHECK_UINT(in.receive_routed, far_end.received + far_end.receive_queued);
        CHECK_UINT(in.receive_dropped_full, far_end.receive_dropped_full);
    }
    if (form == OVER_TRANSPORT) CHECK_UINT(place->received, structured_figures(place->far_structured).received);
    if (place->near_layer.id != 0) {
        wtgram_reliability_stats near_end = layer_figures(place->near_layer);
        CHECK_UINT(near_end.submitted, near_end.acknowledged);
        CHECK_UINT(place->received, near_end.acknowledged);
        CHECK_UINT(layer_figures(place->far_layer).delivered, place->received);
    }
    if (form == RELIABLE) CHECK_UINT(place->outcomes, place->sent);
}

int main(void)
{
    const char *text = getenv("WTGRAM_STORM_SECONDS");
    int64_t seconds = text ? atoi(text) : 30;
    const char *lanes = getenv("WTGRAM_STORM_LANES");
    struct pair listener;
    pthread_t waiters[WAITERS], changers[SENDERS + 4];
    size_t rooms[WAITERS] = {1, 16}, firsts[SENDERS] = {0, 1};
    if (lanes != NULL) {
        wtgram_runtime_options runtime;
        wtgram_runtime_options_init(&runtime);
        runtime.lanes = (uint32_t)atoi(lanes);
        CHECK_OK(wtgram_runtime_configure(&runtime));
    }
    pair_listen(&listener, NULL);
    server = listener.server;
    memcpy(url, listener.url, sizeof url);
    memcpy(hash, listener.hash, sizeof hash);
    CHECK_OK(wtgram_poller_new(&poller));
    watch(SERVER, server.id, WTGRAM_READY_ACCEPT);
    for (size_t i = 0; i < PLACES; i++) open_place(i);

    TEST("eight threads on one poller: no ghost, no lost wake-up");
    for (size_t i = 0; i < WAITERS; i++) CHECK(pthread_create(&waiters[i], NULL, wait_for_events, &rooms[i]) == 0);
    for (size_t i = 0; i < SENDERS; i++) CHECK(pthread_create(&changers[i], NULL, send_to_places, &firsts[i]) == 0);
    void *(*const others[4])(void *) = {connect_and_free, open_beside_and_broadcast, change_interests, wake_and_look};
    for (size_t i = 0; i < 4; i++) CHECK(pthread_create(&changers[SENDERS + i], NULL, others[i], NULL) == 0);
    sleep_us(seconds * SECOND_US);
    STORE(stop_changing, 1);
    for (size_t i = 0; i < SENDERS + 4; i++) CHECK(pthread_join(changers[i], NULL) == 0);
    for (size_t i = 0; i < PLACES; i++) wait_until_taken(&places[i], i);
    for (int64_t start = now_us(); LOAD(places[RELIABLE].outcomes) < places[RELIABLE].sent; sleep_us(MILLISECOND_US))
        CHECK(now_us() - start < PATIENCE_S * (int64_t)SECOND_US);
    CHECK(accepted_count > 0 && accepted_count <= connected); /* a session that ends early is never accepted */

    TEST("one wake for each thread that waits ends them all");
    STORE(stop_waiting, 1);
    for (size_t i = 0; i < WAITERS; i++) CHECK_OK(wtgram_poller_wake(poller));
    for (size_t i = 0; i < WAITERS; i++) CHECK(pthread_join(waiters[i], NULL) == 0);

    TEST("the counts add up in every form");
    for (size_t i = 0; i < PLACES; i++) check_counts(i);
    printf("  %" PRIu64 " events, %" PRIu64 " sessions came and went, %" PRIu64 " broadcasts, %" PRIu64
           " objects taken\n",
           events_seen, connected, broadcasts,
           places[0].received + places[1].received + places[2].received + places[3].received + places[4].received);

    TEST("when everything is freed the poller is empty");
    for (uint64_t i = PLACES; i <= last_cookie; i++)
        if (registered[i].kind == ACCEPTED) wtgram_session_free(registered[i].session);
    for (size_t i = 0; i < PLACES; i++) {
        wtgram_structured_free(places[i].near_structured);
        wtgram_structured_free(places[i].far_structured);
        wtgram_reliability_free(places[i].near_layer);
        wtgram_reliability_free(places[i].far_layer);
        pair_free(&places[i].pair);
    }
    pair_free(&listener);
    wtgram_event event;
    size_t count = 9;
    wtgram_status status = wtgram_poller_wait(poller, 0, &event, 1, &count);
    if (status == WTGRAM_OK) { /* a wake after an event had ended its wait */
        CHECK_UINT(count, 0);
        status = wtgram_poller_wait(poller, 0, &event, 1, &count);
    }
    CHECK_STATUS(status, WTGRAM_ERROR_WOULD_BLOCK);
    wtgram_poller_free(poller);
    return 0;
}
