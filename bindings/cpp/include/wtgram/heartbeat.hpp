/// @file
/// Heartbeats: datagrams that show that a peer is alive. Receivers get them like any other datagrams.
#ifndef WTGRAM_HEARTBEAT_HPP
#define WTGRAM_HEARTBEAT_HPP

#include <wtgram/options.hpp>

namespace wtgram
{

/// Options of transport::start_heartbeat.
class heartbeat_options
{
  public:
    heartbeat_options() noexcept { wtgram_heartbeat_options_init(&c_); }
    /// Time between heartbeats, at least 1 ms. Default 30 s.
    heartbeat_options &interval(duration value) noexcept { return c_.interval_us = value.count(), *this; }
    /// The peer counts as silent when no datagram of any kind arrived for this many intervals; 0, the default, disables
    /// the check.
    heartbeat_options &silent_after(std::uint32_t intervals) noexcept
    {
        return c_.silent_after_intervals = intervals, *this;
    }
    /// The C struct.
    wtgram_heartbeat_options &raw() noexcept { return c_; }
    const wtgram_heartbeat_options &raw() const noexcept { return c_; }

  private:
    wtgram_heartbeat_options c_;
};

/// The payload of a heartbeat, for programs that send heartbeats themselves. It allocates nothing.
class heartbeat
{
  public:
    /// Makes a heartbeat with the current time.
    [[nodiscard]] static heartbeat create() { return detail::unwrap(try_create()); }
    [[nodiscard]] static expected<heartbeat> try_create() noexcept
    {
        heartbeat beat;
        const wtgram_status status =
            wtgram_datagram_write_heartbeat(beat.bytes_.data(), beat.bytes_.size(), &beat.length_);
        return detail::result(status, beat);
    }
    /// The payload; it lies in this object.
    bytes_view data() const noexcept { return {bytes_.data(), length_}; }
    /// The same as text.
    std::string_view text() const noexcept { return {reinterpret_cast<const char *>(bytes_.data()), length_}; }

  private:
    heartbeat() noexcept = default;
    std::array<std::uint8_t, WTGRAM_HEARTBEAT_MAX_LENGTH> bytes_{};
    std::size_t length_ = 0;
};

/// Whether a payload starts like a heartbeat. The time in it is not checked.
[[nodiscard]] inline expected<bool> try_is_heartbeat(bytes_view data) noexcept
{
    bool beat = false;
    const wtgram_status status = wtgram_datagram_is_heartbeat(data.data(), data.size(), &beat);
    return detail::result(status, beat);
}
/// Like try_is_heartbeat, but throws.
inline bool is_heartbeat(bytes_view data) { return detail::unwrap(try_is_heartbeat(data)); }

} // namespace wtgram

#endif
