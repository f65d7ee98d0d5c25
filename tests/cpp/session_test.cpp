#include "pair.hpp"

#include <gtest/gtest.h>

#include <arpa/inet.h>
#include <sys/socket.h>
#include <unistd.h>

#include <thread>

using namespace wtgram_tests;

TEST(Session, HandlesMoveAndCloseTheirSession)
{
    pair p(network::loses);
    static_assert(!std::is_copy_constructible_v<wtgram::session> &&
                  std::is_nothrow_move_constructible_v<wtgram::session>);
    static_assert(!std::is_copy_constructible_v<wtgram::server> && std::is_nothrow_move_assignable_v<wtgram::server>);
    const std::uint64_t id = p.client.id();
    wtgram::session moved = std::move(p.client);
    EXPECT_EQ(moved.id(), id);
    EXPECT_FALSE(p.client);
    EXPECT_EQ(p.client.try_state().error(), wtgram::errc::invalid_handle);
    EXPECT_EQ(moved.state(), wtgram::session_state::connected);
    moved = wtgram::session(); // frees it, which closes it
    EXPECT_EQ(p.accepted.wait_closed(patience).closed_by(), wtgram::closed_by::peer);
}

TEST(Session, ReleaseGivesTheHandleAway)
{
    pair p(network::loses);
    const wtgram_session handle = p.client.release();
    EXPECT_FALSE(p.client);
    wtgram::session again(handle);
    EXPECT_EQ(again.state(), wtgram::session_state::connected);
    again.reset();
    EXPECT_FALSE(again);
}

TEST(Session, GettersSayWhatIsThere)
{
    pair p(network::loses);
    EXPECT_EQ(p.accepted.path(), "/test");
    EXPECT_EQ(p.client.remote_address(), "127.0.0.1:" + std::to_string(p.link.port()));
    EXPECT_EQ(p.accepted.remote_address().rfind("127.0.0.1:", 0), 0u);
    EXPECT_EQ(p.client.session_id(), p.accepted.session_id());
    EXPECT_GT(p.client.stats().rtt(), 0us);
    EXPECT_GE(p.client.stats().rtt(), p.client.stats().min_rtt());
    EXPECT_EQ(p.client.transport().id(), p.client.transport().id());
    EXPECT_EQ(p.client.transport().session_id(), p.client.session_id());
    EXPECT_EQ(p.client.transport().try_session()->id, p.client.id());
    EXPECT_EQ(p.server.local_address(), "127.0.0.1:" + std::to_string(p.server.local_port()));
    // The client's socket is bound to no particular address. Both ends know only its port, unless a link is between
    // them.
    const auto port = [](const std::string &address) { return address.substr(address.rfind(':')); };
    EXPECT_EQ(port(p.client.local_address()) == port(p.accepted.remote_address()), !p.link);
}

TEST(Session, ClosingAndFreeingTwiceDoNothing)
{
    pair p(network::loses);
    p.client.close(7, "first");
    p.client.close(8, "second");
    EXPECT_EQ(p.client.try_close_info()->code(), 7u);
    p.client.reset();
    p.client.reset();
    EXPECT_EQ(p.client.try_close().error(), wtgram::errc::invalid_handle);
    EXPECT_EQ(p.accepted.wait_closed(patience).code(), 7u);
    p.server.close();
    p.server.close();
}

TEST(Session, CodeAndReasonReachThePeer)
{
    pair p(network::loses);
    EXPECT_EQ(p.client.try_close_info().error(), wtgram::errc::would_block);
    EXPECT_EQ(p.client.wait_closed_for(10ms).error(), wtgram::errc::timed_out);
    p.accepted.close(4711, "enough");
    const wtgram::close_info info = p.client.wait_closed(patience);
    EXPECT_EQ(info.closed_by(), wtgram::closed_by::peer);
    EXPECT_EQ(info.code(), 4711u);
    EXPECT_EQ(info.reason(), "enough");
    EXPECT_EQ(p.client.state(), wtgram::session_state::closed);
    EXPECT_EQ(p.client.try_close_info()->code(), 4711u);
}

TEST(Session, DrainAsksThePeerAndTheSessionGoesOn)
{
    pair p(network::reorders);
    p.accepted.drain();
    p.accepted.drain();
    EXPECT_TRUE(eventually([&] { return p.client.state() == wtgram::session_state::draining; }));
    EXPECT_EQ(p.accepted.state(), wtgram::session_state::connected);
    std::uint8_t buffer[16];
    p.client.transport().send("x");
    EXPECT_EQ(p.accepted.transport().receive(buffer, patience), 1u);
    p.client.close(3);
    EXPECT_EQ(p.accepted.wait_closed(patience).code(), 3u);
    EXPECT_EQ(p.accepted.try_drain().error(), wtgram::errc::closed);
}

TEST(Session, DrainAndCloseSendsWhatIsQueuedFirst)
{
    for (const bool waits : {false, true}) {
        pair p(wtgram::transport_options().outgoing_max_datagrams(1000), network::loses);
        for (int i = 0; i < 300; i++) p.client.transport().send("x");
        if (waits) p.client.drain_and_close(patience, 17, "all sent");
        else p.client.drain_and_close_start(17, "all sent");
        EXPECT_EQ(p.accepted.wait_closed(patience).reason(), "all sent");
        EXPECT_EQ(p.client.wait_closed(patience).code(), 17u);
        EXPECT_EQ(p.client.transport().stats().sent, 300u);
        EXPECT_EQ(p.client.drain_and_close_for(patience).error(), wtgram::errc::closed);
        EXPECT_EQ(p.client.try_drain_and_close_start().error(), wtgram::errc::closed);
        EXPECT_THROW(p.client.drain_and_close(patience), wtgram::error);
    }
}

TEST(Session, CloseFromAnotherThreadWakesAReceiver)
{
    pair p(network::loses);
    std::thread closer([&] {
        std::this_thread::sleep_for(50ms);
        p.client.close(1);
    });
    std::uint8_t buffer[16];
    try {
        p.client.transport().receive(buffer);
        ADD_FAILURE() << "received something";
    } catch (const wtgram::error &failure) {
        EXPECT_EQ(failure.code(), wtgram::errc::closed);
    }
    closer.join();
}

TEST(Server, AcceptTimesOutAndWouldBlock)
{
    pair p(network::loses);
    EXPECT_EQ(p.server.try_accept().error(), wtgram::errc::would_block);
    EXPECT_EQ(p.server.accept_for(10ms).error(), wtgram::errc::timed_out);
    try {
        p.server.accept(10ms);
        ADD_FAILURE() << "accepted somebody";
    } catch (const wtgram::error &failure) {
        EXPECT_EQ(failure.code(), std::errc::timed_out);
    }
}

TEST(Server, CloseEndsItsSessionsAndAccept)
{
    pair p(network::loses);
    p.server.close();
    EXPECT_EQ(p.client.wait_closed(patience).closed_by(), wtgram::closed_by::peer);
    EXPECT_EQ(p.server.accept_for(patience).error(), wtgram::errc::closed);
}

TEST(Server, StopListeningRefusesNewClientsAndSessionsGoOn)
{
    pair p(network::reorders);
    const auto options =
        wtgram::connect_options().timeout(patience).trust_certificate_hash(p.server.certificate_hash());
    const wtgram::session waiting = wtgram::session::connect(p.url, options);
    p.server.stop_listening();
    p.server.stop_listening();
    EXPECT_EQ(wtgram::session::connect(std::nothrow, p.url, options).error(), wtgram::errc::connection_refused);
    const wtgram::session accepted = p.server.accept();
    std::uint8_t buffer[16];
    waiting.transport().send("x");
    EXPECT_EQ(accepted.transport().receive(buffer, patience), 1u);
    EXPECT_EQ(p.server.accept_for(patience).error(), wtgram::errc::closed);
    p.accepted.transport().send("y");
    EXPECT_EQ(p.client.transport().receive(buffer, patience), 1u);
    p.server.close(4);
    EXPECT_EQ(p.client.wait_closed(patience).code(), 4u);
}

TEST(Server, HasAsManyLanesAsTheLibraryAtMost)
{
    const auto refused = [](const wtgram::listen_options &options) {
        return wtgram::server::try_listen(options).error();
    };
    EXPECT_EQ(refused(wtgram::listen_options().lanes(257)), wtgram::errc::invalid_argument);
    EXPECT_EQ(refused(wtgram::listen_options().server_id({1, 2, 3}, 7)), wtgram::errc::invalid_argument);
    EXPECT_EQ(refused(wtgram::listen_options().server_id(std::vector<std::uint8_t>(12))),
              wtgram::errc::invalid_argument);
    const auto server =
        wtgram::server::listen(wtgram::listen_options().host("127.0.0.1").lanes(1).server_id({1, 2, 3}, 6));
    EXPECT_NE(server.local_port(), 0);
}

TEST(Server, ListensOnASocketThatIsHandedIn)
{
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    const int fd = socket(AF_INET, SOCK_DGRAM, 0);
    EXPECT_EQ(wtgram::server::try_listen(wtgram::listen_options().socket_fd(fd)).error(),
              wtgram::errc::invalid_argument);
    ASSERT_EQ(bind(fd, reinterpret_cast<sockaddr *>(&address), sizeof address), 0);
    socklen_t length = sizeof address;
    ASSERT_EQ(getsockname(fd, reinterpret_cast<sockaddr *>(&address), &length), 0);
    const auto server = wtgram::server::listen(wtgram::listen_options().socket_fd(fd).handshake_timeout(patience));
    ASSERT_EQ(close(fd), 0);
    EXPECT_EQ(server.local_port(), ntohs(address.sin_port));
    const auto options = wtgram::connect_options().timeout(patience).trust_certificate_hash(server.certificate_hash());
    const auto client =
        wtgram::session::connect("https://127.0.0.1:" + std::to_string(server.local_port()) + "/", options);
    const auto accepted = server.accept(patience);
    client.close(6);
    EXPECT_EQ(accepted.wait_closed(patience).code(), 6u);
}

TEST(Server, CloseGivesEveryPeerACodeAndAReason)
{
    pair p(network::loses);
    EXPECT_EQ(p.server.try_close(1, std::string(1025, 'x')).error(), wtgram::errc::invalid_argument);
    p.server.close(503, "maintenance");
    const wtgram::close_info info = p.client.wait_closed(patience);
    EXPECT_EQ(info.closed_by(), wtgram::closed_by::peer);
    EXPECT_EQ(info.code(), 503u);
    EXPECT_EQ(info.reason(), "maintenance");
}

TEST(Server, ASecondClientIsASecondSession)
{
    pair p(network::reorders);
    const auto options = wtgram::connect_options()
                             .insecure_no_verification()
                             .timeout(patience)
                             .header("x-test", "1")
                             .connection(wtgram::connection_options().keep_alive(1s).idle_timeout(patience));
    const wtgram::session second = wtgram::session::connect(p.url, options);
    const wtgram::session accepted = p.server.accept(patience);
    EXPECT_NE(accepted.id(), p.accepted.id());
    second.transport().send("to the second");
    char buffer[64];
    const auto bytes = wtgram::bytes_buffer(reinterpret_cast<std::uint8_t *>(buffer), sizeof buffer);
    EXPECT_EQ(std::string_view(buffer, accepted.transport().receive(bytes, patience)), "to the second");
    EXPECT_EQ(p.accepted.transport().try_receive(bytes).error(), wtgram::errc::would_block);
}
