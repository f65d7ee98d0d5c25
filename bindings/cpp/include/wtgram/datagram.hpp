// What goes into a transport and comes out of it: options, payloads, batches, metadata, outcomes.
#ifndef WTGRAM_DATAGRAM_HPP
#define WTGRAM_DATAGRAM_HPP

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

inline wtgram_slice slice(bytes_view data) noexcept { return {data.data(), data.size()}; }
inline wtgram_slice slice(std::string_view text) noexcept { return {detail::bytes_of(text), text.size()}; }

// How far a batch came: `accepted` datagrams were taken, `first_error` is that of the first that was not.
struct batch_outcome {
    std::size_t accepted = 0;
    std::error_code first_error;
    explicit operator bool() const noexcept { return !first_error; }
};

struct received_datagram {
    bytes_view data;
    std::uint64_t sequence;
    time_point arrived;
    std::string_view text() const noexcept { return {reinterpret_cast<const char *>(data.data()), data.size()}; }
};

// Room for many datagrams, allocated once and filled again and again by receive_batch.
class receive_buffer
{
  public:
    explicit receive_buffer(std::size_t max_datagrams = 64, std::size_t bytes = 128 * 1024)
        : arena_(bytes), received_(max_datagrams)
    {
    }
    std::size_t size() const noexcept { return count_; }
    bool empty() const noexcept { return count_ == 0; }
    // After errc::buffer_too_small: the bytes that the next datagram wants.
    std::size_t needed() const noexcept { return needed_; }
    received_datagram operator[](std::size_t i) const noexcept
    {
        const wtgram_received &one = received_[i];
        return {bytes_view(arena_.data() + one.offset, static_cast<std::size_t>(one.length)), one.sequence,
                detail::time_of(one.timestamp_us)};
    }

    class iterator
    {
      public:
        iterator(const receive_buffer *buffer, std::size_t index) noexcept : buffer_(buffer), index_(index) {}
        received_datagram operator*() const noexcept { return (*buffer_)[index_]; }
        iterator &operator++() noexcept { return ++index_, *this; }
        bool operator!=(const iterator &other) const noexcept { return index_ != other.index_; }

      private:
        const receive_buffer *buffer_;
        std::size_t index_;
    };
    iterator begin() const noexcept { return {this, 0}; }
    iterator end() const noexcept { return {this, count_}; }

  private:
    friend class transport;
    std::vector<std::uint8_t> arena_;
    std::vector<wtgram_received> received_;
    std::size_t count_ = 0, needed_ = 0;
};

// What is known about a datagram that was received.
class metadata
{
  public:
    metadata() noexcept { wtgram_metadata_init(&c_); }
    std::size_t size() const noexcept { return static_cast<std::size_t>(c_.size); }
    std::uint64_t sequence() const noexcept { return c_.sequence; }
    time_point arrived() const noexcept { return detail::time_of(c_.timestamp_us); }
    // From its arrival to being received, and how long the call waited for it.
    duration age() const noexcept { return duration(c_.age_us); }
    duration waited() const noexcept { return duration(c_.waited_us); }
    // 8 hexadecimal digits of its SHA-256 if they were asked for, else empty.
    std::string_view checksum() const noexcept { return c_.checksum; }
    wtgram_metadata &raw() noexcept { return c_; }

  private:
    wtgram_metadata c_;
};

enum class outcome_kind : std::uint32_t {
    handed = WTGRAM_OUTCOME_HANDED,
    expired = WTGRAM_OUTCOME_EXPIRED,
    evicted = WTGRAM_OUTCOME_EVICTED,
    rejected = WTGRAM_OUTCOME_REJECTED,
    too_large = WTGRAM_OUTCOME_TOO_LARGE,
    failed = WTGRAM_OUTCOME_FAILED,
    cleared = WTGRAM_OUTCOME_CLEARED,
    closed = WTGRAM_OUTCOME_CLOSED,
};

// What became of the datagram that was sent with `report_id`. An array of these is an array of the C struct.
struct outcome : wtgram_outcome {
    outcome_kind what() const noexcept { return static_cast<outcome_kind>(kind); }
};
static_assert(sizeof(outcome) == sizeof(wtgram_outcome) && std::is_standard_layout_v<outcome>);

struct queue_limits {
    std::uint64_t max_datagrams;
    std::uint64_t max_bytes;
};

// High and low water of the outgoing queue; each begins with the library's default.
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
