/// @file
/// What goes with datagrams: options, batches, metadata, outcomes, limits and water marks.
#ifndef WTGRAM_DATAGRAM_HPP
#define WTGRAM_DATAGRAM_HPP

#include <wtgram/batch.hpp>
#include <wtgram/options.hpp>

namespace wtgram
{

/// How to send a datagram or a message.
class send_options
{
  public:
    send_options() noexcept { wtgram_send_options_init(&c_); }
    /// Time to live: the datagram is dropped when it has waited this long. 0, the default, sets no limit.
    send_options &ttl(duration value) noexcept { return c_.ttl_us = value.count(), *this; }
    /// How long to wait for space: under full_policy::wait, or in the window of a reliability layer. Default forever. A
    /// batch has one timeout for all its datagrams.
    send_options &timeout(duration value) noexcept { return c_.timeout_us = value.count(), *this; }
    /// 0 (default), 1 or 2; other values are clamped. Higher priorities are sent first.
    send_options &priority(std::int32_t value) noexcept { return c_.priority = value, *this; }
    /// If not 0, the outcome of the datagram is reported with this number. Default 0.
    send_options &report_id(std::uint64_t value) noexcept { return c_.report_id = value, *this; }
    /// The C struct, for fields that have no function here.
    wtgram_send_options &raw() noexcept { return c_; }
    const wtgram_send_options &raw() const noexcept { return c_; }

  private:
    wtgram_send_options c_;
};

/// send_options, or none. Functions take this, so that you can leave the options out: then C gets NULL, which saves a
/// call that fills in the defaults. It refers to the options and does not copy them.
class optional_send_options
{
  public:
    optional_send_options() noexcept = default;
    optional_send_options(const send_options &options) noexcept : c_(&options.raw()) {}
    const wtgram_send_options *raw() const noexcept { return c_; }

  private:
    const wtgram_send_options *c_ = nullptr;
};

/// A datagram of a batch. It refers to the bytes and does not copy them.
inline wtgram_slice slice(bytes_view data) noexcept { return {data.data(), data.size()}; }
/// The same for a text.
inline wtgram_slice slice(std::string_view text) noexcept { return {detail::bytes_of(text), text.size()}; }

/// Result of sending a batch. It is true if all datagrams were queued.
struct [[nodiscard]] batch_outcome {
    std::size_t accepted = 0; ///< Number of datagrams that were queued.
    std::error_code first_error; ///< Error of the first datagram that was not queued.
    explicit operator bool() const noexcept { return !first_error; }
};

/// A datagram in a receive_buffer.
struct received_datagram {
    bytes_view data; ///< The payload; it lies in the buffer.
    std::uint64_t sequence; ///< Position in the order of arrival, counted from 0. Gaps are datagrams that were dropped.
    time_point arrived; ///< Time of arrival.
    /// The payload as text.
    std::string_view text() const noexcept { return {reinterpret_cast<const char *>(data.data()), data.size()}; }
    /// Makes it from the C struct and the arena.
    static received_datagram of(const wtgram_received_datagram &c, const std::uint8_t *arena) noexcept
    {
        return {bytes_view(arena + c.offset, static_cast<std::size_t>(c.length)), c.sequence,
                detail::time_of(c.timestamp_us)};
    }
};
/// Buffer for transport::receive_batch.
using receive_buffer = batch_buffer<received_datagram, wtgram_received_datagram>;

/// What is known about a received datagram, from transport::receive_with_metadata.
class metadata
{
  public:
    metadata() noexcept { wtgram_datagram_metadata_init(&c_); }
    /// Size of the payload in bytes.
    std::size_t size() const noexcept { return static_cast<std::size_t>(c_.size); }
    /// Position in the order of arrival, counted from 0. Gaps are datagrams that were dropped after arrival.
    std::uint64_t sequence() const noexcept { return c_.sequence; }
    /// Time of arrival.
    time_point arrived() const noexcept { return detail::time_of(c_.timestamp_us); }
    /// Time from arrival to the call.
    duration age() const noexcept { return duration(c_.age_us); }
    /// How long the call waited.
    duration waited() const noexcept { return duration(c_.waited_us); }
    /// First 8 hexadecimal digits of the payload's SHA-256; empty if you did not request it.
    std::string_view checksum() const noexcept { return c_.checksum; }
    /// The C struct.
    wtgram_datagram_metadata &raw() noexcept { return c_; }

  private:
    wtgram_datagram_metadata c_;
};

/// What became of a datagram that was sent.
enum class outcome_kind : std::uint32_t {
    sent = WTGRAM_OUTCOME_SENT, ///< Handed to QUIC. Datagrams are not acknowledged, so it may still get lost.
    expired = WTGRAM_OUTCOME_EXPIRED, ///< Dropped because its TTL or the outgoing maximum age passed.
    evicted = WTGRAM_OUTCOME_EVICTED, ///< Dropped to make space for a newer one.
    rejected = WTGRAM_OUTCOME_REJECTED, ///< Rejected because the queue was full.
    too_large = WTGRAM_OUTCOME_TOO_LARGE, ///< Dropped because it is larger than the path carries.
    failed = WTGRAM_OUTCOME_FAILED, ///< Refused by QUIC.
    cleared = WTGRAM_OUTCOME_CLEARED, ///< Dropped by transport::clear_send_buffer.
    closed = WTGRAM_OUTCOME_CLOSED, ///< Dropped because the transport closed.
};

/// Outcome of the datagram that was sent with `report_id`. An array of these is an array of the C struct.
struct outcome : wtgram_outcome {
    /// What became of the datagram.
    outcome_kind what() const noexcept { return static_cast<outcome_kind>(kind); }
};
static_assert(sizeof(outcome) == sizeof(wtgram_outcome) && std::is_standard_layout_v<outcome>);

/// Limits of a queue, in datagrams and in payload bytes.
struct queue_limits {
    std::uint64_t max_datagrams;
    std::uint64_t max_bytes;
};

/// Water marks of the outgoing queue. The queue is high from the moment it reaches a high-water mark until it is at or
/// below both low-water marks. A poller reports readiness::low_water while it is not high. The marks start with the
/// library's defaults.
class water_marks
{
  public:
    water_marks() noexcept { wtgram_water_marks_init(&c_); }
    /// High-water mark in datagrams. Default 100.
    water_marks &high_datagrams(std::uint64_t count) noexcept { return c_.high_datagrams = count, *this; }
    /// Low-water mark in datagrams, below the high one. Default 50.
    water_marks &low_datagrams(std::uint64_t count) noexcept { return c_.low_datagrams = count, *this; }
    /// High-water mark in payload bytes; UINT64_MAX, the default, for none.
    water_marks &high_bytes(std::uint64_t bytes) noexcept { return c_.high_bytes = bytes, *this; }
    /// Low-water mark in payload bytes; UINT64_MAX, the default, for none.
    water_marks &low_bytes(std::uint64_t bytes) noexcept { return c_.low_bytes = bytes, *this; }
    std::uint64_t high_datagrams() const noexcept { return c_.high_datagrams; }
    std::uint64_t low_datagrams() const noexcept { return c_.low_datagrams; }
    std::uint64_t high_bytes() const noexcept { return c_.high_bytes; }
    std::uint64_t low_bytes() const noexcept { return c_.low_bytes; }
    /// The C struct.
    wtgram_water_marks &raw() noexcept { return c_; }
    const wtgram_water_marks &raw() const noexcept { return c_; }

  private:
    wtgram_water_marks c_;
};

} // namespace wtgram

#endif
