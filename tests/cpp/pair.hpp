// A server and a client that trusts its hash, in one process.
#ifndef WTGRAM_TESTS_PAIR_HPP
#define WTGRAM_TESTS_PAIR_HPP

#include <wtgram/wtgram.hpp>

namespace wtgram_tests
{

using namespace std::chrono_literals;

inline constexpr wtgram::duration patience = 10s; // for waits that must succeed

struct pair {
    wtgram::server server;
    std::string url;
    wtgram::session client, accepted;

    explicit pair(const wtgram::transport_options &transport = {})
        : server(wtgram::server::listen(wtgram::listen_options().host("127.0.0.1").transport(transport))),
          url("https://127.0.0.1:" + std::to_string(server.local_port()) + "/test"),
          client(wtgram::session::connect(
              url, wtgram::connect_options().trust_certificate_hash(server.hash()).transport(transport))),
          accepted(server.accept(patience))
    {
    }
};

} // namespace wtgram_tests

#endif
