#include "pair.hpp"

#include <gtest/gtest.h>

using namespace wtgram_tests;

TEST(Statistics, EveryFigureOfTheReferenceIsCounted)
{
    pair p(wtgram::transport_options().incoming_max_datagrams(2));
    const auto from = p.client.transport(), to = p.accepted.transport();
    const std::vector<std::uint8_t> payload(100);
    std::uint8_t buffer[400];
    from.send(std::vector<std::uint8_t>(400));
    to.receive(buffer, patience);
    std::uint64_t count = 1;
    do { // repeats until a receive had to wait
        from.send(payload);
        to.receive(buffer, patience);
        count++;
    } while (to.stats().max_receive_time() == 0us);
    EXPECT_EQ(from.try_send(std::vector<std::uint8_t>(70000)).error(), wtgram::errc::too_large);
    for (int i = 0; i < 4; i++) from.send(payload);
    EXPECT_TRUE(eventually([&] { return to.stats().receive_drops == 2; }));
    from.set_outgoing_max_age(1us);
    EXPECT_TRUE(eventually([&] {
        from.send(payload);
        from.clear_send_buffer();
        return from.stats().send_drops > 0;
    }));
    const wtgram::transport_stats sent = from.stats(), received = to.stats();
    EXPECT_EQ(sent.session_id, from.session_id());
    EXPECT_GT(sent.created_at().time_since_epoch(), 1h);
    EXPECT_EQ(sent.send_failures, 1u);
    EXPECT_EQ(sent.datagrams_sent, sent.sent);
    EXPECT_EQ(sent.bytes_sent, sent.sent_bytes);
    EXPECT_GE(sent.datagrams_sent, count + 4);
    EXPECT_EQ(received.receive_errors, 0u); // counts datagrams of another session, which this peer cannot send
    EXPECT_EQ(received.datagrams_received, count);
    EXPECT_EQ(received.bytes_received, 400 + 100 * (count - 1));
    EXPECT_EQ(received.min_datagram_size, 100u);
    EXPECT_EQ(received.max_datagram_size, 400u);
    EXPECT_EQ(received.total_datagram_size, received.bytes_received);
    EXPECT_NEAR(received.avg_datagram_size, static_cast<double>(received.bytes_received) / count, 0.1);
    EXPECT_GT(sent.avg_send_time().count(), 0);
    EXPECT_GE(sent.total_send_time(), sent.max_send_time());
    EXPECT_GT(received.avg_receive_time().count(), 0);
    EXPECT_GE(received.total_receive_time(), received.max_receive_time());
    EXPECT_GT(sent.send_success_rate, 0.5);
    EXPECT_LT(sent.send_success_rate, 1);
    EXPECT_EQ(received.receive_success_rate, 1); // a dropped datagram is not a failure
}
