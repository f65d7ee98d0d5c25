/// @file
/// Limits of a server: what its clients may use up.
#ifndef WTGRAM_LIMITS_HPP
#define WTGRAM_LIMITS_HPP

#include <wtgram/error.hpp>

namespace wtgram
{

/// What the clients of a server may use up. The defaults suit a server on the internet, and leave enough for many
/// clients behind one address. 0 sets no limit, if nothing else is said. server::stats() counts each refusal by its
/// reason. The functions return the object, so calls can be chained.
class server_limits
{
  public:
    server_limits() noexcept { wtgram_server_limits_init(&c_); }
    /// Connections of one address: an IPv4 address, or an IPv6 network of 64 bits. Default 2048.
    server_limits &max_sessions_per_address(std::uint32_t count) noexcept
    {
        return c_.max_sessions_per_address = count, *this;
    }
    /// Connections that one address may open in a second, and five times as many at once after a quiet time. Clients
    /// above it must prove their address, and are refused if they are too fast then, too. Default 200.
    server_limits &connections_per_second_per_address(std::uint32_t count) noexcept
    {
        return c_.connections_per_second_per_address = count, *this;
    }
    /// Connections whose session is not established yet, at least 1. When there are more, the one that has waited
    /// longest ends. Default 1024.
    server_limits &max_half_open(std::uint32_t count) noexcept { return c_.max_half_open = count, *this; }
    /// With so many of them, clients must prove their address before they cost memory (Retry, RFC 9000 section 8.1.2),
    /// which takes one more round trip; 0: always. Default 64.
    server_limits &retry_above_half_open(std::uint32_t count) noexcept
    {
        return c_.retry_above_half_open = count, *this;
    }
    /// Bytes of header fields in a request, counted as RFC 9114 section 4.2.2 says, at least 1. Clients above it get
    /// HTTP status 431. Default 16384; more than 65536 has no effect.
    server_limits &max_header_bytes(std::uint32_t bytes) noexcept { return c_.max_header_bytes = bytes, *this; }
    /// Header fields in a request. Clients above it get HTTP status 431. 0 allows none. Default 100; more than 123 has
    /// no effect.
    server_limits &max_header_fields(std::uint32_t count) noexcept { return c_.max_header_fields = count, *this; }
    /// Length of a path with its query, at least 1. Clients above it get HTTP status 414. Default 4096.
    server_limits &max_path_bytes(std::uint32_t bytes) noexcept { return c_.max_path_bytes = bytes, *this; }
    /// Datagrams that one session may send to the server in a second. Those above it are dropped and counted. Default
    /// 0.
    server_limits &datagrams_per_second(std::uint64_t count) noexcept { return c_.datagrams_per_second = count, *this; }
    /// The same in bytes of payload. Default 0.
    server_limits &bytes_per_second(std::uint64_t bytes) noexcept { return c_.bytes_per_second = bytes, *this; }
    /// How long an established session may wait for server::accept. Default 30 s.
    server_limits &accept_timeout(duration value) noexcept { return c_.accept_timeout_us = value.count(), *this; }
    /// Memory that clients may make the server hold: datagrams that wait to be received, and an estimate of 40 KiB for
    /// each connection. Above it, clients are refused, and datagrams are dropped instead of a queue growing. Default 1
    /// GiB.
    server_limits &max_memory(std::uint64_t bytes) noexcept { return c_.max_memory_bytes = bytes, *this; }
    /// The C struct.
    wtgram_server_limits &raw() noexcept { return c_; }
    const wtgram_server_limits &raw() const noexcept { return c_; }

  private:
    wtgram_server_limits c_;
};

} // namespace wtgram

#endif
