// A server and a client that trusts its hash, in one process; between them the network, as bad as the test allows.
#ifndef WTGRAM_TESTS_PAIR_HPP
#define WTGRAM_TESTS_PAIR_HPP

#include "link.hpp"

#include <wtgram/wtgram.hpp>

namespace wtgram_tests
{

using namespace std::chrono_literals;

inline constexpr wtgram::duration patience = 10s; // for waits that must succeed

struct pair {
    wtgram::server server;
    simulated_link link;
    std::string url;
    wtgram::session client, accepted;

    explicit pair(const wtgram::transport_options &transport = {}, network worst = network::keeps_order)
        : server(wtgram::server::listen(wtgram::listen_options().host("127.0.0.1").transport(transport))),
          link(server.local_port(), worst), url("https://127.0.0.1:" + std::to_string(link.port()) + "/test"),
          client(wtgram::session::connect(
              url, wtgram::connect_options().trust_certificate_hash(server.hash()).transport(transport))),
          accepted(server.accept(patience))
    {
    }
    explicit pair(network worst) : pair(wtgram::transport_options(), worst) {}
};

} // namespace wtgram_tests

#endif
