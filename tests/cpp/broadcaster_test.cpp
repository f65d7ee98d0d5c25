#include "pair.hpp"

#include <gtest/gtest.h>

using namespace wtgram_tests;

namespace
{

std::string receive(const wtgram::transport &from)
{
    char buffer[64];
    const auto bytes = wtgram::bytes_buffer(reinterpret_cast<std::uint8_t *>(buffer), sizeof buffer);
    return std::string(buffer, from.receive(bytes, patience));
}

} // namespace

TEST(Broadcaster, EveryMemberGetsItOnce)
{
    pair a(network::reorders), b(network::reorders);
    const auto broadcaster = wtgram::broadcaster::make();
    EXPECT_EQ(broadcaster.broadcast("nobody").accepted, 0u);
    broadcaster.add(a.accepted);
    broadcaster.add(a.accepted.transport());
    broadcaster.add(b.accepted.transport());
    EXPECT_EQ(broadcaster.member_count(), 2u);
    EXPECT_EQ(broadcaster.broadcast("hello", wtgram::send_options().priority(2)).accepted, 2u);
    EXPECT_EQ(receive(a.client.transport()), "hello");
    EXPECT_EQ(receive(b.client.transport()), "hello");
    const std::vector<std::uint8_t> bytes{'b'};
    EXPECT_EQ(broadcaster.try_broadcast(bytes)->accepted, 2u);
    EXPECT_EQ(receive(a.client.transport()), "b");
    broadcaster.remove(a.accepted);
    broadcaster.remove(a.accepted.transport());
    EXPECT_EQ(broadcaster.member_count(), 1u);
    wtgram::receive_buffer leftover;
    EXPECT_EQ(a.client.transport().receive_batch_for(leftover, 50ms).error(), wtgram::errc::timed_out);
}

TEST(Broadcaster, SaysWhatItCameToForEachMember)
{
    pair a(network::loses), b(network::loses);
    const auto broadcaster = wtgram::broadcaster::make();
    broadcaster.add(a.accepted);
    broadcaster.add(b.accepted);
    wtgram::broadcast_result room[4];
    const std::vector<std::uint8_t> large(70000);
    const auto refused = broadcaster.broadcast(large, {}, room);
    EXPECT_EQ(refused.members, 2u);
    EXPECT_EQ(refused.accepted, 0u);
    ASSERT_EQ(refused.results.size(), 2u);
    for (const auto &result : refused.results) {
        EXPECT_EQ(result.error(), wtgram::errc::too_large);
        EXPECT_FALSE(result.was_removed());
    }
    b.accepted.transport().close();
    const auto outcome = broadcaster.broadcast("x", {}, room);
    EXPECT_EQ(outcome.accepted, 1u);
    for (const auto &result : outcome.results) {
        if (result.member == a.accepted.transport().id()) {
            EXPECT_FALSE(result.error());
        } else {
            EXPECT_EQ(result.error(), wtgram::errc::closed);
            EXPECT_TRUE(result.was_removed());
        }
    }
    const auto stats = broadcaster.stats();
    EXPECT_EQ(stats.broadcasts, 2u);
    EXPECT_EQ(stats.accepted, 1u);
    EXPECT_EQ(stats.too_large, 2u);
}

TEST(Broadcaster, ReachesReliabilityLayersAsMessages)
{
    pair p(network::loses);
    const auto from = wtgram::reliability::open(p.accepted), to = wtgram::reliability::open(p.client);
    const auto broadcaster = wtgram::broadcaster::make();
    broadcaster.add(from);
    EXPECT_EQ(broadcaster.broadcast("surely").accepted, 1u);
    std::uint8_t buffer[16];
    EXPECT_EQ(to.receive(buffer, patience), 6u);
    broadcaster.remove(from);
    EXPECT_EQ(broadcaster.member_count(), 0u);
}

TEST(Broadcaster, SlowMembersAreRemovedIfThatIsThePolicy)
{
    pair p(wtgram::transport_options().outgoing_max_datagrams(1).when_outgoing_full(wtgram::full_policy::reject));
    const auto broadcaster =
        wtgram::broadcaster::make(wtgram::broadcaster_options().when_slow(wtgram::slow_policy::remove, 1));
    broadcaster.add(p.accepted);
    const std::vector<std::uint8_t> data(1000);
    for (int i = 0; i < 1000000 && broadcaster.member_count() == 1; i++) broadcaster.broadcast(data);
    EXPECT_EQ(broadcaster.member_count(), 0u);
    EXPECT_EQ(broadcaster.stats().removed_slow, 1u);
}

TEST(Broadcaster, ShutDownTakesNobodyMore)
{
    static_assert(!std::is_copy_constructible_v<wtgram::broadcaster> &&
                  std::is_nothrow_move_constructible_v<wtgram::broadcaster>);
    pair p(network::loses);
    auto broadcaster = wtgram::broadcaster::make();
    broadcaster.add(p.accepted);
    wtgram::broadcaster moved = std::move(broadcaster);
    EXPECT_EQ(broadcaster.try_member_count().error(), wtgram::errc::invalid_handle);
    moved.close();
    moved.close();
    EXPECT_EQ(moved.member_count(), 0u);
    EXPECT_EQ(moved.try_add(p.accepted).error(), wtgram::errc::closed);
    EXPECT_THROW(moved.broadcast("x"), wtgram::error);
    EXPECT_EQ(p.accepted.state(), wtgram::session_state::connected);
}
