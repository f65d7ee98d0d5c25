// Structured transports: objects as bytes and text, and C++ objects with a codec of the program.
#include "pair.hpp"

#include <gtest/gtest.h>

using namespace wtgram_tests;

namespace
{

struct number { // no default constructor, and its own encoding
    explicit number(int v) : value(v) {}
    int value;
};
struct line {
    std::string text;
};
struct strict { // its codec and its move throw instead of returning no value
    explicit strict(int v) : value(v) {}
    strict(const strict &) = default;
    strict(strict &&other) : value(other.value)
    {
        if (value == 13) throw std::runtime_error("not to be moved");
    }
    int value;
};

const wtgram_object_type types[] = {wtgram::registered(1), wtgram::registered(2, 16), wtgram::registered(65535)};

std::string_view text_of(const std::uint8_t *data, std::size_t length)
{
    return {reinterpret_cast<const char *>(data), length};
}

// Inverts every byte. Refuses the type 2, and throws for empty objects.
struct inverter {
    static bool invert(wtgram::bytes_view from, std::vector<std::uint8_t> &to)
    {
        if (from.empty()) throw std::runtime_error("nothing to invert");
        for (const std::uint8_t byte : from) to.push_back(static_cast<std::uint8_t>(~byte));
        return true;
    }
    bool serialize(std::uint16_t type_id, wtgram::bytes_view object, std::vector<std::uint8_t> &wire) const
    {
        return type_id != 2 && invert(object, wire);
    }
    bool deserialize(std::uint16_t, wtgram::bytes_view wire, std::vector<std::uint8_t> &object) const
    {
        return invert(wire, object);
    }
};

} // namespace

template <> struct wtgram::codec<number> {
    static std::optional<std::string> encode(const number &object) noexcept { return std::to_string(object.value); }
    static std::optional<number> decode(std::string_view bytes) noexcept
    {
        if (bytes.empty() || bytes.find_first_not_of("0123456789") != std::string_view::npos) return std::nullopt;
        return number(std::atoi(std::string(bytes).c_str()));
    }
};
template <> struct wtgram::codec<line> {
    static std::optional<std::string> encode(const line &object) noexcept
    {
        if (object.text.find('"') != std::string::npos) return std::nullopt;
        return '"' + object.text + '"';
    }
    static std::optional<line> decode(std::string_view bytes) noexcept
    {
        return line{std::string(bytes.substr(1, bytes.size() - 2))};
    }
};
template <> struct wtgram::codec<strict> {
    static std::optional<std::string> encode(const strict &object)
    {
        if (object.value < 0) throw std::out_of_range("negative");
        return std::to_string(object.value);
    }
    static std::optional<strict> decode(std::string_view bytes) { return strict(std::stoi(std::string(bytes))); }
};

namespace
{
using channel = wtgram::typed<wtgram::type<1, number>, wtgram::type<7, line, 1000>>;
}

TEST(Structured, TextGoesCompactAndComesWithItsType)
{
    pair p;
    const auto from = wtgram::structured::open(p.client.transport(), types);
    const auto to = wtgram::structured::open(p.accepted.transport(), types);
    std::uint8_t buffer[64];
    EXPECT_EQ(to.try_receive(buffer).error(), wtgram::errc::would_block);
    EXPECT_EQ(to.receive_for(buffer, 10ms).error(), wtgram::errc::timed_out);
    from.send(65535, " { \"a\" : 1 } ");
    EXPECT_TRUE(from.try_send(1, "[]"));
    EXPECT_TRUE(from.send_for(2, "null", patience));
    std::size_t needed = 0;
    EXPECT_EQ(to.receive_for(wtgram::bytes_buffer(buffer, 2), patience, &needed).error(),
              wtgram::errc::buffer_too_small);
    EXPECT_EQ(needed, 7u);
    auto got = to.receive(buffer, patience);
    EXPECT_EQ(got.type_id, 65535u);
    EXPECT_EQ(text_of(buffer, got.length), "{\"a\":1}");
    got = to.receive(buffer, patience);
    EXPECT_EQ(got.type_id, 1u);
    EXPECT_EQ(to.receive(buffer, patience).type_id, 2u);
    EXPECT_EQ(from.try_send(3, "1").error(), wtgram::errc::unknown_type);
    EXPECT_EQ(from.try_send(1, "NaN").error(), wtgram::errc::serialization);
    EXPECT_EQ(from.try_send(2, "\"more than sixteen\"").error(), wtgram::errc::too_large);
    EXPECT_THROW(from.send(1, "NaN"), wtgram::error);
    EXPECT_EQ(from.stats().sent, 3u);
    EXPECT_EQ(from.stats().send_not_serialized, 2u);
    const wtgram_object_type twice[] = {wtgram::registered(1), wtgram::registered(1)};
    EXPECT_EQ(wtgram::structured::try_open(p.client, twice).error(), wtgram::errc::invalid_argument);
    to.close();
    EXPECT_TRUE(to.is_closed());
    EXPECT_TRUE(p.accepted.transport().is_closed());
}

TEST(Structured, WhatIsNoObjectIsAnErrorOnce)
{
    pair p;
    const auto raw = p.client.transport();
    const auto to = wtgram::structured::open(p.accepted.transport(), types);
    std::uint8_t buffer[64];
    raw.send(std::string_view("\x00", 1));
    raw.send(std::string_view("\x00\x09{}", 4));
    raw.send(std::string_view("\x00\x01{", 3));
    EXPECT_EQ(to.receive_for(buffer, patience).error(), wtgram::errc::truncated);
    EXPECT_EQ(to.receive_for(buffer, patience).error(), wtgram::errc::unknown_type);
    EXPECT_EQ(to.receive_for(buffer, patience).error(), wtgram::errc::deserialization);
    raw.send(std::string_view("\x00\x01{}", 4));
    EXPECT_EQ(to.receive(buffer, patience).length, 2u);
}

TEST(Structured, BatchesGoOverWhole)
{
    pair p;
    const auto options = wtgram::structured_options().serializer(wtgram::serializer_kind::message_pack);
    const auto from = wtgram::structured::open(p.client.transport(), types, options);
    const auto to = wtgram::structured::open(p.accepted.transport(), types, options);
    const wtgram_object objects[] = {wtgram::object(1, "1"), wtgram::object(9, "2"), wtgram::object(2, "[3]")};
    wtgram_status results[3];
    const auto outcome = from.send_batch(objects, {}, results);
    EXPECT_EQ(outcome.accepted, 2u);
    EXPECT_EQ(outcome.first_error, wtgram::errc::unknown_type);
    EXPECT_EQ(results[1], WTGRAM_ERROR_UNKNOWN_TYPE);
    p.client.transport().send("x"); // too short
    wtgram::object_buffer buffer(8, 4096);
    std::vector<std::string> got;
    while (got.size() < 3) {
        ASSERT_GT(to.receive_batch(buffer, patience), 0u);
        for (const auto &one : buffer)
            got.push_back(one.error ? one.error.message() : std::to_string(one.type_id) + std::string(one.text()));
    }
    EXPECT_EQ(got, (std::vector<std::string>{"11", "2[3]", wtgram_status_message(WTGRAM_ERROR_TRUNCATED)}));
    EXPECT_EQ(to.try_receive_batch(buffer).error(), wtgram::errc::would_block);
    EXPECT_TRUE(buffer.empty());
    wtgram::object_buffer small(1, 2);
    from.send(1, "[1,2]");
    EXPECT_EQ(to.receive_batch_for(small, patience).error(), wtgram::errc::buffer_too_small);
    EXPECT_EQ(small.needed(), 5u);
    EXPECT_EQ(to.receive_batch(buffer, patience), 1u);
}

TEST(Serializer, OnesOwnIsUsedAndMayRefuse)
{
    pair p;
    const inverter serializer;
    const auto from = wtgram::structured::open(
        p.client.transport(), types, wtgram::structured_options().custom(wtgram::serializer_table(serializer)));
    std::uint8_t buffer[64];
    from.send(1, "abc");
    EXPECT_EQ(p.accepted.transport().receive(buffer, patience), 5u);
    EXPECT_EQ(text_of(buffer, 5), std::string_view("\x00\x01\x9e\x9d\x9c", 5));
    EXPECT_EQ(from.try_send(2, "abc").error(), wtgram::errc::serialization);
    EXPECT_EQ(from.try_send(1, "").error(), wtgram::errc::serialization); // it throws
    p.accepted.transport().send(std::string_view("\x00\x01\x9e", 3));
    EXPECT_EQ(from.receive(buffer, patience).length, 1u);
    EXPECT_EQ(buffer[0], 'a');
    p.accepted.transport().send(std::string_view("\x00\x01", 2));
    EXPECT_EQ(from.receive_for(buffer, patience).error(), wtgram::errc::deserialization);
}

TEST(Serializer, BytesCanTravelAsTheyAre)
{
    pair p;
    const auto options = wtgram::structured_options().custom(wtgram::as_is());
    const auto from = wtgram::structured::open(p.client.transport(), types, options);
    const auto to = wtgram::structured::open(p.accepted.transport(), types, options);
    const std::vector<std::uint8_t> bytes{0, 255, 7};
    std::uint8_t buffer[64];
    from.send(1, bytes);
    EXPECT_EQ(to.receive(buffer, patience).length, 3u);
    EXPECT_EQ(std::vector<std::uint8_t>(buffer, buffer + 3), bytes);
}

TEST(Typed, ObjectsComeAsWhatTheyWere)
{
    pair p;
    const auto from = channel::open(p.client.transport()), to = channel::open(p.accepted.transport());
    from.send(number(42));
    EXPECT_TRUE(from.try_send(line{"hello"}));
    EXPECT_TRUE(from.send_for(line{std::string(900, 'x')}, patience));
    EXPECT_EQ(std::get<number>(to.receive(patience)).value, 42);
    EXPECT_EQ(std::get<line>(*to.receive_for(patience)).text, "hello");
    EXPECT_EQ(std::get<line>(to.receive(patience)).text.size(), 900u);
    EXPECT_EQ(to.try_receive().error(), wtgram::errc::would_block);
    EXPECT_EQ(from.try_send(line{"\""}).error(), wtgram::errc::serialization);
    EXPECT_EQ(from.try_send(line{std::string(1000, 'x')}).error(), wtgram::errc::too_large);
    EXPECT_THROW(from.send(line{"\""}), wtgram::error);
    from.send(1, "\"JSON, but no number\"");
    EXPECT_EQ(to.receive_for(patience).error(), wtgram::errc::deserialization);
    from.send(number(1));
    EXPECT_EQ(to.receive(patience).index(), 0u);
}

TEST(Typed, ACodecThatThrowsRefusesAndNoMore)
{
    pair p;
    using strictly = wtgram::typed<wtgram::type<1, strict>>;
    const auto from = strictly::open(p.client.transport()), to = strictly::open(p.accepted.transport());
    EXPECT_EQ(from.try_send(strict(-1)).error(), wtgram::errc::serialization);
    EXPECT_EQ(from.send_for(strict(-1), 1s).error(), wtgram::errc::serialization);
    EXPECT_THROW(from.send(strict(-1)), wtgram::error);
    from.send(1, "\"a peer's bytes\"");
    from.send(1, "13");
    EXPECT_EQ(to.receive_for(patience).error(), wtgram::errc::deserialization);
    EXPECT_EQ(to.receive_for(patience).error(), wtgram::errc::deserialization);
    from.send(strict(7));
    EXPECT_EQ(std::get<strict>(*to.receive_for(patience)).value, 7);
}

TEST(Typed, OverASessionItTakesOnlyItsOwn)
{
    pair p(network::reorders);
    const auto from = channel::open(p.client);
    const auto to = channel::open(p.accepted, wtgram::structured_options().queue_datagrams(10));
    p.client.transport().send("not one of the types");
    from.send(number(5));
    EXPECT_EQ(std::get<number>(to.receive(patience)).value, 5);
    std::uint8_t buffer[64];
    EXPECT_EQ(p.accepted.transport().receive(buffer, patience), 20u);
    to.close();
    EXPECT_EQ(to.try_send(number(5)).error(), wtgram::errc::closed);
    EXPECT_FALSE(p.accepted.transport().is_closed());
}

TEST(Typed, OverAReliabilityLayerObjectsSurelyArrive)
{
    pair p(network::loses);
    const auto below = wtgram::reliability::open(p.client), above = wtgram::reliability::open(p.accepted);
    const auto from = channel::open(below), to = channel::open(above);
    const auto poller = wtgram::poller::make();
    wtgram::event events[1];
    poller.add(to, wtgram::readiness::readable);
    from.send(line{"surely"});
    const auto ready = poller.wait(events, patience);
    ASSERT_EQ(ready.size(), 1u);
    EXPECT_EQ(ready[0].object, to.id());
    EXPECT_EQ(std::get<line>(to.receive(patience)).text, "surely");
    EXPECT_EQ(below.stats().submitted, 1u);
    static_assert(!std::is_copy_constructible_v<channel> && std::is_nothrow_move_constructible_v<channel>);
}
