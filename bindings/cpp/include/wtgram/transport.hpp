/// @file
/// The transport: sends and receives the datagrams of a session.
#ifndef WTGRAM_TRANSPORT_HPP
#define WTGRAM_TRANSPORT_HPP

#include <wtgram/datagram.hpp>
#include <wtgram/heartbeat.hpp>
#include <wtgram/stats.hpp>

namespace wtgram
{

/// The datagrams of a session: a queue for outgoing and one for incoming datagrams.
///
/// Sending copies a datagram into the outgoing queue, and the library hands it to QUIC as fast as the path allows.
/// Receiving takes datagrams from the incoming queue. Receive in time: a full queue drops its oldest datagram by
/// default.
///
/// send and receive wait, and throw an exception on failure. send_for and receive_for wait at most as long as you say;
/// try_send and try_receive never wait. The _for and try_ forms return an expected and throw nothing. All classes
/// follow this convention.
///
/// A transport is a small value: copy it, store it. It is valid as long as its session.
class transport
{
  public:
    transport() noexcept = default; ///< No transport: each call fails with errc::invalid_handle.
    /// The transport with this handle. It does not own the handle.
    explicit transport(wtgram_transport handle) noexcept : handle_(handle) {}
    /// The handle, for functions of the C interface.
    wtgram_transport handle() const noexcept { return handle_; }
    /// The number of the handle, which events and results contain. (session_id() is another number.)
    std::uint64_t id() const noexcept { return handle_.id; }
    /// Whether there is a handle.
    explicit operator bool() const noexcept { return handle_.id != 0; }
    friend bool operator==(transport a, transport b) noexcept { return a.id() == b.id(); }
    friend bool operator!=(transport a, transport b) noexcept { return a.id() != b.id(); }

    /// @name Sending datagrams
    /// @{

    /// Sends one datagram: copies it into the outgoing queue. An empty datagram is valid. When the queue is full, the
    /// transport's full_policy decides: by default the oldest datagram of the lowest priority is dropped, and with
    /// full_policy::wait the call waits. Datagrams are not retransmitted and not acknowledged.
    void send(bytes_view data, optional_send_options options = {}) const
    {
        detail::unwrap(try_send_with(data, options));
    }
    void send(std::string_view text, optional_send_options options = {}) const { send(view(text), options); }
    [[nodiscard]] expected<void> try_send(bytes_view data, optional_send_options options = {}) const noexcept
    {
        return detail::result(wtgram_transport_try_send(handle_, data.data(), data.size(), options.raw()));
    }
    [[nodiscard]] expected<void> try_send(std::string_view text, optional_send_options options = {}) const noexcept
    {
        return try_send(view(text), options);
    }
    [[nodiscard]] expected<void> send_for(bytes_view data, duration timeout, send_options options = {}) const noexcept
    {
        return try_send_with(data, options.timeout(timeout));
    }
    [[nodiscard]] expected<void> send_for(std::string_view text, duration timeout,
                                          send_options options = {}) const noexcept
    {
        return send_for(view(text), timeout, options);
    }
    /// Sends many datagrams in one call, which costs one wake-up. If one fails, the others are still sent. It never
    /// throws, because the result says how many were queued. `results` is empty or has one element for each datagram.
    batch_outcome send_batch(span<const wtgram_slice> datagrams, optional_send_options options = {},
                             span<wtgram_status> results = {}) const noexcept
    {
        batch_outcome outcome;
        if (!results.empty() && results.size() < datagrams.size()) {
            outcome.first_error = errc::invalid_argument;
            return outcome;
        }
        const wtgram_status status =
            wtgram_transport_send_batch(handle_, datagrams.data(), datagrams.size(), options.raw(),
                                        results.empty() ? nullptr : results.data(), &outcome.accepted);
        if (status != WTGRAM_OK) outcome.first_error = detail::code_of(status);
        return outcome;
    }
    /// @}

    /// @name Receiving datagrams
    /// @{

    /// Waits for the next datagram, copies it into `buffer` and returns its length. If the buffer is too small, it
    /// fails with errc::buffer_too_small, the datagram stays in the queue, and `needed` of the other forms gets its
    /// length. Several threads may wait; each datagram goes to one of them.
    std::size_t receive(bytes_buffer buffer, duration timeout = forever) const
    {
        return detail::unwrap(receive_for(buffer, timeout));
    }
    [[nodiscard]] expected<std::size_t> try_receive(bytes_buffer buffer, std::size_t *needed = nullptr) const noexcept
    {
        std::size_t length = 0;
        const wtgram_status status = wtgram_transport_try_receive(handle_, buffer.data(), buffer.size(), &length);
        if (needed != nullptr) *needed = length;
        return detail::result(status, length);
    }
    [[nodiscard]] expected<std::size_t> receive_for(bytes_buffer buffer, duration timeout,
                                                    std::size_t *needed = nullptr) const noexcept
    {
        std::size_t length = 0;
        const wtgram_status status =
            wtgram_transport_receive(handle_, timeout.count(), buffer.data(), buffer.size(), &length);
        if (needed != nullptr) *needed = length;
        return detail::result(status, length);
    }
    /// Waits for a datagram, then takes all that are there and fit. Returns how many.
    std::size_t receive_batch(receive_buffer &buffer, duration timeout = forever) const
    {
        return detail::unwrap(receive_batch_for(buffer, timeout));
    }
    [[nodiscard]] expected<std::size_t> try_receive_batch(receive_buffer &buffer) const noexcept
    {
        return receive_batch_for(buffer, duration::zero());
    }
    [[nodiscard]] expected<std::size_t> receive_batch_for(receive_buffer &buffer, duration timeout) const noexcept
    {
        return buffer.fill(
            [&](auto... room) { return wtgram_transport_receive_batch(handle_, timeout.count(), room...); });
    }

    /// Like receive, but returns what is known about the datagram. The checksum is computed only if you ask for it.
    metadata receive_with_metadata(bytes_buffer buffer, duration timeout = forever, bool with_checksum = false) const
    {
        return detail::unwrap(receive_with_metadata_for(buffer, timeout, with_checksum));
    }
    [[nodiscard]] expected<metadata> try_receive_with_metadata(bytes_buffer buffer, bool with_checksum = false,
                                                               std::size_t *needed = nullptr) const noexcept
    {
        return receive_with_metadata_for(buffer, duration::zero(), with_checksum, needed);
    }
    [[nodiscard]] expected<metadata> receive_with_metadata_for(bytes_buffer buffer, duration timeout,
                                                               bool with_checksum = false,
                                                               std::size_t *needed = nullptr) const noexcept
    {
        metadata what;
        const wtgram_status status = wtgram_transport_receive_with_metadata(handle_, timeout.count(), with_checksum,
                                                                            buffer.data(), buffer.size(), &what.raw());
        if (needed != nullptr) *needed = what.size();
        return detail::result(status, what);
    }
    /// @}

    /// @name JSON
    /// One JSON text in each datagram.
    /// @{

    /// Sends JSON text as one datagram, without insignificant white space. The text must be strict JSON (RFC 8259). If
    /// it is not, what() of the exception, or `detail`, says what is wrong and where.
    void send_json(std::string_view text, optional_send_options options = {}) const
    {
        detail_text detail;
        detail::unwrap(send_json_with(text, options, &detail), detail.c_str());
    }
    [[nodiscard]] expected<void> try_send_json(std::string_view text, const send_options &options = {},
                                               detail_text *detail = nullptr) const noexcept
    {
        return send_json_for(text, duration::zero(), options, detail);
    }
    [[nodiscard]] expected<void> send_json_for(std::string_view text, duration timeout, send_options options = {},
                                               detail_text *detail = nullptr) const noexcept
    {
        return send_json_with(text, options.timeout(timeout), detail);
    }
    /// Waits for the next datagram and returns it as JSON text. A datagram that is not acceptable JSON fails with
    /// errc::serialization and is lost.
    std::string receive_json(duration timeout = forever) const
    {
        detail_text detail;
        return detail::unwrap(receive_json_for(timeout, &detail), detail.c_str());
    }
    [[nodiscard]] expected<std::string> try_receive_json(detail_text *detail = nullptr) const noexcept
    {
        return receive_json_for(duration::zero(), detail);
    }
    [[nodiscard]] expected<std::string> receive_json_for(duration timeout, detail_text *detail = nullptr) const noexcept
    {
        const detail::time_left left(timeout);
        return detail::try_read_text([&](char *buffer, std::size_t capacity, std::size_t *length) {
            return wtgram_transport_receive_json(handle_, left.us(), buffer, capacity, length,
                                                 detail != nullptr ? detail->data() : nullptr,
                                                 detail != nullptr ? detail_text::capacity : 0);
        });
    }
    /// @}

    /// @name Outcomes
    /// What became of datagrams that were sent with a report id.
    /// @{

    /// Waits for the next outcome of a datagram that was sent with a report id. Each outcome is returned once, in the
    /// order in which they happened. Fetch them: when as many as transport_options::outcome_capacity are pending or not
    /// fetched, sending with a report id fails with errc::limit_reached.
    outcome next_outcome(duration timeout = forever) const { return detail::unwrap(next_outcome_for(timeout)); }
    [[nodiscard]] expected<outcome> try_next_outcome() const noexcept { return next_outcome_for(duration::zero()); }
    [[nodiscard]] expected<outcome> next_outcome_for(duration timeout) const noexcept
    {
        outcome news{};
        const wtgram_status status = wtgram_transport_next_outcome(handle_, timeout.count(), &news);
        return detail::result(status, news);
    }
    /// Waits for an outcome, then takes all that are there and fit. Returns the filled part of `outcomes`.
    span<outcome> next_outcomes(span<outcome> outcomes, duration timeout = forever) const
    {
        return detail::unwrap(next_outcomes_for(outcomes, timeout));
    }
    [[nodiscard]] expected<span<outcome>> try_next_outcomes(span<outcome> outcomes) const noexcept
    {
        return next_outcomes_for(outcomes, duration::zero());
    }
    [[nodiscard]] expected<span<outcome>> next_outcomes_for(span<outcome> outcomes, duration timeout) const noexcept
    {
        std::size_t count = 0;
        const wtgram_status status =
            wtgram_transport_next_outcomes(handle_, timeout.count(), outcomes.data(), outcomes.size(), &count);
        return detail::result(status, outcomes.first(status == WTGRAM_OK ? count : 0));
    }
    /// @}

    /// @name State
    /// @{

    /// Largest payload that can be sent now, in bytes. It follows the MTU of the path.
    std::size_t max_datagram_size() const { return detail::unwrap(try_max_datagram_size()); }
    [[nodiscard]] expected<std::size_t> try_max_datagram_size() const noexcept
    {
        std::size_t bytes = 0;
        const wtgram_status status = wtgram_transport_get_max_datagram_size(handle_, &bytes);
        return detail::result(status, bytes);
    }
    /// Whether the transport or its session is closed. You can still receive what has arrived.
    bool is_closed() const { return detail::unwrap(get(wtgram_transport_is_closed)); }
    /// Whether the transport is open or still has datagrams to receive.
    bool is_readable() const { return detail::unwrap(get(wtgram_transport_is_readable)); }
    /// Whether the transport is open for sending.
    bool is_writable() const { return detail::unwrap(get(wtgram_transport_is_writable)); }
    [[nodiscard]] expected<bool> try_is_closed() const noexcept { return get(wtgram_transport_is_closed); }
    [[nodiscard]] expected<bool> try_is_readable() const noexcept { return get(wtgram_transport_is_readable); }
    [[nodiscard]] expected<bool> try_is_writable() const noexcept { return get(wtgram_transport_is_writable); }
    /// @}

    /// @name Settings
    /// What can be changed while the transport runs. Changes apply at once, also to datagrams in the queue.
    /// @{

    /// Age at which outgoing datagrams are dropped; 0 for no limit.
    duration outgoing_max_age() const { return detail::unwrap(try_outgoing_max_age()); }
    [[nodiscard]] expected<duration> try_outgoing_max_age() const noexcept
    {
        return get_age(wtgram_transport_get_outgoing_max_age);
    }
    /// Sets this age. Queued datagrams that are older are dropped at once.
    void set_outgoing_max_age(duration age) const { detail::unwrap(try_set_outgoing_max_age(age)); }
    [[nodiscard]] expected<void> try_set_outgoing_max_age(duration age) const noexcept
    {
        return detail::result(wtgram_transport_set_outgoing_max_age(handle_, age.count()));
    }
    /// Age at which incoming datagrams are dropped; 0 for no limit.
    duration incoming_max_age() const { return detail::unwrap(try_incoming_max_age()); }
    [[nodiscard]] expected<duration> try_incoming_max_age() const noexcept
    {
        return get_age(wtgram_transport_get_incoming_max_age);
    }
    /// Sets this age. Queued datagrams that are older are dropped at once.
    void set_incoming_max_age(duration age) const { detail::unwrap(try_set_incoming_max_age(age)); }
    [[nodiscard]] expected<void> try_set_incoming_max_age(duration age) const noexcept
    {
        return detail::result(wtgram_transport_set_incoming_max_age(handle_, age.count()));
    }
    /// Limits of the outgoing queue.
    queue_limits outgoing_limits() const { return detail::unwrap(try_outgoing_limits()); }
    [[nodiscard]] expected<queue_limits> try_outgoing_limits() const noexcept
    {
        return get_limits(wtgram_transport_get_outgoing_limits);
    }
    /// Sets these limits. Under full_policy::evict datagrams beyond them are evicted at once; under the other policies
    /// they stay. A high-water mark at or above the old or the new limit moves to the new limit.
    void set_outgoing_limits(queue_limits limits) const { detail::unwrap(try_set_outgoing_limits(limits)); }
    [[nodiscard]] expected<void> try_set_outgoing_limits(queue_limits limits) const noexcept
    {
        return detail::result(wtgram_transport_set_outgoing_limits(handle_, limits.max_datagrams, limits.max_bytes));
    }
    /// Limits of the incoming queue.
    queue_limits incoming_limits() const { return detail::unwrap(try_incoming_limits()); }
    [[nodiscard]] expected<queue_limits> try_incoming_limits() const noexcept
    {
        return get_limits(wtgram_transport_get_incoming_limits);
    }
    /// Sets these limits. Under drop_policy::oldest datagrams beyond them are dropped at once; under
    /// drop_policy::newest they stay.
    void set_incoming_limits(queue_limits limits) const { detail::unwrap(try_set_incoming_limits(limits)); }
    [[nodiscard]] expected<void> try_set_incoming_limits(queue_limits limits) const noexcept
    {
        return detail::result(wtgram_transport_set_incoming_limits(handle_, limits.max_datagrams, limits.max_bytes));
    }
    /// What happens to a datagram when the outgoing queue is full.
    full_policy outgoing_full_policy() const { return detail::unwrap(try_outgoing_full_policy()); }
    [[nodiscard]] expected<full_policy> try_outgoing_full_policy() const noexcept
    {
        return get_policy<full_policy>(wtgram_transport_get_outgoing_full_policy);
    }
    /// Sets this policy. It also applies to calls that already wait for space.
    void set_outgoing_full_policy(full_policy policy) const { detail::unwrap(try_set_outgoing_full_policy(policy)); }
    [[nodiscard]] expected<void> try_set_outgoing_full_policy(full_policy policy) const noexcept
    {
        return detail::result(wtgram_transport_set_outgoing_full_policy(handle_, static_cast<std::uint32_t>(policy)));
    }
    /// Which datagram is dropped when the incoming queue is full.
    drop_policy incoming_drop_policy() const { return detail::unwrap(try_incoming_drop_policy()); }
    [[nodiscard]] expected<drop_policy> try_incoming_drop_policy() const noexcept
    {
        return get_policy<drop_policy>(wtgram_transport_get_incoming_drop_policy);
    }
    /// Sets this policy. It applies to datagrams that arrive from now on.
    void set_incoming_drop_policy(drop_policy policy) const { detail::unwrap(try_set_incoming_drop_policy(policy)); }
    [[nodiscard]] expected<void> try_set_incoming_drop_policy(drop_policy policy) const noexcept
    {
        return detail::result(wtgram_transport_set_incoming_drop_policy(handle_, static_cast<std::uint32_t>(policy)));
    }
    /// High-water mark of the outgoing queue in datagrams.
    std::uint64_t outgoing_high_water_mark() const { return detail::unwrap(try_outgoing_high_water_mark()); }
    [[nodiscard]] expected<std::uint64_t> try_outgoing_high_water_mark() const noexcept
    {
        return get(wtgram_transport_get_outgoing_high_water_mark);
    }
    /// Sets this mark, at least 1. The low-water mark becomes half of it, and there are no marks in bytes.
    void set_outgoing_high_water_mark(std::uint64_t datagrams) const
    {
        detail::unwrap(try_set_outgoing_high_water_mark(datagrams));
    }
    [[nodiscard]] expected<void> try_set_outgoing_high_water_mark(std::uint64_t datagrams) const noexcept
    {
        return detail::result(wtgram_transport_set_outgoing_high_water_mark(handle_, datagrams));
    }
    /// All water marks of the outgoing queue.
    water_marks outgoing_water_marks() const { return detail::unwrap(try_outgoing_water_marks()); }
    [[nodiscard]] expected<water_marks> try_outgoing_water_marks() const noexcept
    {
        water_marks marks;
        const wtgram_status status = wtgram_transport_get_outgoing_water_marks(handle_, &marks.raw());
        return detail::result(status, marks);
    }
    /// Sets all water marks. They apply at once.
    void set_outgoing_water_marks(const water_marks &marks) const
    {
        detail::unwrap(try_set_outgoing_water_marks(marks));
    }
    [[nodiscard]] expected<void> try_set_outgoing_water_marks(const water_marks &marks) const noexcept
    {
        return detail::result(wtgram_transport_set_outgoing_water_marks(handle_, &marks.raw()));
    }
    /// @}

    /// @name Queues
    /// What the queues hold now.
    /// @{

    /// Drops all datagrams of the outgoing queue and returns how many. Datagrams that QUIC already has are still sent.
    std::uint64_t clear_send_buffer() const { return detail::unwrap(try_clear_send_buffer()); }
    [[nodiscard]] expected<std::uint64_t> try_clear_send_buffer() const noexcept
    {
        return get(wtgram_transport_clear_send_buffer);
    }
    /// Drops all datagrams of the incoming queue and returns how many.
    std::uint64_t clear_receive_buffer() const { return detail::unwrap(try_clear_receive_buffer()); }
    [[nodiscard]] expected<std::uint64_t> try_clear_receive_buffer() const noexcept
    {
        return get(wtgram_transport_clear_receive_buffer);
    }
    /// Number of datagrams in the outgoing queue.
    std::uint64_t send_buffer_size() const { return detail::unwrap(try_send_buffer_size()); }
    [[nodiscard]] expected<std::uint64_t> try_send_buffer_size() const noexcept
    {
        return get(wtgram_transport_get_send_buffer_size);
    }
    /// Number of datagrams in the incoming queue.
    std::uint64_t receive_buffer_size() const { return detail::unwrap(try_receive_buffer_size()); }
    [[nodiscard]] expected<std::uint64_t> try_receive_buffer_size() const noexcept
    {
        return get(wtgram_transport_get_receive_buffer_size);
    }
    /// Size and limits of both queues, as one snapshot.
    wtgram::queue_stats queue_stats() const { return detail::unwrap(try_queue_stats()); }
    [[nodiscard]] expected<wtgram::queue_stats> try_queue_stats() const noexcept
    {
        wtgram::queue_stats stats;
        const wtgram_status status = wtgram_transport_get_queue_stats(handle_, &stats);
        return detail::result(status, stats);
    }
    /// @}

    /// @name Heartbeat
    /// Heartbeats show the peer that this side is alive.
    /// @{

    /// Sends a heartbeat now and in each interval, until stop_heartbeat or the end of the transport. Heartbeats have
    /// priority 1. The peer receives them like any datagram. If a heartbeat runs already, it takes the new options.
    void start_heartbeat(const heartbeat_options &options = {}) const { detail::unwrap(try_start_heartbeat(options)); }
    [[nodiscard]] expected<void> try_start_heartbeat(const heartbeat_options &options = {}) const noexcept
    {
        return detail::result(wtgram_transport_start_heartbeat(handle_, &options.raw()));
    }
    /// Stops the heartbeat and the check for a silent peer. Has no effect if no heartbeat runs.
    void stop_heartbeat() const { detail::unwrap(try_stop_heartbeat()); }
    expected<void> try_stop_heartbeat() const noexcept
    {
        return detail::result(wtgram_transport_stop_heartbeat(handle_));
    }
    /// Whether the peer is silent; see heartbeat_options::silent_after.
    bool is_peer_silent() const { return detail::unwrap(try_is_peer_silent()); }
    [[nodiscard]] expected<bool> try_is_peer_silent() const noexcept { return get(wtgram_transport_is_peer_silent); }
    /// @}

    /// @name Diagnosis and statistics
    /// @{

    /// Returns what looks wrong, as a JSON array of objects with `code`, `message` and `figure`. It is empty if nothing
    /// looks wrong.
    std::string diagnose() const { return detail::unwrap(try_diagnose()); }
    [[nodiscard]] expected<std::string> try_diagnose() const noexcept { return get_text(wtgram_transport_diagnose); }
    /// Returns all figures as a JSON object for people. Programs use stats() instead.
    std::string debug_state() const { return detail::unwrap(try_debug_state()); }
    [[nodiscard]] expected<std::string> try_debug_state() const noexcept
    {
        return get_text(wtgram_transport_get_debug_state);
    }

    /// Statistics of the transport and of its connection, as one snapshot.
    transport_stats stats() const { return detail::unwrap(try_stats()); }
    [[nodiscard]] expected<transport_stats> try_stats() const noexcept
    {
        transport_stats stats;
        const wtgram_status status = wtgram_transport_get_stats(handle_, &stats);
        return detail::result(status, stats);
    }
    /// Number of datagrams submitted so far, which is the sequence number of the next one.
    std::uint64_t send_sequence() const { return detail::unwrap(get(wtgram_transport_get_send_sequence)); }
    /// Number of datagrams that arrived so far, which is the sequence number of the next one.
    std::uint64_t receive_sequence() const { return detail::unwrap(get(wtgram_transport_get_receive_sequence)); }
    [[nodiscard]] expected<std::uint64_t> try_send_sequence() const noexcept
    {
        return get(wtgram_transport_get_send_sequence);
    }
    [[nodiscard]] expected<std::uint64_t> try_receive_sequence() const noexcept
    {
        return get(wtgram_transport_get_receive_sequence);
    }
    /// @}

    /// @name Session and end
    /// @{

    /// Id of the session, the same as session::session_id.
    std::uint64_t session_id() const { return detail::unwrap(try_session_id()); }
    [[nodiscard]] expected<std::uint64_t> try_session_id() const noexcept
    {
        return get(wtgram_transport_get_session_id);
    }
    /// Handle of the session. Another object owns it: do not free it.
    [[nodiscard]] expected<wtgram_session> try_session() const noexcept
    {
        wtgram_session session{};
        const wtgram_status status = wtgram_transport_get_session(handle_, &session);
        return detail::result(status, session);
    }
    /// Closes the transport but not its session. Calls that wait on it fail with errc::closed. You can still receive
    /// what has arrived. Queued datagrams are dropped and counted in send_failed.
    void close() const { detail::unwrap(try_close()); }
    expected<void> try_close() const noexcept { return detail::result(wtgram_transport_close(handle_)); }
    /// @}

  private:
    static bytes_view view(std::string_view text) noexcept { return {detail::bytes_of(text), text.size()}; }
    [[nodiscard]] expected<void> try_send_with(bytes_view data, optional_send_options options) const noexcept
    {
        return detail::result(wtgram_transport_send(handle_, data.data(), data.size(), options.raw()));
    }
    expected<void> send_json_with(std::string_view text, optional_send_options options,
                                  detail_text *detail) const noexcept
    {
        return detail::result(wtgram_transport_send_json(handle_, text.data(), text.size(), options.raw(),
                                                         detail != nullptr ? detail->data() : nullptr,
                                                         detail != nullptr ? detail_text::capacity : 0));
    }
    template <class T> expected<T> get(wtgram_status (*getter)(wtgram_transport, T *)) const noexcept
    {
        T value{};
        const wtgram_status status = getter(handle_, &value);
        return detail::result(status, value);
    }
    expected<duration> get_age(wtgram_status (*getter)(wtgram_transport, std::int64_t *)) const noexcept
    {
        std::int64_t us = 0;
        const wtgram_status status = getter(handle_, &us);
        return detail::result(status, duration(us));
    }
    expected<queue_limits> get_limits(wtgram_status (*getter)(wtgram_transport, std::uint64_t *,
                                                              std::uint64_t *)) const noexcept
    {
        queue_limits limits{};
        const wtgram_status status = getter(handle_, &limits.max_datagrams, &limits.max_bytes);
        return detail::result(status, limits);
    }
    template <class Policy>
    expected<Policy> get_policy(wtgram_status (*getter)(wtgram_transport, std::uint32_t *)) const noexcept
    {
        std::uint32_t policy = 0;
        const wtgram_status status = getter(handle_, &policy);
        return detail::result(status, static_cast<Policy>(policy));
    }
    template <class Getter> expected<std::string> get_text(Getter getter) const noexcept
    {
        return detail::try_read_text([&](char *buffer, std::size_t capacity, std::size_t *length) {
            return getter(handle_, buffer, capacity, length);
        });
    }
    wtgram_transport handle_{};
};

} // namespace wtgram

#endif
