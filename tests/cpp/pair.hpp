// A server and a client that trusts its hash, in one process. The network between them is as bad as the test allows.
#ifndef WTGRAM_TESTS_PAIR_HPP
#define WTGRAM_TESTS_PAIR_HPP

#include "link.hpp"

#include <wtgram/wtgram.hpp>

#include <thread>

namespace wtgram_tests
{

using namespace std::chrono_literals;

inline constexpr wtgram::duration patience = 60s; // ends a test that hangs; it does not measure speed

// Waits until `holds` is true, for conditions that no call waits for. Returns false if it does not become true.
template <class Holds> bool eventually(Holds holds)
{
    const auto end = std::chrono::steady_clock::now() + patience;
    while (!holds()) {
        if (std::chrono::steady_clock::now() > end) return false;
        std::this_thread::sleep_for(5ms);
    }
    return true;
}

struct pair {
    wtgram::server server;
    simulated_link link;
    std::string url;
    wtgram::session client, accepted;

    explicit pair(const wtgram::transport_options &transport = {}, network worst = network::keeps_order)
        : server(wtgram::server::listen(
              wtgram::listen_options().host("127.0.0.1").handshake_timeout(patience).transport(transport))),
          link(server.local_port(), worst), url("https://127.0.0.1:" + std::to_string(link.port()) + "/test"),
          client(wtgram::session::connect(url, wtgram::connect_options()
                                                   .timeout(patience)
                                                   .trust_certificate_hash(server.certificate_hash())
                                                   .transport(transport))),
          accepted(server.accept(patience))
    {
    }
    explicit pair(network worst) : pair(wtgram::transport_options(), worst) {}
};

} // namespace wtgram_tests

#endif
