// A server on two lanes behind a NAT that forgets its clients, so that the system gives their packets to other lanes. A
// program of its own, because it configures the library.
#include "link.hpp"
#include "pair.hpp"

#include <cstdlib>
#include <vector>

using namespace wtgram_tests;

namespace
{

std::string next(const wtgram::transport &transport)
{
    std::uint8_t buffer[64];
    const std::size_t length = transport.receive(buffer, patience);
    return {buffer, buffer + length};
}

} // namespace

TEST(Lanes, SessionsGoOnThroughOtherLanes)
{
    ASSERT_NE(std::getenv("WTGRAM_LINK_SIMULATOR"), nullptr);
    wtgram::configure_runtime({2});
    const auto server = wtgram::server::listen(wtgram::listen_options().host("127.0.0.1").handshake_timeout(patience));
    simulated_link link(server.local_port(), network::keeps_order);
    const std::string url = "https://127.0.0.1:" + std::to_string(link.port()) + "/";
    const auto options = wtgram::connect_options().timeout(patience).trust_certificate_hash(server.certificate_hash());
    std::vector<wtgram::session> clients, accepted;
    for (int i = 0; i < 20; i++) {
        clients.push_back(wtgram::session::connect(url, options));
        accepted.push_back(server.accept(patience));
    }
    for (int round = 0; round < 10; round++) {
        link.rebind();
        const std::string text = std::to_string(round);
        for (std::size_t i = 0; i < clients.size(); i++) {
            clients[i].transport().send(text);
            EXPECT_EQ(next(accepted[i].transport()), text);
            accepted[i].transport().send(text);
            EXPECT_EQ(next(clients[i].transport()), text);
        }
    }
    EXPECT_EQ(server.stats().connections, clients.size());
}
