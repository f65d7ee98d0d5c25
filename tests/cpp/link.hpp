// The link simulator between a client and a server of the suite, if the environment names its program.
#ifndef WTGRAM_TESTS_LINK_HPP
#define WTGRAM_TESTS_LINK_HPP

#include <gtest/gtest.h>

#include <sys/types.h>

#include <cstdint>
#include <optional>

namespace wtgram_tests
{

// The worst that the network may do in a test. Datagrams are unreliable and not ordered. Most tests send some, receive
// them and compare, which proves something only if all arrive in order. Messages that are acknowledged, or datagrams
// that never leave this side, must pass over any link.
enum class network { keeps_order, reorders, loses };

// What all links of this process did.
struct link_totals {
    std::uint64_t passed = 0, reordered = 0, lost = 0;
};
extern link_totals totals;

// One run of the program that WTGRAM_LINK_SIMULATOR names. Without it there is no link, and packets go straight to the
// server. Each run has its own seed, which failures print.
class simulated_link
{
  public:
    simulated_link(std::uint16_t server_port, network worst);
    ~simulated_link();
    simulated_link(const simulated_link &) = delete;
    simulated_link &operator=(const simulated_link &) = delete;

    explicit operator bool() const noexcept { return child_ > 0; }
    std::uint16_t port() const noexcept { return port_; } // clients connect to it
    // Acts like a NAT that has forgotten its clients: the server sees each of them under another port.
    void rebind();

  private:
    pid_t child_ = -1;
    int commands_ = -1, answers_ = -1;
    std::uint16_t port_;
    std::optional<testing::ScopedTrace> trace_;
};

} // namespace wtgram_tests

#endif
