// Compiled with -fno-exceptions -fno-rtti: the try_ forms are enough for a whole conversation.
#include <wtgram/wtgram.hpp>

#include <cstdio>

using namespace std::chrono_literals;

int main()
{
    wtgram::detail_text detail;
    const auto fail = [&](const char *what, const std::error_code &code) {
        std::fprintf(stderr, "%s: %s %s\n", what, wtgram_status_name(code.value()), detail.c_str());
        return 1;
    };
    auto server = wtgram::server::try_listen(wtgram::listen_options().host("127.0.0.1"), &detail);
    if (!server) return fail("listen", server.error());
    const std::string url = "https://127.0.0.1:" + std::to_string(*server->try_local_port()) + "/";
    const auto trust = wtgram::connect_options().trust_certificate_hash(*server->try_hash());
    auto client = wtgram::session::try_connect(url.c_str(), trust, &detail);
    if (!client) return fail("connect", client.error());
    auto accepted = server->try_accept_for(10s);
    if (!accepted) return fail("accept", accepted.error());
    const auto sent = client->try_datagrams()->try_send("no exceptions");
    if (!sent) return fail("send", sent.error());
    std::uint8_t buffer[64];
    const auto received = accepted->try_datagrams()->try_receive_for(buffer, 10s);
    if (!received) return fail("receive", received.error());
    const auto nothing = client->try_datagrams()->try_receive(buffer);
    if (nothing || nothing.error() != wtgram::errc::would_block) return 1;
    return *received == 13 ? 0 : 1;
}
