// Each datagram has one reader, and what ends when one of the readers is closed.
#include "pair.hpp"

#include <gtest/gtest.h>

using namespace wtgram_tests;

namespace
{
const wtgram_object_type types[] = {wtgram::registered(1)};
}

TEST(Readers, ALayerKeepsItsFrames)
{
    pair p;
    const auto from = wtgram::reliability::open(p.client), to = wtgram::reliability::open(p.accepted);
    std::uint8_t buffer[16];
    from.send("message", wtgram::send_options().report_id(1));
    EXPECT_EQ(to.receive(buffer, patience), 7u);
    EXPECT_EQ(from.next_outcome(patience).what(), wtgram::reliability_outcome_kind::acknowledged);
    EXPECT_EQ(p.accepted.transport().try_receive(buffer).error(), wtgram::errc::would_block);
    EXPECT_EQ(p.client.transport().try_receive(buffer).error(), wtgram::errc::would_block);
    p.client.transport().send("plain");
    EXPECT_EQ(p.accepted.transport().receive(buffer, patience), 5u);
    EXPECT_EQ(to.try_receive(buffer).error(), wtgram::errc::would_block);
}

TEST(Readers, ASessionsObjectsDoNotReachItsTransport)
{
    pair p;
    const auto to = wtgram::structured::open(p.accepted, types, wtgram::structured_options().queue_datagrams(2));
    const auto from = wtgram::structured::open(p.client, types);
    std::uint8_t buffer[16];
    for (int i = 0; i < 5; i++) from.send(1, "1");
    p.client.transport().send("plain");
    EXPECT_EQ(p.accepted.transport().receive(buffer, patience), 5u);
    EXPECT_EQ(p.accepted.transport().try_receive(buffer).error(), wtgram::errc::would_block);
    // Datagrams that arrive while its queue is full are dropped and counted.
    EXPECT_EQ(to.stats().receive_dropped_full, 3u);
    for (int i = 0; i < 2; i++) EXPECT_EQ(to.receive(buffer, patience).type_id, 1u);
    EXPECT_EQ(to.try_receive(buffer).error(), wtgram::errc::would_block);
}

TEST(Readers, CloseEndsWhatIsUnderItOrDetaches)
{
    pair p;
    const auto beside = wtgram::structured::open(p.client, types);
    beside.close();
    EXPECT_TRUE(beside.is_closed());
    EXPECT_FALSE(p.client.transport().is_closed());
    // Over a transport, closing it closes the transport, also for other objects over it.
    const auto one = wtgram::structured::open(p.client.transport(), types);
    const auto other = wtgram::structured::open(p.client.transport(), types);
    EXPECT_FALSE(other.is_closed());
    one.close();
    EXPECT_TRUE(other.is_closed());
    EXPECT_TRUE(p.client.transport().is_closed());
    EXPECT_EQ(p.client.state(), wtgram::session_state::connected);
    const auto layer = wtgram::reliability::open(p.accepted);
    const auto above = wtgram::structured::open(layer, types);
    above.close();
    EXPECT_TRUE(layer.is_closed());
    EXPECT_FALSE(p.accepted.transport().is_closed());
}
