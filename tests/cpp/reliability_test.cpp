#include "pair.hpp"

#include <gtest/gtest.h>

#include <set>
#include <thread>

using namespace wtgram_tests;

namespace
{

std::string text_of(const std::uint8_t *data, std::size_t length)
{
    return std::string(reinterpret_cast<const char *>(data), length);
}

} // namespace

TEST(Reliability, EveryFormOfSendArrivesAndIsAcknowledged)
{
    pair p(network::loses);
    const auto from = wtgram::reliability::open(p.client), to = wtgram::reliability::open(p.accepted.transport());
    const std::vector<std::uint8_t> vector{'v', 'e', 'c'};
    const auto as = [](std::uint64_t id) { return wtgram::send_options().timeout(patience).report_id(id); };
    from.send("text", as(1));
    from.send(vector, as(2));
    EXPECT_TRUE(from.try_send("try", as(3)));
    EXPECT_TRUE(from.try_send(vector, as(4)));
    EXPECT_TRUE(from.send_for("for", patience, as(5)));
    EXPECT_TRUE(from.send_for(vector, patience, as(6)));
    std::multiset<std::string> got;
    std::uint8_t buffer[64];
    for (int i = 0; i < 6; i++) got.insert(text_of(buffer, to.receive(buffer, patience)));
    EXPECT_EQ(got, (std::multiset<std::string>{"text", "vec", "try", "vec", "for", "vec"}));
    std::set<std::uint64_t> reported;
    wtgram::reliability_outcome outcomes[4];
    const auto first = from.next_outcome(patience);
    EXPECT_EQ(first.what(), wtgram::reliability_outcome_kind::acknowledged);
    EXPECT_GE(first.transmissions, 1u);
    EXPECT_GT(first.elapsed(), 0us);
    reported.insert(first.report_id);
    while (reported.size() < 6)
        for (const auto &one : from.next_outcomes(outcomes, patience)) {
            EXPECT_EQ(one.what(), wtgram::reliability_outcome_kind::acknowledged);
            EXPECT_TRUE(reported.insert(one.report_id).second);
        }
    EXPECT_EQ(from.try_next_outcome().error(), wtgram::errc::would_block);
    EXPECT_EQ(from.try_next_outcomes(outcomes).error(), wtgram::errc::would_block);
    EXPECT_EQ(from.next_outcomes_for(outcomes, 10ms).error(), wtgram::errc::timed_out);
    EXPECT_EQ(from.stats().acknowledged, 6u);
    EXPECT_GT(from.stats().rtt(), 0us);
    EXPECT_GE(from.stats().rto(), from.stats().rtt());
    EXPECT_EQ(to.stats().delivered, 6u);
}

TEST(Reliability, APollerSaysWhenEachMessageHasItsOutcome)
{
    pair p(network::loses);
    const auto from = wtgram::reliability::open(p.client);
    const auto poller = wtgram::poller::make();
    wtgram::event events[2];
    poller.add(from, wtgram::readiness::settled, 7);
    ASSERT_EQ(poller.wait(events, patience).size(), 1u);
    EXPECT_TRUE(events[0].settled() && !events[0].closed());
    from.send("text", wtgram::send_options().timeout(patience));
    EXPECT_TRUE(poller.wait(events, 10ms).empty());
    const auto to = wtgram::reliability::open(p.accepted);
    const auto ready = poller.wait(events, patience);
    ASSERT_EQ(ready.size(), 1u);
    EXPECT_TRUE(ready[0].settled());
    EXPECT_EQ(from.stats().unresolved, 0u);
}

TEST(Reliability, NothingThereWouldBlockOrTimesOutAndASmallBufferLosesNothing)
{
    pair p(network::loses);
    const auto from = wtgram::reliability::open(p.client), to = wtgram::reliability::open(p.accepted);
    std::uint8_t buffer[16];
    EXPECT_EQ(to.try_receive(buffer).error(), wtgram::errc::would_block);
    EXPECT_EQ(to.receive_for(buffer, 10ms).error(), wtgram::errc::timed_out);
    EXPECT_THROW(to.receive(buffer, 10ms), wtgram::error);
    from.send("0123456789");
    std::size_t needed = 0;
    EXPECT_EQ(to.receive_for(wtgram::bytes_buffer(buffer, 9), patience, &needed).error(),
              wtgram::errc::buffer_too_small);
    EXPECT_EQ(needed, 10u);
    EXPECT_EQ(*to.try_receive(buffer), 10u);
    EXPECT_EQ(from.try_send(std::vector<std::uint8_t>(70000)).error(), wtgram::errc::too_large);
    EXPECT_LT(from.max_message_size(), p.client.transport().max_datagram_size());
}

TEST(Reliability, WithoutAPeerAMessageIsGivenUpAndTheWindowFills)
{
    pair p(network::loses);
    const auto from = wtgram::reliability::open(
        p.client, wtgram::reliability_options().ack_timeout(50ms).max_retries(1).window_messages(1).negotiation(
                      wtgram::negotiation::off));
    from.send("nobody listens", wtgram::send_options().report_id(11));
    EXPECT_EQ(from.try_send("no room").error(), wtgram::errc::would_block);
    const auto outcome = from.next_outcome(patience);
    EXPECT_EQ(outcome.report_id, 11u);
    EXPECT_EQ(outcome.what(), wtgram::reliability_outcome_kind::gave_up);
    EXPECT_GE(outcome.elapsed(), 100ms);
}

TEST(Reliability, AMessageWhoseTtlPassesExpiresAndWhatLooksLikeAFrameIsTheProgramsOwn)
{
    pair p(network::loses);
    const auto options = wtgram::reliability_options().negotiation(wtgram::negotiation::required);
    const auto from = wtgram::reliability::open(p.client, options); // nothing is sent before a layer answers
    from.send("late", wtgram::send_options().priority(2).ttl(1ms).report_id(3));
    const auto outcome = from.next_outcome(patience);
    EXPECT_EQ(outcome.report_id, 3u);
    EXPECT_EQ(outcome.what(), wtgram::reliability_outcome_kind::expired);
    const auto to = wtgram::reliability::open(p.accepted, options);
    from.send("in time");
    std::uint8_t buffer[64];
    EXPECT_EQ(text_of(buffer, to.receive(buffer, patience)), "in time");
    EXPECT_EQ(to.stats().takes_plain, 0u);
    EXPECT_EQ(to.stats().plain_taken, 0u);
}

TEST(Reliability, TheFactoryTakesItsTwoParameters)
{
    pair p(network::loses);
    EXPECT_EQ(wtgram::reliability::try_open_with(p.client.transport(), 0s).error(), wtgram::errc::invalid_argument);
    const auto layer = wtgram::reliability::open_with(p.client.transport(), 50ms, 0);
    layer.send("never acknowledged", wtgram::send_options().report_id(1));
    const auto outcome = layer.next_outcome(patience);
    EXPECT_EQ(outcome.what(), wtgram::reliability_outcome_kind::gave_up);
    EXPECT_GE(outcome.elapsed(), 50ms);
}

TEST(Reliability, OneLayerAtATimeAndClosingLeavesTheTransport)
{
    pair p(network::loses);
    auto layer = wtgram::reliability::open_with(p.client.transport());
    EXPECT_EQ(wtgram::reliability::try_open(p.client).error(), wtgram::errc::invalid_state);
    EXPECT_EQ(wtgram::reliability::try_open_with(p.client.transport()).error(), wtgram::errc::invalid_state);
    EXPECT_FALSE(layer.is_closed());
    layer.send("never acknowledged", wtgram::send_options().report_id(1));
    EXPECT_EQ(layer.close_for(20ms).error(), wtgram::errc::timed_out);
    EXPECT_TRUE(layer.is_closed());
    EXPECT_EQ(layer.next_outcome(patience).what(), wtgram::reliability_outcome_kind::closed);
    EXPECT_EQ(layer.next_outcome_for(patience).error(), wtgram::errc::closed);
    layer.close();
    EXPECT_FALSE(p.client.transport().is_closed());
    layer.reset();
    EXPECT_FALSE(layer);
    EXPECT_TRUE(wtgram::reliability::try_open(p.client));
}

TEST(Reliability, HandlesMoveAndTheLayerEndsWithTheSession)
{
    static_assert(!std::is_copy_constructible_v<wtgram::reliability> &&
                  std::is_nothrow_move_assignable_v<wtgram::reliability>);
    pair p(network::loses);
    auto layer = wtgram::reliability::open(p.client);
    const std::uint64_t id = layer.id();
    wtgram::reliability moved = std::move(layer);
    EXPECT_EQ(moved.id(), id);
    EXPECT_EQ(layer.try_is_closed().error(), wtgram::errc::invalid_handle);
    std::thread closer([&] {
        std::this_thread::sleep_for(50ms);
        p.client.close();
    });
    std::uint8_t buffer[4];
    EXPECT_EQ(moved.receive_for(buffer, patience).error(), wtgram::errc::closed);
    closer.join();
    EXPECT_EQ(moved.try_send("x").error(), wtgram::errc::closed);
}
