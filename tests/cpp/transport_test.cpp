#include "pair.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <set>

using namespace wtgram_tests;

namespace
{

std::string text_of(const std::uint8_t *data, std::size_t length)
{
    return std::string(reinterpret_cast<const char *>(data), length);
}

} // namespace

TEST(Transport, EveryFormOfSendArrives)
{
    pair p(network::reorders);
    const auto from = p.client.transport(), to = p.accepted.transport();
    const std::vector<std::uint8_t> vector{'v', 'e', 'c'};
    const std::uint8_t array[] = {'a', 'r', 'r'};
    from.send(vector);
    from.send(array);
    from.send("text", wtgram::send_options().priority(2).ttl(1h));
    EXPECT_TRUE(from.try_send("try"));
    EXPECT_TRUE(from.try_send(vector));
    EXPECT_TRUE(from.send_for("for", patience));
    EXPECT_TRUE(from.send_for(array, patience));
    std::multiset<std::string> got;
    std::uint8_t buffer[64];
    for (int i = 0; i < 7; i++) got.insert(text_of(buffer, to.receive(buffer, patience)));
    // Does not compare the order, because priorities may overtake.
    EXPECT_EQ(got, (std::multiset<std::string>{"vec", "arr", "text", "try", "vec", "for", "arr"}));
    EXPECT_EQ(from.send_sequence(), 7u);
    EXPECT_EQ(to.receive_sequence(), 7u);
    static_assert(noexcept(from.try_send("")) &&noexcept(to.try_receive(wtgram::bytes_buffer())));
}

TEST(Transport, NothingThereWouldBlockOrTimesOut)
{
    pair p(network::loses);
    const auto to = p.accepted.transport();
    std::uint8_t buffer[4];
    EXPECT_EQ(to.try_receive(buffer).error(), wtgram::errc::would_block);
    EXPECT_EQ(to.receive_for(buffer, 10ms).error(), wtgram::errc::timed_out);
    EXPECT_THROW(to.receive(buffer, 10ms), wtgram::error);
    EXPECT_TRUE(to.is_readable());
    EXPECT_TRUE(to.is_writable());
    EXPECT_FALSE(to.is_closed());
}

TEST(Transport, WhatIsClosedIsNeitherReadableNorWritable)
{
    pair p(network::loses);
    const auto from = p.client.transport();
    from.close();
    EXPECT_FALSE(from.is_writable());
    EXPECT_TRUE(from.is_closed());
    std::uint8_t buffer[1];
    EXPECT_EQ(from.receive_for(buffer, patience).error(), wtgram::errc::closed);
    EXPECT_FALSE(from.is_readable());
}

TEST(Transport, WhatWaitsIsCountedByItsPriority)
{
    pair p(wtgram::transport_options().outgoing_max_datagrams(100'000).outgoing_max_bytes(1 << 30), network::loses);
    const auto from = p.client.transport();
    const std::vector<std::uint8_t> data(1000);
    const std::vector<wtgram_slice> slices(1000, wtgram_slice{data.data(), data.size()});
    wtgram_queue_stats stats{};
    // Meanwhile the path takes what it can, the highest priority first.
    for (int rounds = 0; rounds < 1000 && stats.outgoing_priority_datagrams[1] == 0; rounds++) {
        for (const int priority : {0, 1})
            EXPECT_EQ(from.send_batch(slices, wtgram::send_options().priority(priority)).accepted, 1000u);
        stats = from.queue_stats();
        const auto &datagrams = stats.outgoing_priority_datagrams;
        EXPECT_EQ(datagrams[2], 0u);
        EXPECT_EQ(stats.outgoing_datagrams, datagrams[0] + datagrams[1]);
        EXPECT_EQ(stats.outgoing_bytes, 1000 * stats.outgoing_datagrams);
        for (int i = 0; i < 3; i++) EXPECT_EQ(stats.outgoing_priority_bytes[i], 1000 * datagrams[i]);
    }
    EXPECT_GT(stats.outgoing_priority_datagrams[1], 0u);
    EXPECT_GT(from.clear_send_buffer(), 0u);
    EXPECT_GT(from.stats().send_cleared, 0u);
}

TEST(Transport, ASmallBufferSaysHowLongTheDatagramIs)
{
    pair p(network::reorders);
    const auto from = p.client.transport(), to = p.accepted.transport();
    from.send("0123456789");
    std::uint8_t buffer[10];
    std::size_t needed = 0;
    const auto small = to.receive_for(wtgram::bytes_buffer(buffer, 9), patience, &needed);
    ASSERT_FALSE(small);
    EXPECT_EQ(small.error(), wtgram::errc::buffer_too_small);
    EXPECT_EQ(needed, 10u);
    EXPECT_EQ(*to.try_receive(buffer), 10u);
}

TEST(Transport, BatchesGoOverWholeAndInOrder)
{
    pair p;
    const auto from = p.client.transport(), to = p.accepted.transport();
    std::vector<std::string> texts;
    std::vector<wtgram_slice> slices;
    for (int i = 0; i < 50; i++) texts.push_back("datagram " + std::to_string(i));
    for (const auto &text : texts) slices.push_back(wtgram::slice(text));
    std::vector<wtgram_status> results(slices.size(), WTGRAM_ERROR_INTERNAL);
    const auto outcome = from.send_batch(slices, {}, results);
    EXPECT_TRUE(outcome);
    EXPECT_EQ(outcome.accepted, 50u);
    for (const auto result : results) EXPECT_EQ(result, WTGRAM_OK);

    wtgram::receive_buffer buffer(16, 4096);
    std::vector<std::string> got;
    while (got.size() < 50) {
        ASSERT_GT(to.receive_batch(buffer, patience), 0u);
        for (const auto &datagram : buffer) {
            got.emplace_back(datagram.text());
            EXPECT_GT(datagram.arrived.time_since_epoch(), std::chrono::hours(24 * 365 * 40));
        }
    }
    EXPECT_EQ(got, texts);
    EXPECT_EQ(to.try_receive_batch(buffer).error(), wtgram::errc::would_block);
    EXPECT_TRUE(buffer.empty());
    EXPECT_EQ(to.receive_batch_for(buffer, 10ms).error(), wtgram::errc::timed_out);
}

TEST(Transport, AReceiveBufferIsARangeAndMoves)
{
    static_assert(!std::is_copy_constructible_v<wtgram::receive_buffer> &&
                  std::is_nothrow_move_constructible_v<wtgram::receive_buffer> &&
                  std::is_nothrow_move_assignable_v<wtgram::receive_buffer>);
#ifdef __cpp_lib_ranges
    static_assert(std::ranges::input_range<const wtgram::receive_buffer> &&
                  std::ranges::common_range<const wtgram::receive_buffer>);
#endif
    pair p(network::reorders);
    const auto from = p.client.transport(), to = p.accepted.transport();
    from.send("abc");
    wtgram::receive_buffer buffer;
    ASSERT_EQ(to.receive_batch(buffer, patience), 1u);
    wtgram::receive_buffer moved = std::move(buffer);
    EXPECT_TRUE(buffer.empty());
    EXPECT_EQ(buffer.begin(), buffer.end());
    EXPECT_EQ(moved[0].text(), "abc");
    EXPECT_TRUE(std::any_of(moved.begin(), moved.end(), [](const auto &one) { return one.text() == "abc"; }));
    buffer = std::move(moved);
    EXPECT_EQ(buffer.size(), 1u);
    EXPECT_TRUE(moved.empty());
    // No element, or no bytes, for a datagram: the call fails, and the datagram stays.
    from.send("x");
    wtgram::receive_buffer none(0, 10), small(1, 0);
    EXPECT_EQ(to.receive_batch_for(none, patience).error(), wtgram::errc::invalid_argument);
    EXPECT_EQ(to.receive_batch_for(small, patience).error(), wtgram::errc::buffer_too_small);
    EXPECT_EQ(small.needed(), 1u);
    EXPECT_EQ(to.receive_batch(buffer, patience), 1u);
}

TEST(Transport, TakesBytesOfTheStandardLibrary)
{
    pair p(network::reorders);
    const std::vector<std::byte> sent{std::byte{1}, std::byte{255}};
    std::array<std::byte, 8> buffer{};
    p.client.transport().send(wtgram::as_bytes(sent));
    EXPECT_EQ(p.accepted.transport().receive(wtgram::as_writable_bytes(buffer), patience), 2u);
    EXPECT_TRUE(std::equal(sent.begin(), sent.end(), buffer.begin()));
}

TEST(Transport, IsAValueThatNamesItsDatagrams)
{
    pair p(network::loses);
    const wtgram::transport none, copy = p.client.transport();
    EXPECT_FALSE(none);
    EXPECT_TRUE(copy);
    EXPECT_TRUE(copy == p.client.transport());
    EXPECT_TRUE(copy != p.accepted.transport());
}

TEST(Transport, ABatchSaysWhichOneFailedAndSendsTheRest)
{
    pair p(network::loses);
    const std::vector<std::uint8_t> big(70000);
    const wtgram_slice slices[] = {wtgram::slice("a"), wtgram::slice(big), wtgram::slice("c")};
    wtgram_status results[3];
    const auto outcome = p.client.transport().send_batch(slices, {}, results);
    EXPECT_EQ(outcome.first_error, wtgram::errc::too_large);
    EXPECT_EQ(outcome.accepted, 2u);
    EXPECT_EQ(results[1], WTGRAM_ERROR_TOO_LARGE);
    EXPECT_EQ(p.client.transport().send_batch(slices, {}, wtgram::span<wtgram_status>(results, 2)).first_error,
              wtgram::errc::invalid_argument);
}

TEST(Transport, TheLargestPassesAndLargerIsRefused)
{
    pair p(network::reorders);
    const auto from = p.client.transport();
    const std::vector<std::uint8_t> data(from.max_datagram_size(), 7);
    from.send(data);
    std::vector<std::uint8_t> buffer(data.size());
    EXPECT_EQ(p.accepted.transport().receive(buffer, patience), data.size());
    EXPECT_EQ(buffer, data);
    EXPECT_EQ(from.try_send(std::vector<std::uint8_t>(70000)).error(), wtgram::errc::too_large);
    EXPECT_THROW(from.send(std::vector<std::uint8_t>(70000)), wtgram::error);
    EXPECT_EQ(from.stats().send_too_large, 2u);
}

TEST(Transport, OptionsOfTheQueueAreHeard)
{
    pair p(wtgram::transport_options()
               .outgoing_max_datagrams(2)
               .outgoing_max_bytes(1000)
               .when_outgoing_full(wtgram::full_policy::reject)
               .incoming_max_datagrams(10)
               .when_incoming_full(wtgram::drop_policy::newest));
    const auto from = p.client.transport();
    const std::vector<std::uint8_t> data(500);
    bool refused = false;
    for (int i = 0; i < 2000000 && !refused; i++) {
        const auto sent = from.try_send(data);
        if (!sent) {
            EXPECT_EQ(sent.error(), wtgram::errc::queue_full);
            refused = true;
        }
    }
    EXPECT_TRUE(refused);
    EXPECT_GT(from.stats().send_rejected, 0u);
}

TEST(Transport, CloseEndsTheDatagramPathOnly)
{
    pair p(network::loses);
    const auto from = p.client.transport();
    from.close();
    EXPECT_TRUE(from.is_closed());
    EXPECT_EQ(from.try_send("x").error(), wtgram::errc::closed);
    EXPECT_EQ(p.client.state(), wtgram::session_state::connected);
    EXPECT_EQ(wtgram::transport().try_send("x").error(), wtgram::errc::invalid_handle);
}
