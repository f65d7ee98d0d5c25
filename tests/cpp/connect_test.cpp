#include "pair.hpp"

#include <gtest/gtest.h>

#include <arpa/inet.h>
#include <sys/socket.h>
#include <unistd.h>

#include <thread>

using namespace wtgram_tests;
using wtgram::readiness;

namespace
{

// An address that never answers: a bound UDP socket that is never read.
class silence
{
  public:
    silence() : fd_(socket(AF_INET, SOCK_DGRAM, 0))
    {
        sockaddr_in address{};
        socklen_t length = sizeof address;
        address.sin_family = AF_INET;
        address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
        EXPECT_EQ(bind(fd_, reinterpret_cast<sockaddr *>(&address), length), 0);
        EXPECT_EQ(getsockname(fd_, reinterpret_cast<sockaddr *>(&address), &length), 0);
        url_ = "https://127.0.0.1:" + std::to_string(ntohs(address.sin_port)) + "/";
    }
    silence(const silence &) = delete;
    silence &operator=(const silence &) = delete;
    ~silence() { ::close(fd_); }
    const std::string &url() const { return url_; }

  private:
    int fd_;
    std::string url_;
};

wtgram::connect_options trusting(const pair &p)
{
    return wtgram::connect_options().timeout(patience).trust_certificate_hash(p.server.certificate_hash());
}

} // namespace

TEST(Connect, APollerReportsWhenASessionIsEstablishedAndWhenAnAttemptHasFailed)
{
    pair p(network::loses);
    const auto poller = wtgram::poller::make();
    const auto good = wtgram::session::connect_start(p.url, trusting(p));
    const auto bad = wtgram::session::connect_start(p.url); // the system's authorities have not signed it
    poller.add(good, readiness::connected | readiness::one_shot, 1);
    poller.add(bad, readiness::connected | readiness::one_shot, 2);
    wtgram::event events[8];
    for (int reported = 0; reported < 2;) {
        for (const wtgram::event &event : poller.wait(events, patience)) {
            reported++;
            EXPECT_EQ(event.object, event.cookie == 1 ? good.id() : bad.id());
            EXPECT_EQ(event.connected(), event.cookie == 1);
            EXPECT_EQ(event.closed(), event.cookie == 2);
        }
    }
    EXPECT_TRUE(good.wait_connected_for(0us));
    EXPECT_EQ(good.state(), wtgram::session_state::connected);
    EXPECT_EQ(good.try_connect_failure().error(), wtgram::errc::invalid_state);
    const auto accepted = p.server.accept(patience);
    wtgram::detail_text detail;
    EXPECT_EQ(bad.wait_connected_for(0us, &detail).error(), wtgram::errc::certificate_untrusted);
    EXPECT_FALSE(detail.view().empty());
    EXPECT_EQ(bad.try_connect_failure()->code(), wtgram::errc::certificate_untrusted);
    EXPECT_FALSE(bad.try_connect_failure()->is_retryable());
    EXPECT_EQ(bad.try_transport().error(), wtgram::errc::closed);
    EXPECT_EQ(bad.try_close_info()->reason(), detail.view());
}

TEST(Connect, AnAttemptHasAStateAndCanBeCancelled)
{
    const silence nobody;
    const auto insecure = wtgram::connect_options().insecure_no_verification().timeout(patience);
    auto session = wtgram::session::connect_start(nobody.url(), insecure);
    EXPECT_EQ(session.state(), wtgram::session_state::connecting);
    EXPECT_EQ(session.try_transport().error(), wtgram::errc::invalid_state);
    EXPECT_EQ(session.try_path().error(), wtgram::errc::invalid_state);
    EXPECT_EQ(session.wait_connected_for(0us).error(), wtgram::errc::would_block);
    EXPECT_EQ(session.wait_connected_for(10ms).error(), wtgram::errc::timed_out);
    EXPECT_EQ(session.try_connect_failure().error(), wtgram::errc::would_block);
    try {
        session.wait_connected(10ms);
        ADD_FAILURE() << "connected";
    } catch (const wtgram::connect_error &) {
        ADD_FAILURE() << "the attempt has not failed";
    } catch (const wtgram::error &failure) {
        EXPECT_EQ(failure.code(), wtgram::errc::timed_out);
    }
    std::thread canceler([&] {
        std::this_thread::sleep_for(20ms);
        session.close(3, "no more");
    });
    EXPECT_EQ(session.wait_connected_for(wtgram::forever).error(), wtgram::errc::closed);
    canceler.join();
    EXPECT_EQ(session.try_close_info()->code(), 3u);
    session.reset();
    EXPECT_EQ(session.wait_connected_for(0us).error(), wtgram::errc::invalid_handle);
    (void)wtgram::session::connect_start(nobody.url(), insecure); // the destructor cancels it
}

TEST(Connect, TheExceptionSaysWhetherToTryAgain)
{
    const silence nobody;
    try {
        (void)wtgram::session::connect(nobody.url(),
                                       wtgram::connect_options().insecure_no_verification().timeout(100ms));
        ADD_FAILURE() << "connected";
    } catch (const wtgram::connect_error &error) {
        EXPECT_EQ(error.code(), wtgram::errc::connect_timeout);
        EXPECT_NE(std::string_view(error.what()).find("listening"), std::string_view::npos) << error.what();
        EXPECT_TRUE(error.failure().is_retryable());
        EXPECT_EQ(error.failure().http_status(), 0u);
        EXPECT_EQ(error.failure().retry_after(), 0us);
    }
    const auto server = wtgram::server::listen(
        wtgram::listen_options().host("127.0.0.1").handshake_timeout(patience).accept_backlog(1));
    const std::string url = "https://127.0.0.1:" + std::to_string(server.local_port()) + "/";
    const auto options = wtgram::connect_options().timeout(patience).trust_certificate_hash(server.certificate_hash());
    const auto first = wtgram::session::connect(url, options);
    try {
        (void)wtgram::session::connect(url, options);
        ADD_FAILURE() << "connected";
    } catch (const wtgram::connect_error &error) {
        EXPECT_EQ(error.code(), wtgram::errc::rejected);
        EXPECT_EQ(error.failure().http_status(), 503u);
        EXPECT_TRUE(error.failure().is_retryable());
    }
    EXPECT_EQ(wtgram::session::connect(std::nothrow, url, options).error(), wtgram::errc::rejected);
}

TEST(Connect, WhatIsWrongWithTheArgumentsIsSaidAtOnce)
{
    wtgram::detail_text detail;
    EXPECT_EQ(wtgram::session::try_connect_start("no URL", {}, &detail).error(), wtgram::errc::invalid_url);
    EXPECT_FALSE(detail.view().empty());
    static_assert(noexcept(wtgram::session::try_connect_start("")));
    EXPECT_THROW((void)wtgram::session::connect_start("no URL"), wtgram::error);
}
