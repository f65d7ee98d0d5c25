#include "pair.hpp"

#include <gtest/gtest.h>

#include <atomic>

using namespace wtgram_tests;

TEST(Error, CodesCompareWithTheStandardConditions)
{
    EXPECT_EQ(make_error_code(wtgram::errc::timed_out), std::errc::timed_out);
    EXPECT_EQ(make_error_code(wtgram::errc::connect_timeout), std::errc::timed_out);
    EXPECT_EQ(make_error_code(wtgram::errc::would_block), std::errc::operation_would_block);
    EXPECT_EQ(make_error_code(wtgram::errc::too_large), std::errc::message_size);
    EXPECT_NE(make_error_code(wtgram::errc::closed), std::errc::timed_out);
    EXPECT_STREQ(wtgram::error_category().name(), "wtgram");
    EXPECT_EQ(make_error_code(wtgram::errc::closed).message(), wtgram_status_message(WTGRAM_ERROR_CLOSED));
}

TEST(Error, ConnectThrowsWithStatusAndDetail)
{
    try {
        (void)wtgram::session::connect("this is no URL");
        FAIL() << "it connected";
    } catch (const wtgram::error &failure) {
        EXPECT_EQ(failure.code(), wtgram::errc::invalid_url);
        EXPECT_EQ(failure.status(), WTGRAM_ERROR_INVALID_URL);
        EXPECT_STRNE(failure.what(), "");
    }
}

TEST(Error, TryConnectReturnsTheCodeAndFillsTheDetail)
{
    wtgram::detail_text detail;
    const auto session = wtgram::session::connect(std::nothrow, "this is no URL", {}, &detail);
    ASSERT_FALSE(session);
    EXPECT_EQ(session.error(), wtgram::errc::invalid_url);
    EXPECT_FALSE(detail.view().empty());
    EXPECT_FALSE(wtgram::session::connect(std::nothrow, "this is no URL"));
    static_assert(noexcept(wtgram::session::connect(std::nothrow, "")));
}

TEST(Error, AWrongHashIsItsOwnError)
{
    pair p(network::loses);
    wtgram::certificate_hash wrong = p.server.certificate_hash();
    wrong[0] = static_cast<std::uint8_t>(wrong[0] ^ 1);
    const auto session =
        wtgram::session::connect(std::nothrow, p.url, wtgram::connect_options().trust_certificate_hash(wrong));
    ASSERT_FALSE(session);
    EXPECT_EQ(session.error(), wtgram::errc::certificate_hash_mismatch);
}

TEST(Error, ListenOnATakenPortThrowsIo)
{
    pair p;
    try {
        (void)wtgram::server::listen(wtgram::listen_options().host("127.0.0.1").port(p.server.local_port()));
        FAIL() << "two servers on one port";
    } catch (const std::system_error &failure) {
        EXPECT_EQ(failure.code(), wtgram::errc::io);
    }
}

TEST(Error, ExpectedHoldsOneOrTheOther)
{
    wtgram::expected<int> seven = 7;
    EXPECT_TRUE(seven.has_value());
    EXPECT_EQ(*seven, 7);
    EXPECT_EQ(seven.value_or(8), 7);
    wtgram::expected<int> none = wtgram::unexpected(make_error_code(wtgram::errc::closed));
    EXPECT_FALSE(none);
    EXPECT_EQ(none.error(), wtgram::errc::closed);
    EXPECT_EQ(none.value_or(8), 8);
    EXPECT_ANY_THROW((void)none.value());
    wtgram::expected<void> done;
    EXPECT_TRUE(done);
}

TEST(Library, VersionsAgree)
{
    EXPECT_TRUE(wtgram::version_matches());
    EXPECT_EQ(wtgram::version(), wtgram_version());
    EXPECT_EQ(wtgram::version_number() >> 16, static_cast<std::uint32_t>(WTGRAM_VERSION_MAJOR));
}

TEST(Library, TheRuntimeCannotBeConfiguredOnceItRuns)
{
    pair p;
    EXPECT_EQ(wtgram::try_configure_runtime({2}).error(), wtgram::errc::invalid_state);
    EXPECT_THROW(wtgram::configure_runtime({2}), wtgram::error);
}

TEST(Library, TheLogTakesACallbackAndLetsGoOfIt)
{
    static std::atomic<int> lines{0}; // lives longer than lines that are still on their way
    const auto count = [](void *context, std::int32_t, const char *, const char *) {
        ++*static_cast<std::atomic<int> *>(context);
    };
    EXPECT_TRUE(wtgram::try_configure_log(wtgram::log_level::trace, count, &lines));
    const pair talks;
    EXPECT_TRUE(eventually([&] { return lines > 0; }));
    EXPECT_NO_THROW(wtgram::configure_log(wtgram::log_level::off, nullptr));
    EXPECT_TRUE(eventually([&] {
        const int heard = lines;
        const pair talks_unheard;
        return lines == heard;
    }));
}

TEST(Hash, HexGoesBothWays)
{
    wtgram::certificate_hash hash{};
    for (std::size_t i = 0; i < hash.size(); i++) hash[i] = static_cast<std::uint8_t>(i * 8);
    const std::string text = wtgram::to_hex(hash);
    EXPECT_EQ(text.size(), 64u);
    EXPECT_EQ(wtgram::hash_from_hex(text), hash);
    EXPECT_FALSE(wtgram::hash_from_hex(text.substr(1)));
    EXPECT_FALSE(wtgram::hash_from_hex(text + "0"));
    EXPECT_FALSE(wtgram::hash_from_hex("g" + text.substr(1)));
}
