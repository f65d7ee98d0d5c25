// What a server lets in: by its rules, by the program, and within limits.
#include "pair.hpp"

#include <gtest/gtest.h>

#include <future>

using namespace wtgram_tests;

namespace
{
wtgram::listen_options on_loopback() { return wtgram::listen_options().host("127.0.0.1").handshake_timeout(patience); }

struct asked_server {
    wtgram::server server;

    explicit asked_server(const wtgram::listen_options &options) : server(wtgram::server::listen(options)) {}

    wtgram::expected<wtgram::session> connect(const std::string &path, wtgram::connect_options options = {},
                                              wtgram::detail_text *detail = nullptr) const
    {
        options.timeout(patience).trust_certificate_hash(server.certificate_hash());
        const std::string url = "https://127.0.0.1:" + std::to_string(server.local_port()) + path;
        return wtgram::session::connect(std::nothrow, url, options, detail);
    }
    // The HTTP status of the refusal; 200 if there is none.
    int status(const std::string &path, const std::string &origin = {}) const
    {
        wtgram::connect_options options;
        if (!origin.empty()) options.header("origin", origin);
        wtgram::detail_text detail;
        const auto session = connect(path, options, &detail);
        if (session) return 200;
        EXPECT_EQ(session.error(), wtgram::errc::rejected);
        return std::atoi(detail.c_str() + detail.view().find_first_of("0123456789"));
    }
    // A client in a thread of its own, because it waits for the answer to its request.
    auto start(const std::string &path, const wtgram::connect_options &options = {}) const
    {
        return std::async(std::launch::async, [this, path, options] { return connect(path, options); });
    }
};
} // namespace

TEST(Admission, RulesDecideAndAreCounted)
{
    const asked_server by_default(on_loopback());
    EXPECT_EQ(by_default.status("/", "https://127.0.0.1:8443"), 200);
    EXPECT_EQ(by_default.status("/", "https://evil.example"), 403);
    EXPECT_EQ(by_default.status("/", "https://localhost"), 403);
    EXPECT_EQ(by_default.server.stats().refused_origin, 2u);

    const asked_server rules(
        on_loopback().allowed_origins({"https://a.example", "https://b.example"}).allowed_paths({"/chat", "/rooms/*"}));
    EXPECT_EQ(rules.status("/chat?name=a", "https://b.example"), 200);
    EXPECT_EQ(rules.status("/rooms/7"), 200);
    EXPECT_EQ(rules.status("/chat", "https://127.0.0.1"), 403);
    EXPECT_EQ(rules.status("/"), 404);
    EXPECT_EQ(rules.server.stats().refused_path, 1u);

    const asked_server elsewhere(on_loopback().allowed_authorities({"other.example"}));
    EXPECT_EQ(elsewhere.status("/"), 421);
    EXPECT_EQ(elsewhere.server.stats().refused_authority, 1u);

    wtgram::detail_text detail;
    const auto bad = wtgram::server::try_listen(on_loopback().allowed_origins({"a.example"}), &detail);
    EXPECT_EQ(bad.error(), wtgram::errc::invalid_argument);
    EXPECT_NE(detail.view().find("\"a.example\""), std::string_view::npos);
}

TEST(Admission, BothEndsKnowTheRequestAndTheSubprotocol)
{
    const asked_server one(on_loopback().subprotocols({"v2", "v1"}));
    const auto options = wtgram::connect_options()
                             .header("Origin", "https://127.0.0.1")
                             .header("x-a", "1")
                             .header("x-a", "2")
                             .subprotocols({"v1", "v2"});
    const wtgram::session client = one.connect("/room?id=7", options).value();
    const wtgram::session accepted = one.server.accept(patience);
    for (const wtgram::session *end : {&client, &accepted}) {
        EXPECT_EQ(end->path(), "/room?id=7");
        EXPECT_EQ(end->authority(), one.server.local_address());
        EXPECT_EQ(end->origin(), "https://127.0.0.1");
        EXPECT_EQ(end->subprotocol(), "v2");
    }
    EXPECT_EQ(accepted.header("X-A"), "1, 2");
    EXPECT_EQ(accepted.header("x-b"), "");
    const wtgram::header_fields fields = accepted.headers();
    const wtgram::header_fields sent = {{"origin", "https://127.0.0.1"}, {"x-a", "1"}, {"x-a", "2"}};
    EXPECT_NE(std::search(fields.begin(), fields.end(), sent.begin(), sent.end()), fields.end());
    EXPECT_EQ(client.header("wt-protocol"), "\"v2\"");
    EXPECT_EQ(wtgram::session().try_headers().error(), wtgram::errc::invalid_handle);
}

TEST(Admission, TheProgramSeesARequestAndAcceptsIt)
{
    const asked_server one(on_loopback().admission(wtgram::admission::requests));
    EXPECT_EQ(one.server.try_next_request().error(), wtgram::errc::would_block);
    EXPECT_EQ(one.server.next_request_for(10ms).error(), wtgram::errc::timed_out);
    EXPECT_EQ(one.server.try_accept().error(), wtgram::errc::invalid_state);
    auto connecting = one.start("/room?id=7", wtgram::connect_options()
                                                  .header("origin", "https://evil.example")
                                                  .header("x-token", "a: b")
                                                  .header("x-empty", "")
                                                  .subprotocols({"a", "b"}));
    wtgram::request request = one.server.next_request(patience);
    EXPECT_EQ(request.path(), "/room?id=7");
    EXPECT_EQ(request.query(), "id=7");
    EXPECT_EQ(request.authority(), one.server.local_address());
    EXPECT_EQ(request.origin(), "https://evil.example");
    EXPECT_EQ(request.header("X-Token"), "a: b");
    EXPECT_EQ(request.remote_address().rfind("127.0.0.1:", 0), 0u);
    EXPECT_EQ(request.subprotocols(), (std::vector<std::string>{"a", "b"}));
    EXPECT_EQ(request.refusal(), 403u);
    const wtgram::header_fields fields = request.headers();
    const wtgram::header_fields sent = {{"x-token", "a: b"}, {"x-empty", ""}};
    EXPECT_NE(std::search(fields.begin(), fields.end(), sent.begin(), sent.end()), fields.end());

    EXPECT_EQ(request.try_accept({}, "c").error(), wtgram::errc::invalid_argument);
    EXPECT_EQ(request.try_accept({{"connection", "close"}}).error(), wtgram::errc::invalid_argument);
    EXPECT_EQ(request.try_reject(200).error(), wtgram::errc::invalid_argument);
    EXPECT_EQ(one.server.stats().half_open, 1u);

    const wtgram::session accepted = request.accept({{"x-answer", "yes"}}, "b");
    const wtgram::session client = connecting.get().value();
    EXPECT_EQ(client.header("x-answer"), "yes");
    EXPECT_EQ(client.subprotocol(), "b");
    client.transport().send("hello");
    std::uint8_t buffer[16];
    EXPECT_EQ(accepted.transport().receive(buffer, patience), 5u);
    EXPECT_EQ(request.try_accept().error(), wtgram::errc::closed);
    EXPECT_THROW(request.reject(404), wtgram::error);
    request.reset();
    EXPECT_EQ(request.try_path().error(), wtgram::errc::invalid_handle);
    EXPECT_EQ(request.try_subprotocols().error(), wtgram::errc::invalid_handle);
    EXPECT_EQ(one.server.stats().established, 1u);
    EXPECT_EQ(one.server.stats().longest_handshake(), one.server.stats().handshake_time());
}

TEST(Admission, ARequestIsRejectedWithAStatusOrByForgettingIt)
{
    const asked_server one(on_loopback().admission(wtgram::admission::requests));
    const auto poller = wtgram::poller::make();
    poller.add(one.server, wtgram::readiness::accept);
    wtgram::event events[1];
    auto status = std::async(std::launch::async, [&] { return one.status("/"); });
    EXPECT_TRUE(poller.wait(events, patience)[0].acceptable());
    {
        const wtgram::request request = one.server.try_next_request().value();
        poller.add(request, wtgram::readiness::none, 7);
        EXPECT_EQ(poller.try_wait(events).error(), wtgram::errc::would_block);
        request.reject(429, {{"retry-after", "3"}});
        const auto ready = poller.wait(events, patience);
        EXPECT_TRUE(ready[0].closed() && ready[0].cookie == 7);
    }
    EXPECT_EQ(status.get(), 429);
    status = std::async(std::launch::async, [&] { return one.status("/"); });
    {
        const wtgram::request forgotten = one.server.next_request(patience);
    }
    EXPECT_EQ(status.get(), 503);
    EXPECT_EQ(one.server.stats().rejected, 2u);
}

TEST(Admission, LimitsHoldAndAreCounted)
{
    const wtgram::server_limits defaults;
    EXPECT_EQ(defaults.raw().max_sessions_per_address, 2048u);
    const asked_server one(on_loopback().max_sessions(2).limits(wtgram::server_limits()
                                                                    .max_sessions_per_address(1)
                                                                    .connections_per_second_per_address(0)
                                                                    .max_half_open(10)
                                                                    .retry_above_half_open(0)
                                                                    .max_header_bytes(1000)
                                                                    .max_header_fields(2)
                                                                    .max_path_bytes(10)
                                                                    .datagrams_per_second(1)
                                                                    .bytes_per_second(1000)
                                                                    .accept_timeout(patience)
                                                                    .max_memory(1 << 20)));
    EXPECT_EQ(one.status("/0123456789"), 414);
    const auto with = [](const char *host, int fields) {
        auto options = wtgram::connect_options().bind_host(host);
        while (fields-- > 0) options.header("x", "1");
        return options;
    };
    EXPECT_TRUE(eventually([&] { return one.server.stats().connections == 0; })); // the rejected one is gone
    EXPECT_EQ(one.connect("/", with("127.0.0.1", 3)).error(), wtgram::errc::rejected);
    EXPECT_TRUE(eventually([&] { return one.server.stats().connections == 0; }));
    const wtgram::session first = one.connect("/", with("127.0.0.1", 0)).value();
    EXPECT_EQ(one.connect("/", with("127.0.0.1", 0)).error(), wtgram::errc::connection_refused);
    const wtgram::session second = one.connect("/", with("127.0.0.2", 0)).value();
    EXPECT_EQ(one.connect("/", with("127.0.0.3", 0)).error(), wtgram::errc::connection_refused);
    const auto stats = one.server.stats();
    EXPECT_EQ(stats.refused_path_length, 1u);
    EXPECT_EQ(stats.refused_headers, 1u);
    EXPECT_EQ(stats.refused_address, 1u);
    EXPECT_EQ(stats.refused_sessions, 1u);
    EXPECT_EQ(stats.retries, 4u);
    EXPECT_EQ(stats.memory_bytes, 2u * 40 * 1024);
    const std::string text = one.server.prometheus();
    EXPECT_NE(text.find("wtgram_server_refused_total{server=\"" + one.server.local_address() +
                        "\",reason=\"path_length\"} 1\n"),
              std::string::npos);
    EXPECT_EQ(wtgram::server().try_prometheus().error(), wtgram::errc::invalid_handle);
    EXPECT_EQ(wtgram::server().try_stats().error(), wtgram::errc::invalid_handle);
}
