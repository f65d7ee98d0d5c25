// Compiled with -fno-exceptions -fno-rtti: the try_ forms are enough for a whole exchange.
#include <wtgram/wtgram.hpp>

#include <cstdio>

using namespace std::chrono_literals;

namespace
{
struct number {
    int value;
};
} // namespace
template <> struct wtgram::codec<number> {
    static std::optional<std::string> encode(const number &object) noexcept { return std::to_string(object.value); }
    static std::optional<number> decode(std::string_view bytes) noexcept
    {
        return number{std::atoi(std::string(bytes).c_str())};
    }
};
static_assert(!WTGRAM_HAS_NLOHMANN_JSON, "it would end the program when an object does not convert");

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
    const auto trust = wtgram::connect_options().trust_certificate_hash(*server->try_certificate_hash());
    auto client = wtgram::session::try_connect_start(url.c_str(), trust, &detail);
    if (!client) return fail("connect_start", client.error());
    const auto connected = client->wait_connected_for(60s, &detail);
    if (!connected) return fail("connect", connected.error());
    if (client->try_connect_failure()) return 1;
    auto accepted = server->accept_for(60s);
    if (!accepted) return fail("accept", accepted.error());
    const auto sent = client->try_transport()->try_send("no exceptions");
    if (!sent) return fail("send", sent.error());
    std::uint8_t buffer[64];
    const auto received = accepted->try_transport()->receive_for(buffer, 60s);
    if (!received) return fail("receive", received.error());
    const auto nothing = client->try_transport()->try_receive(buffer);
    if (nothing || nothing.error() != wtgram::errc::would_block) return 1;
    if (*received != 13) return 1;

    using channel = wtgram::typed<wtgram::type<1, number>>;
    auto below = wtgram::reliability::try_open(*client), above = wtgram::reliability::try_open(*accepted);
    if (!below || !above) return fail("reliability", below ? above.error() : below.error());
    auto from = channel::try_open(*below), to = channel::try_open(*above);
    if (!from || !to) return fail("structured", from ? to.error() : from.error());
    const auto typed = from->try_send(number{7});
    if (!typed) return fail("send an object", typed.error());
    const auto object = to->receive_for(60s);
    if (!object) return fail("receive an object", object.error());
    const auto monitor = wtgram::monitor::try_open(*client->try_transport());
    if (!monitor) return fail("monitor", monitor.error());
    const auto broadcaster = wtgram::broadcaster::try_make();
    if (!broadcaster) return fail("broadcaster", broadcaster.error());
    if (const auto added = broadcaster->try_add(*client); !added) return fail("add", added.error());
    const auto outcome = broadcaster->try_broadcast("to all");
    if (!outcome) return fail("broadcast", outcome.error());
    return std::get<number>(*object).value == 7 && outcome->accepted == 1 ? 0 : 1;
}
