// Objects with to_json and from_json of nlohmann/json, which argument-dependent lookup finds.
#include "pair.hpp"

#include <gtest/gtest.h>

#include <cmath>

#if !WTGRAM_HAS_NLOHMANN_JSON
#error "nlohmann/json is not there: install it (Debian: nlohmann-json3-dev)"
#endif

using namespace wtgram_tests;

namespace game
{

struct position {
    double x, y;
};
struct chat {
    std::string from, text;
};
void to_json(nlohmann::json &json, const position &p) { json = {{"x", p.x}, {"y", p.y}}; }
void from_json(const nlohmann::json &json, position &p)
{
    json.at("x").get_to(p.x);
    json.at("y").get_to(p.y);
}
NLOHMANN_DEFINE_TYPE_NON_INTRUSIVE(chat, from, text)

} // namespace game

namespace
{
using channel = wtgram::typed<wtgram::type<1, game::position>, wtgram::type<2, game::chat>>;
}

TEST(NlohmannJson, ObjectsGoOverInEitherForm)
{
    for (const auto kind : {wtgram::serializer_kind::json, wtgram::serializer_kind::message_pack}) {
        pair p;
        const auto options = wtgram::structured_options().serializer(kind);
        const auto from = channel::open(p.client.transport(), options);
        const auto to = channel::open(p.accepted.transport(), options);
        from.send(game::position{1.5, -2});
        from.send(game::chat{"a", "h\xc3\xa9llo"});
        const auto position = std::get<game::position>(to.receive(patience));
        EXPECT_EQ(position.x, 1.5);
        EXPECT_EQ(position.y, -2);
        EXPECT_EQ(std::get<game::chat>(to.receive(patience)).text, "h\xc3\xa9llo");
    }
}

TEST(NlohmannJson, WhatDoesNotConvertIsAnErrorAndNoMore)
{
    pair p;
    const auto from = channel::open(p.client.transport()), to = channel::open(p.accepted.transport());
    EXPECT_EQ(from.try_send(game::chat{"a", "\xff"}).error(), wtgram::errc::serialization);
    from.send(1, "{\"x\":1}");
    from.send(1, "{\"x\":1,\"y\":\"no number\"}");
    from.send(1, "[]");
    for (int i = 0; i < 3; i++) EXPECT_EQ(to.receive_for(patience).error(), wtgram::errc::deserialization);
    from.send(game::position{0, 0});
    EXPECT_EQ(to.receive(patience).index(), 0u);
}

TEST(NlohmannJson, ANumberThatIsNoneIsRefused)
{
    pair p;
    const auto from = channel::open(p.client.transport()), to = channel::open(p.accepted.transport());
    for (const double number : {std::nan(""), HUGE_VAL, -HUGE_VAL})
        EXPECT_EQ(from.try_send(game::position{0, number}).error(), wtgram::errc::serialization);
    EXPECT_THROW(from.send(game::position{std::nan(""), 0}), wtgram::error);
    from.send(game::position{1e308, 0}); // and nothing was sent before it
    EXPECT_EQ(std::get<game::position>(to.receive(patience)).x, 1e308);
}

TEST(NlohmannJson, TextBecomesAValue)
{
    pair p;
    p.client.transport().send_json(nlohmann::json{{"a", {1, 2}}}.dump());
    EXPECT_EQ(nlohmann::json::parse(p.accepted.transport().receive_json(patience)).at("a").size(), 2u);
}
