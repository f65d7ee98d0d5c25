// What a transport reports about datagrams and itself: metadata, JSON, outcomes, heartbeats, diagnosis, throughput.
#include "pair.hpp"

#include <gtest/gtest.h>

#include <thread>

using namespace wtgram_tests;

TEST(Metadata, SaysWhenWhichAndHowLong)
{
    pair p;
    const auto from = p.client.transport(), to = p.accepted.transport();
    std::uint8_t buffer[16];
    EXPECT_EQ(to.try_receive_with_metadata(buffer).error(), wtgram::errc::would_block);
    EXPECT_EQ(to.receive_with_metadata_for(buffer, 10ms).error(), wtgram::errc::timed_out);
    from.send("first");
    from.send("abc");
    EXPECT_TRUE(eventually([&] { return to.receive_buffer_size() == 2; }));
    std::this_thread::sleep_for(20ms);
    const auto first = to.receive_with_metadata(buffer, patience);
    EXPECT_EQ(first.size(), 5u);
    EXPECT_EQ(first.sequence(), 0u);
    EXPECT_EQ(first.checksum(), "");
    EXPECT_GE(first.age(), 20ms);
    EXPECT_EQ(first.waited(), 0us);
    const auto apart = std::chrono::system_clock::now() - first.arrived();
    EXPECT_LT(apart, 1min);
    EXPECT_GT(apart, -1min);
    std::size_t needed = 0;
    const auto small = to.receive_with_metadata_for(wtgram::bytes_buffer(buffer, 2), patience, true, &needed);
    ASSERT_FALSE(small);
    EXPECT_EQ(small.error(), wtgram::errc::buffer_too_small);
    EXPECT_EQ(needed, 3u);
    const auto second = to.receive_with_metadata(buffer, patience, true);
    EXPECT_EQ(second.sequence(), 1u);
    EXPECT_EQ(second.checksum(), "ba7816bf"); // FIPS 180-2, appendix B.1: SHA-256 of "abc"
    // On a busy machine the call may begin after the pause. Then it tries again.
    EXPECT_TRUE(eventually([&] {
        std::thread late([&] {
            std::this_thread::sleep_for(50ms);
            from.send("late");
        });
        const auto third = to.receive_with_metadata(buffer, patience);
        late.join();
        return third.waited() >= 20ms && third.age() <= third.waited();
    }));
}

TEST(Json, GoesCompactAndComesChecked)
{
    pair p;
    const auto from = p.client.transport(), to = p.accepted.transport();
    EXPECT_EQ(to.try_receive_json().error(), wtgram::errc::would_block);
    EXPECT_EQ(to.receive_json_for(10ms).error(), wtgram::errc::timed_out);
    from.send_json(" { \"a\" : [1, 2.50] } ");
    EXPECT_EQ(to.receive_json(patience), "{\"a\":[1,2.50]}");
    EXPECT_TRUE(from.try_send_json("[]"));
    EXPECT_TRUE(from.send_json_for("null", patience));
    EXPECT_EQ(to.receive_json(patience), "[]");
    EXPECT_EQ(to.receive_json(patience), "null");
    const std::string longer = '"' + std::string(900, 'x') + '"'; // more than fits the stack buffer
    from.send_json(longer);
    EXPECT_EQ(to.receive_json(patience), longer);
}

TEST(Json, WhatIsWrongIsSaid)
{
    pair p;
    const auto from = p.client.transport(), to = p.accepted.transport();
    wtgram::detail_text detail;
    EXPECT_EQ(from.try_send_json("{\"a\":NaN}", {}, &detail).error(), wtgram::errc::serialization);
    EXPECT_NE(detail.view().find("line 1"), std::string_view::npos) << detail.view();
    try {
        from.send_json("[1,");
        ADD_FAILURE() << "sent";
    } catch (const wtgram::error &failure) {
        EXPECT_EQ(failure.code(), wtgram::errc::serialization);
        EXPECT_NE(std::string_view(failure.what()).find("line 1"), std::string_view::npos) << failure.what();
    }
    from.send("no JSON");
    EXPECT_THROW(to.receive_json(patience), wtgram::error);
    from.send("true");
    EXPECT_EQ(to.receive_json(patience), "true");
}

TEST(Outcomes, EachIsGivenOnce)
{
    pair p(network::loses);
    const auto t = p.client.transport();
    EXPECT_EQ(t.try_next_outcome().error(), wtgram::errc::would_block);
    EXPECT_EQ(t.next_outcome_for(10ms).error(), wtgram::errc::timed_out);
    t.send("x", wtgram::send_options().report_id(7));
    const auto handed = t.next_outcome(patience);
    EXPECT_EQ(handed.report_id, 7u);
    EXPECT_EQ(handed.what(), wtgram::outcome_kind::sent);
    EXPECT_FALSE(t.try_send(std::vector<std::uint8_t>(70000), wtgram::send_options().report_id(8)));
    const auto refused = t.next_outcome(patience);
    EXPECT_EQ(refused.report_id, 8u);
    EXPECT_EQ(refused.what(), wtgram::outcome_kind::too_large);
    for (std::uint64_t id = 1; id <= 5; id++) t.send("y", wtgram::send_options().report_id(id));
    wtgram::outcome outcomes[3];
    std::uint64_t next = 1;
    while (next <= 5) {
        const auto some = t.next_outcomes(outcomes, patience);
        ASSERT_GT(some.size(), 0u);
        for (const auto &one : some) EXPECT_EQ(one.report_id, next++);
    }
    EXPECT_EQ(t.try_next_outcomes(outcomes).error(), wtgram::errc::would_block);
    const auto poller = wtgram::poller::make();
    wtgram::event events[2];
    poller.add(t, wtgram::readiness::outcome);
    t.send("z", wtgram::send_options().report_id(9));
    const auto ready = poller.wait(events, patience);
    ASSERT_EQ(ready.size(), 1u);
    EXPECT_TRUE(ready[0].has_outcome());
}

TEST(Heartbeat, BeatsUntilItIsStopped)
{
    pair p(network::reorders);
    const auto from = p.client.transport(), to = p.accepted.transport();
    from.start_heartbeat(wtgram::heartbeat_options().interval(20ms));
    std::uint8_t buffer[64];
    for (int i = 0; i < 3; i++) {
        const auto length = to.receive(buffer, patience);
        EXPECT_TRUE(wtgram::is_heartbeat(wtgram::bytes_view(buffer, length)));
    }
    from.stop_heartbeat();
    const auto sent = from.stats().datagrams_sent;
    std::this_thread::sleep_for(100ms);
    EXPECT_LE(from.stats().datagrams_sent, sent + 1); // one may have been on its way to QUIC
    EXPECT_EQ(from.try_start_heartbeat(wtgram::heartbeat_options().interval(1us)).error(),
              wtgram::errc::invalid_argument);
}

TEST(Heartbeat, APeerThatSaysNothingIsSilent)
{
    pair p(network::loses);
    const auto watching = p.client.transport();
    const auto poller = wtgram::poller::make();
    wtgram::event events[2];
    poller.add(watching, wtgram::readiness::peer_silent);
    EXPECT_FALSE(watching.is_peer_silent());
    watching.start_heartbeat(wtgram::heartbeat_options().interval(20ms).silent_after(2));
    const auto ready = poller.wait(events, patience);
    ASSERT_EQ(ready.size(), 1u);
    EXPECT_TRUE(ready[0].peer_silent());
    EXPECT_TRUE(watching.is_peer_silent());
    EXPECT_NE(watching.diagnose().find("silent_peer"), std::string::npos);
}

TEST(Heartbeat, CreatedOnesAreRecognized)
{
    const auto beat = wtgram::heartbeat::create();
    EXPECT_EQ(beat.text().rfind("HEARTBEAT:", 0), 0u);
    EXPECT_TRUE(wtgram::is_heartbeat(beat.data()));
    const std::uint8_t other[] = {'H', 'E', 'A'};
    EXPECT_FALSE(*wtgram::try_is_heartbeat(other));
}

TEST(Diagnosis, IsJsonForProgramsAndPeople)
{
    pair p;
    const auto t = p.client.transport();
    EXPECT_EQ(t.diagnose(), "[]");
    const std::string state = t.debug_state();
    for (const char *group : {"transport", "statistics", "queues", "configuration", "sequences", "session"})
        EXPECT_NE(state.find('"' + std::string(group) + "\":"), std::string::npos) << group;
    t.close();
    EXPECT_NE(t.diagnose().find("transport_closed"), std::string::npos);
}

TEST(Statistics, TimesAreDurations)
{
    pair p(network::reorders);
    const auto t = p.client.transport(), to = p.accepted.transport();
    std::uint8_t buffer[8];
    t.send("x");
    to.receive(buffer, patience);
    const wtgram::transport_stats sent = t.stats(), received = to.stats();
    EXPECT_GE(sent.total_send_time(), sent.max_send_time());
    // The average of one datagram, with fractions.
    EXPECT_EQ(std::chrono::duration_cast<wtgram::duration>(sent.avg_send_time()), sent.total_send_time());
    EXPECT_GE(received.total_receive_time(), received.max_receive_time());
    EXPECT_EQ(std::chrono::duration_cast<wtgram::duration>(received.avg_receive_time()), received.total_receive_time());
    EXPECT_GT(sent.rtt(), 0us);
    std::this_thread::sleep_for(1ms);
    EXPECT_GE(to.stats().silence(), received.silence() + 1ms); // the peer sends nothing meanwhile
    const auto age = std::chrono::system_clock::now() - sent.created_at();
    EXPECT_GE(age, -1min);
    EXPECT_LT(age, 1min);
}

TEST(Throughput, ReportsWhatWasSent)
{
    pair p(network::loses);
    const auto t = p.client.transport();
    const auto report = wtgram::throughput_test(t, wtgram::throughput_options().duration(100ms).datagram_size(200));
    EXPECT_GT(report.datagrams_sent, 0u);
    EXPECT_EQ(report.bytes_sent, 200 * report.datagrams_sent);
    EXPECT_GE(report.duration(), 100ms);
    EXPECT_EQ(report.cancelled, 0u);
    EXPECT_EQ(wtgram::throughput_test(std::nothrow, t, wtgram::throughput_options().duration(1s).datagram_size(70000))
                  .error(),
              wtgram::errc::too_large);
}

TEST(Throughput, ProgressIsHeardAndMayEndIt)
{
    pair p(network::loses);
    const auto t = p.client.transport();
    int heard = 0;
    std::uint64_t sent = 0;
    const auto options = wtgram::throughput_options().duration(1h).progress_interval(20ms).send(
        wtgram::send_options().priority(1).ttl(1s));
    const auto report = wtgram::throughput_test(t, options, [&](const wtgram::throughput_report &so_far) {
        sent = so_far.datagrams_sent;
        return ++heard < 3;
    });
    EXPECT_EQ(heard, 3);
    EXPECT_EQ(report.cancelled, 1u);
    EXPECT_GE(report.datagrams_sent, sent);
}
