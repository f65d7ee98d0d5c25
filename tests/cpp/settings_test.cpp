// Settings that change at run time, the figures of the queues, and clearing the queues.
#include "pair.hpp"

#include <gtest/gtest.h>

#include <thread>

using namespace wtgram_tests;

TEST(Settings, WhatIsSetIsWhatIsThere)
{
    pair p(network::loses);
    const auto t = p.client.transport();
    EXPECT_EQ(t.outgoing_max_age(), 0us);
    t.set_outgoing_max_age(3s);
    t.set_incoming_max_age(2ms);
    EXPECT_EQ(t.outgoing_max_age(), 3s);
    EXPECT_EQ(t.incoming_max_age(), 2ms);
    t.set_outgoing_limits({7, 7000});
    t.set_incoming_limits({8, 8000});
    EXPECT_EQ(t.outgoing_limits().max_datagrams, 7u);
    EXPECT_EQ(t.outgoing_limits().max_bytes, 7000u);
    EXPECT_EQ(t.incoming_limits().max_datagrams, 8u);
    EXPECT_EQ(t.incoming_limits().max_bytes, 8000u);
    EXPECT_EQ(t.outgoing_full_policy(), wtgram::full_policy::evict);
    t.set_outgoing_full_policy(wtgram::full_policy::wait);
    t.set_incoming_drop_policy(wtgram::drop_policy::newest);
    EXPECT_EQ(t.outgoing_full_policy(), wtgram::full_policy::wait);
    EXPECT_EQ(t.incoming_drop_policy(), wtgram::drop_policy::newest);
    t.set_outgoing_high_water_mark(6);
    EXPECT_EQ(t.outgoing_high_water_mark(), 6u);
    EXPECT_EQ(t.outgoing_water_marks().low_datagrams(), 3u);
    t.set_outgoing_water_marks(wtgram::water_marks().high_datagrams(5).low_datagrams(1).high_bytes(500).low_bytes(100));
    const auto marks = t.outgoing_water_marks();
    EXPECT_EQ(marks.high_datagrams(), 5u);
    EXPECT_EQ(marks.low_datagrams(), 1u);
    EXPECT_EQ(marks.high_bytes(), 500u);
    EXPECT_EQ(marks.low_bytes(), 100u);
}

TEST(Settings, WhatCannotBeIsRefused)
{
    pair p(network::loses);
    const auto t = p.client.transport();
    EXPECT_EQ(t.try_set_outgoing_max_age(-1us).error(), wtgram::errc::invalid_argument);
    EXPECT_EQ(t.try_set_incoming_max_age(-1us).error(), wtgram::errc::invalid_argument);
    EXPECT_EQ(t.try_set_outgoing_limits({0, 1}).error(), wtgram::errc::invalid_argument);
    EXPECT_THROW(t.set_incoming_limits({0, 1}), wtgram::error);
    EXPECT_EQ(t.try_set_outgoing_full_policy(static_cast<wtgram::full_policy>(9)).error(),
              wtgram::errc::invalid_argument);
    EXPECT_EQ(t.try_set_incoming_drop_policy(static_cast<wtgram::drop_policy>(9)).error(),
              wtgram::errc::invalid_argument);
    EXPECT_THROW(t.set_outgoing_high_water_mark(0), wtgram::error);
    EXPECT_EQ(t.try_set_outgoing_water_marks(wtgram::water_marks().high_bytes(0)).error(),
              wtgram::errc::invalid_argument);
    const wtgram::transport none;
    EXPECT_EQ(none.try_outgoing_max_age().error(), wtgram::errc::invalid_handle);
    EXPECT_EQ(none.try_incoming_limits().error(), wtgram::errc::invalid_handle);
    EXPECT_EQ(none.try_outgoing_water_marks().error(), wtgram::errc::invalid_handle);
    EXPECT_EQ(none.try_queue_stats().error(), wtgram::errc::invalid_handle);
    EXPECT_THROW(none.diagnose(), wtgram::error);
}

TEST(Settings, OptionsOfConnectReachTheTransport)
{
    pair p(wtgram::transport_options().outgoing_high_water_mark(20).outcome_capacity(1));
    const auto t = p.client.transport();
    EXPECT_EQ(t.outgoing_high_water_mark(), 20u);
    t.send("1", wtgram::send_options().report_id(1));
    EXPECT_EQ(t.try_send("2", wtgram::send_options().report_id(2)).error(), wtgram::errc::limit_reached);
}

TEST(Queues, WhatHasArrivedIsCountedAndCleared)
{
    pair p(network::reorders);
    const auto from = p.client.transport(), to = p.accepted.transport();
    for (int i = 0; i < 3; i++) from.send("abcd");
    EXPECT_TRUE(eventually([&] { return to.receive_buffer_size() == 3; }));
    const auto queues = to.queue_stats();
    EXPECT_EQ(queues.incoming_datagrams, 3u);
    EXPECT_EQ(queues.incoming_bytes, 12u);
    EXPECT_EQ(queues.incoming_max_datagrams, 4096u);
    EXPECT_EQ(to.clear_receive_buffer(), 3u);
    EXPECT_EQ(to.receive_buffer_size(), 0u);
    EXPECT_EQ(to.stats().receive_cleared, 3u);
    EXPECT_EQ(to.clear_receive_buffer(), 0u);
}

TEST(Queues, WhatWaitsForSendingIsCleared)
{
    pair p(wtgram::transport_options().outgoing_max_datagrams(100000).outgoing_max_bytes(100000000));
    const auto from = p.client.transport();
    const std::vector<std::uint8_t> data(1000);
    // Far more than the congestion window takes at first, so some must wait.
    for (int i = 0; i < 20000; i++) from.send(data);
    EXPECT_GT(from.send_buffer_size(), 0u);
    const std::uint64_t cleared = from.clear_send_buffer();
    EXPECT_GT(cleared, 0u);
    EXPECT_EQ(from.stats().send_cleared, cleared);
    EXPECT_EQ(from.send_buffer_size(), 0u);
}
