/// @file
/// The reliability layer: messages that are acknowledged, retransmitted and delivered at most once.
#ifndef WTGRAM_RELIABILITY_HPP
#define WTGRAM_RELIABILITY_HPP

#include <wtgram/handle.hpp>
#include <wtgram/session.hpp>

namespace wtgram
{

/// What a reliability layer speaks, and how it treats plain frames: datagrams in the form of pywebtransport's frames. A
/// program's own datagrams may look like them. wtgram_negotiation describes the details.
enum class negotiation : std::uint32_t {
    /// Works with every peer. Takes plain frames until the peer's layer answers. The default.
    automatic = WTGRAM_NEGOTIATION_AUTO,
    /// Works only with layers of this library that negotiate. Never takes plain frames.
    required = WTGRAM_NEGOTIATION_REQUIRED,
    off = WTGRAM_NEGOTIATION_OFF, ///< Speaks pywebtransport's protocol and nothing else. Always takes plain frames.
};

/// Options of a reliability layer.
class reliability_options
{
  public:
    reliability_options() noexcept { wtgram_reliability_options_init(&c_); }
    /// A message is given up after ack_timeout * (max_retries + 1) at the earliest. Default 2 s.
    reliability_options &ack_timeout(duration value) noexcept { return c_.ack_timeout_us = value.count(), *this; }
    /// A message is given up after this many retransmissions by timer at the earliest. Default 5.
    reliability_options &max_retries(std::uint32_t count) noexcept { return c_.max_retries = count, *this; }
    /// Limit of messages without an outcome. Sending waits when it is reached. Default 1024.
    reliability_options &window_messages(std::uint64_t count) noexcept { return c_.window_messages = count, *this; }
    /// Limit of the payload bytes of those. Default 1 MiB.
    reliability_options &window_bytes(std::uint64_t bytes) noexcept { return c_.window_bytes = bytes, *this; }
    /// Limit of messages that arrived and are not yet received. Further ones are not acknowledged, so the peer keeps
    /// them. Default 4096.
    reliability_options &inbound_messages(std::uint64_t count) noexcept { return c_.inbound_messages = count, *this; }
    /// Limit of the payload bytes of those. Default 1 MiB.
    reliability_options &inbound_bytes(std::uint64_t bytes) noexcept { return c_.inbound_bytes = bytes, *this; }
    /// What the layer speaks. Default negotiation::automatic.
    reliability_options &negotiation(wtgram::negotiation value) noexcept
    {
        return c_.negotiation = static_cast<std::uint32_t>(value), *this;
    }
    /// First sequence number on a session that had no layer before. Default 0.
    reliability_options &first_sequence(std::uint32_t value) noexcept { return c_.first_sequence = value, *this; }
    /// The C struct.
    wtgram_reliability_options &raw() noexcept { return c_; }
    const wtgram_reliability_options &raw() const noexcept { return c_; }

  private:
    wtgram_reliability_options c_;
};

/// What became of a message. If `transmissions` is not 0, a message that was not acknowledged may still have been
/// delivered.
enum class reliability_outcome_kind : std::uint32_t {
    acknowledged = WTGRAM_RELIABILITY_ACKNOWLEDGED, ///< The peer's layer acknowledged it.
    gave_up = WTGRAM_RELIABILITY_GAVE_UP, ///< It was not acknowledged in time.
    too_large = WTGRAM_RELIABILITY_TOO_LARGE, ///< It no longer fitted the path when it was to be transmitted.
    closed = WTGRAM_RELIABILITY_CLOSED, ///< The layer closed first.
    expired = WTGRAM_RELIABILITY_EXPIRED, ///< Its TTL passed first.
};

/// Outcome of the message that was sent with `report_id`. An array of these is an array of the C struct.
struct reliability_outcome : wtgram_reliability_outcome {
    /// What became of the message.
    reliability_outcome_kind what() const noexcept { return static_cast<reliability_outcome_kind>(kind); }
    /// Time from acceptance to the outcome.
    duration elapsed() const noexcept { return duration(elapsed_us); }
};
static_assert(sizeof(reliability_outcome) == sizeof(wtgram_reliability_outcome) &&
              std::is_standard_layout_v<reliability_outcome>);

/// A reliability layer: carries messages over the datagrams of a session. Messages are acknowledged and retransmitted,
/// arrive at most once in any order, and each has exactly one outcome.
///
/// Open a layer at both ends. At the end, close() with a drain timeout waits until the messages in progress have their
/// outcome; the destructor does not wait. docs/reliability.md describes guarantees and wire format.
///
/// send and receive wait, and throw on failure. The _for forms wait at most as long as you say; the try_ forms never
/// wait; both return an expected.
class reliability : public owner<wtgram_reliability, wtgram_reliability_free>
{
  public:
    using owner::owner;

    /// Opens a layer over a transport, which no longer delivers the layer's frames from now on. A transport carries one
    /// layer at a time; a second one fails with errc::invalid_state.
    [[nodiscard]] static reliability open(const transport &below, const reliability_options &options = {})
    {
        return detail::unwrap(try_open(below, options));
    }
    /// Opens a layer over the transport of a session.
    [[nodiscard]] static reliability open(const session &below, const reliability_options &options = {})
    {
        return detail::unwrap(try_open(below, options));
    }
    [[nodiscard]] static expected<reliability> try_open(const transport &below,
                                                        const reliability_options &options = {}) noexcept
    {
        wtgram_reliability handle{};
        return made(wtgram_reliability_open_over_transport(below.handle(), &options.raw(), &handle), handle);
    }
    [[nodiscard]] static expected<reliability> try_open(const session &below,
                                                        const reliability_options &options = {}) noexcept
    {
        wtgram_reliability handle{};
        return made(wtgram_reliability_open_over_session(below.handle(), &options.raw(), &handle), handle);
    }
    /// Opens a layer with the two parameters of pywebtransport's factory and their defaults.
    [[nodiscard]] static reliability open_with(const transport &below, duration ack_timeout = std::chrono::seconds(1),
                                               std::uint32_t max_retries = 3)
    {
        return detail::unwrap(try_open_with(below, ack_timeout, max_retries));
    }
    [[nodiscard]] static expected<reliability> try_open_with(const transport &below,
                                                             duration ack_timeout = std::chrono::seconds(1),
                                                             std::uint32_t max_retries = 3) noexcept
    {
        wtgram_reliability handle{};
        return made(wtgram_reliability_open_with(below.handle(), ack_timeout.count(), max_retries, &handle), handle);
    }

    /// Accepts a message for delivery, and waits for space in the window. The message has exactly one outcome;
    /// next_outcome() returns it if the options have a report id. Messages of the highest priority are transmitted
    /// first. A message older than its TTL is no longer transmitted.
    void send(bytes_view data, optional_send_options options = {}) const { detail::unwrap(send_with(data, options)); }
    void send(std::string_view text, optional_send_options options = {}) const { send(view(text), options); }
    [[nodiscard]] expected<void> try_send(bytes_view data, optional_send_options options = {}) const noexcept
    {
        return detail::result(wtgram_reliability_try_send(handle_, data.data(), data.size(), options.raw()));
    }
    [[nodiscard]] expected<void> try_send(std::string_view text, optional_send_options options = {}) const noexcept
    {
        return try_send(view(text), options);
    }
    [[nodiscard]] expected<void> send_for(bytes_view data, duration timeout, send_options options = {}) const noexcept
    {
        return send_with(data, options.timeout(timeout));
    }
    [[nodiscard]] expected<void> send_for(std::string_view text, duration timeout,
                                          send_options options = {}) const noexcept
    {
        return send_for(view(text), timeout, options);
    }

    /// Waits for the next message, copies it into `buffer` and returns its length. If the buffer is too small, it fails
    /// with errc::buffer_too_small, the message stays in the queue, and `needed` of the other forms gets its length.
    /// Receive in time: when the inbound queue is full, the layer stops acknowledging, and the peer's sender waits.
    std::size_t receive(bytes_buffer buffer, duration timeout = forever) const
    {
        return detail::unwrap(receive_for(buffer, timeout));
    }
    [[nodiscard]] expected<std::size_t> try_receive(bytes_buffer buffer, std::size_t *needed = nullptr) const noexcept
    {
        std::size_t length = 0;
        const wtgram_status status = wtgram_reliability_try_receive(handle_, buffer.data(), buffer.size(), &length);
        if (needed != nullptr) *needed = length;
        return detail::result(status, length);
    }
    [[nodiscard]] expected<std::size_t> receive_for(bytes_buffer buffer, duration timeout,
                                                    std::size_t *needed = nullptr) const noexcept
    {
        std::size_t length = 0;
        const wtgram_status status =
            wtgram_reliability_receive(handle_, timeout.count(), buffer.data(), buffer.size(), &length);
        if (needed != nullptr) *needed = length;
        return detail::result(status, length);
    }

    /// Largest message that can be sent now, in bytes. It follows the MTU of the path.
    std::size_t max_message_size() const { return detail::unwrap(try_max_message_size()); }
    [[nodiscard]] expected<std::size_t> try_max_message_size() const noexcept
    {
        std::size_t bytes = 0;
        const wtgram_status status = wtgram_reliability_get_max_message_size(handle_, &bytes);
        return detail::result(status, bytes);
    }
    /// Whether the layer or its transport is closed. You can still receive what has arrived.
    bool is_closed() const { return detail::unwrap(try_is_closed()); }
    [[nodiscard]] expected<bool> try_is_closed() const noexcept
    {
        bool closed = false;
        const wtgram_status status = wtgram_reliability_is_closed(handle_, &closed);
        return detail::result(status, closed);
    }

    /// Waits for the next outcome of a message that was sent with a report id. At most 65,536 outcomes are kept; then
    /// sending with a report id fails.
    reliability_outcome next_outcome(duration timeout = forever) const
    {
        return detail::unwrap(next_outcome_for(timeout));
    }
    [[nodiscard]] expected<reliability_outcome> try_next_outcome() const noexcept
    {
        return next_outcome_for(duration::zero());
    }
    [[nodiscard]] expected<reliability_outcome> next_outcome_for(duration timeout) const noexcept
    {
        reliability_outcome news{};
        const wtgram_status status = wtgram_reliability_next_outcome(handle_, timeout.count(), &news);
        return detail::result(status, news);
    }
    /// Waits for an outcome, then takes all that are there and fit. Returns the filled part of `room`.
    span<reliability_outcome> next_outcomes(span<reliability_outcome> room, duration timeout = forever) const
    {
        return detail::unwrap(next_outcomes_for(room, timeout));
    }
    [[nodiscard]] expected<span<reliability_outcome>> try_next_outcomes(span<reliability_outcome> room) const noexcept
    {
        return next_outcomes_for(room, duration::zero());
    }
    [[nodiscard]] expected<span<reliability_outcome>> next_outcomes_for(span<reliability_outcome> room,
                                                                        duration timeout) const noexcept
    {
        std::size_t count = 0;
        const wtgram_status status =
            wtgram_reliability_next_outcomes(handle_, timeout.count(), room.data(), room.size(), &count);
        return detail::result(status, room.first(status == WTGRAM_OK ? count : 0));
    }

    /// Statistics of the layer, as one snapshot.
    reliability_stats stats() const { return detail::unwrap(try_stats()); }
    [[nodiscard]] expected<reliability_stats> try_stats() const noexcept
    {
        reliability_stats stats;
        const wtgram_status status = wtgram_reliability_get_stats(handle_, &stats);
        return detail::result(status, stats);
    }
    /// Closes the layer: accepts no more messages, and waits for the outcomes of those in progress. It fails with
    /// errc::timed_out (or errc::would_block, with timeout 0) if some had no outcome in time; the layer is closed even
    /// then. You can still receive what has arrived and fetch outcomes. The transport stays open.
    void close(duration drain_timeout = duration::zero()) const { detail::unwrap(close_for(drain_timeout)); }
    expected<void> try_close() const noexcept { return close_for(duration::zero()); }
    expected<void> close_for(duration drain_timeout) const noexcept
    {
        return detail::result(wtgram_reliability_close(handle_, drain_timeout.count()));
    }

  private:
    expected<void> send_with(bytes_view data, optional_send_options options) const noexcept
    {
        return detail::result(wtgram_reliability_send(handle_, data.data(), data.size(), options.raw()));
    }
    static bytes_view view(std::string_view text) noexcept { return {detail::bytes_of(text), text.size()}; }
    static expected<reliability> made(wtgram_status status, const wtgram_reliability &handle) noexcept
    {
        if (status != WTGRAM_OK) return unexpected(detail::code_of(status));
        return reliability(handle);
    }
};

} // namespace wtgram

#endif
