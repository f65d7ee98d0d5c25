/// @file
/// Options of connections and transports, for listen and connect. They start with the library's defaults.
#ifndef WTGRAM_OPTIONS_HPP
#define WTGRAM_OPTIONS_HPP

#include <wtgram/error.hpp>
#include <wtgram/span.hpp>

#include <array>
#include <optional>
#include <vector>

namespace wtgram
{

/// SHA-256 hash of a certificate, as browsers take it in serverCertificateHashes.
using certificate_hash = std::array<std::uint8_t, WTGRAM_CERTIFICATE_HASH_LENGTH>;

/// Writes a hash as 64 hexadecimal digits.
inline std::string to_hex(const certificate_hash &hash)
{
    std::string text;
    text.reserve(2 * hash.size());
    for (std::uint8_t byte : hash) {
        text.push_back("0123456789abcdef"[byte >> 4]);
        text.push_back("0123456789abcdef"[byte & 15]);
    }
    return text;
}

/// Reads a hash from 64 hexadecimal digits. Any other text gives no value.
inline std::optional<certificate_hash> hash_from_hex(std::string_view text) noexcept
{
    certificate_hash hash{};
    if (text.size() != 2 * hash.size()) return std::nullopt;
    for (std::size_t i = 0; i < text.size(); i++) {
        const char c = text[i];
        const int digit = c >= '0' && c <= '9'   ? c - '0'
                          : c >= 'a' && c <= 'f' ? c - 'a' + 10
                          : c >= 'A' && c <= 'F' ? c - 'A' + 10
                                                 : -1;
        if (digit < 0) return std::nullopt;
        hash[i / 2] = static_cast<std::uint8_t>(hash[i / 2] << 4 | digit);
    }
    return hash;
}

/// Header fields of a request or a response, in their order: names and values. Names may repeat.
using header_fields = std::vector<std::pair<std::string, std::string>>;

/// Congestion control algorithms.
enum class congestion : std::uint32_t {
    cubic = WTGRAM_CONGESTION_CUBIC, ///< CUBIC, RFC 9438. The default.
    bbr = WTGRAM_CONGESTION_BBR, ///< BBR, experimental.
    new_reno = WTGRAM_CONGESTION_NEW_RENO, ///< NewReno, RFC 9002.
};

/// Options of a QUIC connection.
class connection_options
{
  public:
    connection_options() noexcept { wtgram_connection_options_init(&c_); }
    /// Interval of keep-alive packets; 0 disables them. Default 10 s.
    connection_options &keep_alive(duration value) noexcept { return c_.keep_alive_us = value.count(), *this; }
    /// The connection ends when nothing arrives for this long; 0 disables the timeout. The lower value of both peers
    /// applies. Default 30 s.
    connection_options &idle_timeout(duration value) noexcept { return c_.idle_timeout_us = value.count(), *this; }
    /// Requested SO_RCVBUF; 0 requests 4 MiB. The system may grant less.
    connection_options &socket_receive_buffer(std::uint64_t bytes) noexcept
    {
        return c_.socket_receive_buffer_bytes = bytes, *this;
    }
    /// Requested SO_SNDBUF; 0 requests 4 MiB. The system may grant less.
    connection_options &socket_send_buffer(std::uint64_t bytes) noexcept
    {
        return c_.socket_send_buffer_bytes = bytes, *this;
    }
    /// Default CUBIC.
    connection_options &congestion_controller(congestion which) noexcept
    {
        return c_.congestion_controller = static_cast<std::uint32_t>(which), *this;
    }
    /// The C struct, for fields that have no function here.
    wtgram_connection_options &raw() noexcept { return c_; }
    const wtgram_connection_options &raw() const noexcept { return c_; }

  private:
    wtgram_connection_options c_;
};

/// What happens to a datagram when the outgoing queue is full.
enum class full_policy : std::uint32_t {
    /// The oldest queued datagram of the lowest priority is dropped, unless its priority is higher. The default.
    evict = WTGRAM_FULL_EVICT,
    reject = WTGRAM_FULL_REJECT, ///< The new datagram is rejected with errc::queue_full.
    wait = WTGRAM_FULL_WAIT ///< The call waits until there is space.
};
/// Which datagram is dropped when the incoming queue is full: the oldest one in the queue (the default), or the newest,
/// which is the one that arrives.
enum class drop_policy : std::uint32_t { oldest = WTGRAM_DROP_OLDEST, newest = WTGRAM_DROP_NEWEST };

/// Options of a session's transport. All but outcome_capacity() can be changed later, by functions of transport.
class transport_options
{
  public:
    transport_options() noexcept { wtgram_transport_options_init(&c_); }
    /// Limit of the outgoing queue in datagrams, at least 1. Default 100.
    transport_options &outgoing_max_datagrams(std::uint64_t count) noexcept
    {
        return c_.outgoing_max_datagrams = count, *this;
    }
    /// Limit of the outgoing queue in payload bytes. Default 4 MiB.
    transport_options &outgoing_max_bytes(std::uint64_t bytes) noexcept { return c_.outgoing_max_bytes = bytes, *this; }
    /// Outgoing datagrams of this age are dropped; 0, the default, sets no limit.
    transport_options &outgoing_max_age(duration value) noexcept
    {
        return c_.outgoing_max_age_us = value.count(), *this;
    }
    /// Limit of the incoming queue in datagrams, at least 1. Default 4096.
    transport_options &incoming_max_datagrams(std::uint64_t count) noexcept
    {
        return c_.incoming_max_datagrams = count, *this;
    }
    /// Limit of the incoming queue in payload bytes. Default 1 MiB.
    transport_options &incoming_max_bytes(std::uint64_t bytes) noexcept { return c_.incoming_max_bytes = bytes, *this; }
    /// Incoming datagrams of this age are dropped; 0, the default, sets no limit.
    transport_options &incoming_max_age(duration value) noexcept
    {
        return c_.incoming_max_age_us = value.count(), *this;
    }
    /// Default full_policy::evict.
    transport_options &when_outgoing_full(full_policy policy) noexcept
    {
        return c_.outgoing_full_policy = static_cast<std::uint32_t>(policy), *this;
    }
    /// Default drop_policy::oldest.
    transport_options &when_incoming_full(drop_policy policy) noexcept
    {
        return c_.incoming_drop_policy = static_cast<std::uint32_t>(policy), *this;
    }
    /// High-water mark of the outgoing queue in datagrams. The low-water mark is half of it. 0, the default, takes the
    /// queue's limit.
    transport_options &outgoing_high_water_mark(std::uint64_t count) noexcept
    {
        return c_.outgoing_high_water_mark = count, *this;
    }
    /// How many outcomes there can be that are pending or not fetched, at least 1. Default 1024.
    transport_options &outcome_capacity(std::uint64_t count) noexcept { return c_.outcome_capacity = count, *this; }
    /// The C struct, for fields that have no function here.
    wtgram_transport_options &raw() noexcept { return c_; }
    const wtgram_transport_options &raw() const noexcept { return c_; }

  private:
    wtgram_transport_options c_;
};

namespace detail
{

// NULL for the defaults, otherwise the C struct.
template <class Options> auto pointer_to(const std::optional<Options> &options) noexcept
{
    return options ? &options->raw() : nullptr;
}

// Pointers to texts, for C. They are valid as long as the texts.
inline std::vector<const char *> pointers_to(const std::vector<std::string> &texts)
{
    std::vector<const char *> pointers;
    pointers.reserve(texts.size());
    for (const std::string &text : texts) pointers.push_back(text.c_str());
    return pointers;
}

// Header fields for C. They are valid as long as the fields.
inline std::vector<wtgram_header> pointers_to(const header_fields &fields)
{
    std::vector<wtgram_header> pointers;
    pointers.reserve(fields.size());
    for (const auto &[name, value] : fields) pointers.push_back({name.c_str(), value.c_str()});
    return pointers;
}

// Header fields from the C interface, which writes each as "name: value" and a line feed.
inline header_fields fields_of(const std::string &lines)
{
    header_fields fields;
    for (std::size_t begin = 0; begin < lines.size();) {
        const std::size_t end = lines.find('\n', begin), colon = lines.find(": ", begin);
        fields.emplace_back(lines.substr(begin, colon - begin), lines.substr(colon + 2, end - colon - 2));
        begin = end + 1;
    }
    return fields;
}

inline const std::uint8_t *bytes_of(std::string_view text) noexcept
{
    return reinterpret_cast<const std::uint8_t *>(text.data());
}

} // namespace detail
} // namespace wtgram

#endif
