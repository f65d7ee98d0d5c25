// A session's datagrams. A transport is a value that names them: it may be copied, and is good as long as its session.
//
// try_send and try_receive never wait; try_send_for and try_receive_for wait no longer than they are told; all four are
// noexcept. send and receive wait and throw.
#ifndef WTGRAM_TRANSPORT_HPP
#define WTGRAM_TRANSPORT_HPP

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
    std::chrono::time_point<std::chrono::system_clock, duration> arrived;
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
    received_datagram operator[](std::size_t i) const noexcept
    {
        const wtgram_received &one = received_[i];
        return {bytes_view(arena_.data() + one.offset, static_cast<std::size_t>(one.length)), one.sequence,
                std::chrono::time_point<std::chrono::system_clock, duration>(duration(one.timestamp_us))};
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
    std::size_t count_ = 0;
};

class transport
{
  public:
    transport() noexcept = default; // none: every call fails with errc::invalid_handle
    explicit transport(wtgram_transport handle) noexcept : handle_(handle) {}
    wtgram_transport handle() const noexcept { return handle_; }
    std::uint64_t id() const noexcept { return handle_.id; }

    void send(bytes_view data, const send_options &options = {}) const { detail::unwrap(try_send_with(data, options)); }
    void send(std::string_view text, const send_options &options = {}) const { send(view(text), options); }
    expected<void> try_send(bytes_view data, const send_options &options = {}) const noexcept
    {
        return detail::result(wtgram_transport_try_send(handle_, data.data(), data.size(), &options.raw()));
    }
    expected<void> try_send(std::string_view text, const send_options &options = {}) const noexcept
    {
        return try_send(view(text), options);
    }
    expected<void> try_send_for(bytes_view data, duration timeout, send_options options = {}) const noexcept
    {
        return try_send_with(data, options.timeout(timeout));
    }
    expected<void> try_send_for(std::string_view text, duration timeout, send_options options = {}) const noexcept
    {
        return try_send_for(view(text), timeout, options);
    }
    // One crossing for many; never throws, because what was accepted must be known in any case. `results` is empty or
    // has one place for each datagram.
    batch_outcome send_batch(span<const wtgram_slice> datagrams, const send_options &options = {},
                             span<wtgram_status> results = {}) const noexcept
    {
        batch_outcome outcome;
        if (!results.empty() && results.size() < datagrams.size()) {
            outcome.first_error = errc::invalid_argument;
            return outcome;
        }
        const wtgram_status status =
            wtgram_transport_send_batch(handle_, datagrams.data(), datagrams.size(), &options.raw(),
                                        results.empty() ? nullptr : results.data(), &outcome.accepted);
        if (status != WTGRAM_OK) outcome.first_error = detail::code_of(status);
        return outcome;
    }

    // The length of the datagram. A buffer that is too small: errc::buffer_too_small, and the datagram stays; `needed`
    // says how long it is.
    std::size_t receive(bytes_buffer buffer, duration timeout = forever) const
    {
        return detail::unwrap(try_receive_for(buffer, timeout));
    }
    expected<std::size_t> try_receive(bytes_buffer buffer, std::size_t *needed = nullptr) const noexcept
    {
        std::size_t length = 0;
        const wtgram_status status = wtgram_transport_try_receive(handle_, buffer.data(), buffer.size(), &length);
        if (needed != nullptr) *needed = length;
        return detail::result(status, length);
    }
    expected<std::size_t> try_receive_for(bytes_buffer buffer, duration timeout,
                                          std::size_t *needed = nullptr) const noexcept
    {
        std::size_t length = 0;
        const wtgram_status status =
            wtgram_transport_receive(handle_, timeout.count(), buffer.data(), buffer.size(), &length);
        if (needed != nullptr) *needed = length;
        return detail::result(status, length);
    }
    // Waits for the first datagram, then takes what is there and fits; how many.
    std::size_t receive_batch(receive_buffer &buffer, duration timeout = forever) const
    {
        return detail::unwrap(try_receive_batch_for(buffer, timeout));
    }
    expected<std::size_t> try_receive_batch(receive_buffer &buffer) const noexcept
    {
        return try_receive_batch_for(buffer, duration::zero());
    }
    expected<std::size_t> try_receive_batch_for(receive_buffer &buffer, duration timeout) const noexcept
    {
        std::size_t count = 0;
        const wtgram_status status =
            wtgram_transport_receive_batch(handle_, timeout.count(), buffer.arena_.data(), buffer.arena_.size(),
                                           buffer.received_.data(), buffer.received_.size(), &count);
        buffer.count_ = status == WTGRAM_OK ? count : 0;
        return detail::result(status, count);
    }

    std::size_t max_datagram_size() const { return detail::unwrap(try_max_datagram_size()); }
    expected<std::size_t> try_max_datagram_size() const noexcept
    {
        std::size_t bytes = 0;
        const wtgram_status status = wtgram_transport_max_datagram_size(handle_, &bytes);
        return detail::result(status, bytes);
    }
    bool is_closed() const { return detail::unwrap(flag(wtgram_transport_is_closed)); }
    bool is_readable() const { return detail::unwrap(flag(wtgram_transport_is_readable)); }
    bool is_writable() const { return detail::unwrap(flag(wtgram_transport_is_writable)); }
    expected<bool> try_is_closed() const noexcept { return flag(wtgram_transport_is_closed); }
    expected<bool> try_is_readable() const noexcept { return flag(wtgram_transport_is_readable); }
    expected<bool> try_is_writable() const noexcept { return flag(wtgram_transport_is_writable); }

    wtgram_transport_statistics stats() const { return detail::unwrap(try_stats()); }
    expected<wtgram_transport_statistics> try_stats() const noexcept
    {
        wtgram_transport_statistics stats;
        wtgram_transport_statistics_init(&stats);
        const wtgram_status status = wtgram_transport_stats(handle_, &stats);
        return detail::result(status, stats);
    }
    // How many datagrams were handed in, and have arrived, so far: the numbers that the next ones get.
    std::uint64_t send_sequence() const { return detail::unwrap(number(wtgram_transport_send_sequence)); }
    std::uint64_t receive_sequence() const { return detail::unwrap(number(wtgram_transport_receive_sequence)); }
    expected<std::uint64_t> try_send_sequence() const noexcept { return number(wtgram_transport_send_sequence); }
    expected<std::uint64_t> try_receive_sequence() const noexcept { return number(wtgram_transport_receive_sequence); }
    // The session's id on the wire, as session::session_id says it.
    std::uint64_t session_id() const { return detail::unwrap(try_session_id()); }
    expected<std::uint64_t> try_session_id() const noexcept { return number(wtgram_transport_session_id); }
    // The handle of the session that this belongs to and that somebody else owns: not to be freed.
    expected<wtgram_session> try_session() const noexcept
    {
        wtgram_session session{};
        const wtgram_status status = wtgram_transport_session(handle_, &session);
        return detail::result(status, session);
    }
    // The datagram path only; the session lives on.
    void close() const { detail::unwrap(try_close()); }
    expected<void> try_close() const noexcept { return detail::result(wtgram_transport_close(handle_)); }

  private:
    static bytes_view view(std::string_view text) noexcept { return {detail::bytes_of(text), text.size()}; }
    expected<void> try_send_with(bytes_view data, const send_options &options) const noexcept
    {
        return detail::result(wtgram_transport_send(handle_, data.data(), data.size(), &options.raw()));
    }
    expected<bool> flag(wtgram_status (*getter)(wtgram_transport, bool *)) const noexcept
    {
        bool value = false;
        const wtgram_status status = getter(handle_, &value);
        return detail::result(status, value);
    }
    expected<std::uint64_t> number(wtgram_status (*getter)(wtgram_transport, std::uint64_t *)) const noexcept
    {
        std::uint64_t value = 0;
        const wtgram_status status = getter(handle_, &value);
        return detail::result(status, value);
    }
    wtgram_transport handle_{};
};

} // namespace wtgram

#endif
