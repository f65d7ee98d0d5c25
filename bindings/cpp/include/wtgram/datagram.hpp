// Options, payloads, batches, metadata and outcomes of datagrams.
#ifndef WTGRAM_DATAGRAM_HPP
#define WTGRAM_DATAGRAM_HPP

#include <wtgram/batch.hpp>
#include <wtgram/options.hpp>

namespace wtgram
{

class send_options
{
  public:
    send_options() noexcept { wtgram_send_options_init(&c_); }
    send_options &ttl(duration value) noexcept { return c_.ttl_us = value.count(), *this; }
    send_options &timeout(duration value) noexcept { return c_.timeout_us = value.count(), *this; }
    send_options &priority(std::int32_t value) noexcept { return c_.priority = value, *this; }
    send_options &report_id(std::uint64_t value) noexcept { return c_.report_id = value, *this; }
    wtgram_send_options &raw() noexcept { return c_; }
    const wtgram_send_options &raw() const noexcept { return c_; }

  private:
    wtgram_send_options c_;
};

/// Optional options. Without them C gets NULL, which saves a call that fills in the defaults.
class optional_send_options
{
  public:
    optional_send_options() noexcept = default;
    optional_send_options(const send_options &options) noexcept : c_(&options.raw()) {}
    const wtgram_send_options *raw() const noexcept { return c_; }

  private:
    const wtgram_send_options *c_ = nullptr;
};

inline wtgram_slice slice(bytes_view data) noexcept { return {data.data(), data.size()}; }
inline wtgram_slice slice(std::string_view text) noexcept { return {detail::bytes_of(text), text.size()}; }

/// Result of a batch: `accepted` datagrams were queued; `first_error` is the error of the first that was not.
struct [[nodiscard]] batch_outcome {
    std::size_t accepted = 0;
    std::error_code first_error;
    explicit operator bool() const noexcept { return !first_error; }
};

struct received_datagram {
    bytes_view data;
    std::uint64_t sequence;
    time_point arrived;
    std::string_view text() const noexcept { return {reinterpret_cast<const char *>(data.data()), data.size()}; }
    static received_datagram of(const wtgram_received_datagram &c, const std::uint8_t *arena) noexcept
    {
        return {bytes_view(arena + c.offset, static_cast<std::size_t>(c.length)), c.sequence,
                detail::time_of(c.timestamp_us)};
    }
};
using receive_buffer = batch_buffer<received_datagram, wtgram_received_datagram>;

/// What is known about a received datagram.
class metadata
{
  public:
    metadata() noexcept { wtgram_datagram_metadata_init(&c_); }
    std::size_t size() const noexcept { return static_cast<std::size_t>(c_.size); }
    std::uint64_t sequence() const noexcept { return c_.sequence; }
    time_point arrived() const noexcept { return detail::time_of(c_.timestamp_us); }
    /// Time from arrival to the call, and how long the call waited.
    duration age() const noexcept { return duration(c_.age_us); }
    duration waited() const noexcept { return duration(c_.waited_us); }
    /// First 8 hexadecimal digits of the SHA-256 if requested, else empty.
    std::string_view checksum() const noexcept { return c_.checksum; }
    wtgram_datagram_metadata &raw() noexcept { return c_; }

  private:
    wtgram_datagram_metadata c_;
};

enum class outcome_kind : std::uint32_t {
    sent = WTGRAM_OUTCOME_SENT,
    expired = WTGRAM_OUTCOME_EXPIRED,
    evicted = WTGRAM_OUTCOME_EVICTED,
    rejected = WTGRAM_OUTCOME_REJECTED,
    too_large = WTGRAM_OUTCOME_TOO_LARGE,
    failed = WTGRAM_OUTCOME_FAILED,
    cleared = WTGRAM_OUTCOME_CLEARED,
    closed = WTGRAM_OUTCOME_CLOSED,
};

/// Outcome of the datagram that was sent with `report_id`. An array of these is an array of the C struct.
struct outcome : wtgram_outcome {
    outcome_kind what() const noexcept { return static_cast<outcome_kind>(kind); }
};
static_assert(sizeof(outcome) == sizeof(wtgram_outcome) && std::is_standard_layout_v<outcome>);

struct queue_limits {
    std::uint64_t max_datagrams;
    std::uint64_t max_bytes;
};

/// Water marks of the outgoing queue. They start with the library's defaults.
class water_marks
{
  public:
    water_marks() noexcept { wtgram_water_marks_init(&c_); }
    water_marks &high_datagrams(std::uint64_t count) noexcept { return c_.high_datagrams = count, *this; }
    water_marks &low_datagrams(std::uint64_t count) noexcept { return c_.low_datagrams = count, *this; }
    water_marks &high_bytes(std::uint64_t bytes) noexcept { return c_.high_bytes = bytes, *this; }
    water_marks &low_bytes(std::uint64_t bytes) noexcept { return c_.low_bytes = bytes, *this; }
    std::uint64_t high_datagrams() const noexcept { return c_.high_datagrams; }
    std::uint64_t low_datagrams() const noexcept { return c_.low_datagrams; }
    std::uint64_t high_bytes() const noexcept { return c_.high_bytes; }
    std::uint64_t low_bytes() const noexcept { return c_.low_bytes; }
    wtgram_water_marks &raw() noexcept { return c_; }
    const wtgram_water_marks &raw() const noexcept { return c_; }

  private:
    wtgram_water_marks c_;
};

} // namespace wtgram

#endif
