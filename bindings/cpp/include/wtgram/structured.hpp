/// @file
/// The structured transport: typed objects over a session, a transport or a reliability layer. Here objects are bytes
/// or JSON text; typed.hpp makes them C++ objects.
#ifndef WTGRAM_STRUCTURED_HPP
#define WTGRAM_STRUCTURED_HPP

#include <wtgram/reliability.hpp>
#include <wtgram/serializer.hpp>

namespace wtgram
{

/// Options of a structured transport.
class structured_options
{
  public:
    structured_options() noexcept { wtgram_structured_options_init(&c_); }
    /// Default serializer_kind::json.
    structured_options &serializer(serializer_kind kind) noexcept
    {
        return c_.serializer = static_cast<std::uint32_t>(kind), *this;
    }
    /// Takes your own serializer; see serializer_table.
    structured_options &custom(const wtgram_serializer &table) noexcept
    {
        return custom_ = table, serializer(serializer_kind::custom);
    }
    /// Over a session: limit of the queue in datagrams, at least 1. Default 100. Ignored otherwise.
    structured_options &queue_datagrams(std::uint64_t count) noexcept { return c_.queue_datagrams = count, *this; }
    /// The C struct. Its `custom` points into this object.
    wtgram_structured_options to_c() const noexcept
    {
        wtgram_structured_options c = c_;
        c.custom = custom_ ? &*custom_ : nullptr;
        return c;
    }

  private:
    wtgram_structured_options c_;
    std::optional<wtgram_serializer> custom_;
};

/// A type of objects, for structured::open. `max_bytes` limits its encoded size; 0 for no other limit than the path's.
inline wtgram_object_type registered(std::uint16_t type_id, std::uint64_t max_bytes = 0) noexcept
{
    wtgram_object_type type{};
    type.type_id = type_id;
    type.max_bytes = max_bytes;
    return type;
}

/// An object of a batch. It refers to the bytes and does not copy them.
inline wtgram_object object(std::uint16_t type_id, bytes_view data) noexcept
{
    wtgram_object one{};
    one.data = data.data();
    one.length = data.size();
    one.type_id = type_id;
    return one;
}
/// The same for a text.
inline wtgram_object object(std::uint16_t type_id, std::string_view text) noexcept
{
    return object(type_id, bytes_view(detail::bytes_of(text), text.size()));
}

/// Type and length in bytes of a received object.
struct object_info {
    std::uint16_t type_id;
    std::size_t length;
};

/// An object in an object_buffer, or why a datagram is not an object.
struct received_object {
    bytes_view data; ///< The object; it lies in the buffer.
    std::uint16_t type_id; ///< Type of the object.
    std::uint64_t sequence; ///< Position of its datagram in the order of arrival.
    time_point arrived; ///< Time of arrival.
    std::error_code error; ///< Why it is not an object (then all other fields are zero); no error if it is one.
    /// The object as text.
    std::string_view text() const noexcept { return {reinterpret_cast<const char *>(data.data()), data.size()}; }
    /// Makes it from the C struct and the arena.
    static received_object of(const wtgram_received_object &c, const std::uint8_t *arena) noexcept
    {
        return {bytes_view(arena + c.offset, static_cast<std::size_t>(c.length)), static_cast<std::uint16_t>(c.type_id),
                c.sequence, detail::time_of(c.timestamp_us),
                c.status == WTGRAM_OK ? std::error_code() : detail::code_of(static_cast<wtgram_status>(c.status))};
    }
};

/// Buffer for structured::receive_batch.
using object_buffer = batch_buffer<received_object, wtgram_received_object>;

/// A structured transport: sends and receives typed objects. Both ends register the same type ids.
///
/// An object is one datagram, or one message over a reliability layer. For C++ objects use `typed`, which is derived
/// from this class.
///
/// send and receive wait, and throw on failure. The _for forms wait at most as long as you say; the try_ forms never
/// wait; both return an expected.
class structured : public owner<wtgram_structured, wtgram_structured_free>
{
  public:
    using owner::owner;

    /// Opens a structured transport. Over a transport or reliability layer it receives everything, and closing it
    /// closes that, too. Over a session it receives datagrams that start with a registered type id, and closing it
    /// closes nothing else. Each type id occurs once; the types cannot be changed later.
    template <class Below>
    [[nodiscard]] static structured open(const Below &below, span<const wtgram_object_type> types,
                                         const structured_options &options = {})
    {
        return detail::unwrap(try_open(below, types, options));
    }
    [[nodiscard]] static expected<structured> try_open(const transport &below, span<const wtgram_object_type> types,
                                                       const structured_options &options = {}) noexcept
    {
        return make(wtgram_structured_open_over_transport, below.handle(), types, options);
    }
    [[nodiscard]] static expected<structured> try_open(const session &below, span<const wtgram_object_type> types,
                                                       const structured_options &options = {}) noexcept
    {
        return make(wtgram_structured_open_over_session, below.handle(), types, options);
    }
    [[nodiscard]] static expected<structured> try_open(const reliability &below, span<const wtgram_object_type> types,
                                                       const structured_options &options = {}) noexcept
    {
        return make(wtgram_structured_open_over_reliability, below.handle(), types, options);
    }

    /// Encodes an object and sends it. `data` is JSON text, or what the custom serializer takes. With a report id,
    /// fetch the outcome from the transport or layer below.
    void send(std::uint16_t type_id, bytes_view data, optional_send_options options = {}) const
    {
        detail::unwrap(send_with(type_id, data, options));
    }
    void send(std::uint16_t type_id, std::string_view text, optional_send_options options = {}) const
    {
        send(type_id, view(text), options);
    }
    [[nodiscard]] expected<void> try_send(std::uint16_t type_id, bytes_view data,
                                          optional_send_options options = {}) const noexcept
    {
        return detail::result(wtgram_structured_try_send(handle_, type_id, data.data(), data.size(), options.raw()));
    }
    [[nodiscard]] expected<void> try_send(std::uint16_t type_id, std::string_view text,
                                          optional_send_options options = {}) const noexcept
    {
        return try_send(type_id, view(text), options);
    }
    [[nodiscard]] expected<void> send_for(std::uint16_t type_id, bytes_view data, duration timeout,
                                          send_options options = {}) const noexcept
    {
        return send_with(type_id, data, options.timeout(timeout));
    }
    [[nodiscard]] expected<void> send_for(std::uint16_t type_id, std::string_view text, duration timeout,
                                          send_options options = {}) const noexcept
    {
        return send_for(type_id, view(text), timeout, options);
    }
    /// Sends many objects in one call, like transport::send_batch.
    batch_outcome send_batch(span<const wtgram_object> objects, optional_send_options options = {},
                             span<wtgram_status> results = {}) const noexcept
    {
        batch_outcome outcome;
        if (!results.empty() && results.size() < objects.size()) {
            outcome.first_error = errc::invalid_argument;
            return outcome;
        }
        const wtgram_status status =
            wtgram_structured_send_batch(handle_, objects.data(), objects.size(), options.raw(),
                                         results.empty() ? nullptr : results.data(), &outcome.accepted);
        if (status != WTGRAM_OK) outcome.first_error = detail::code_of(status);
        return outcome;
    }

    /// Waits for the next object, copies it into `buffer` and returns its type and length. A datagram that is not an
    /// object is dropped and counted, and the call fails once with its error: errc::truncated, unknown_type, too_large
    /// or deserialization. If the buffer is too small, it fails with errc::buffer_too_small, the object stays in the
    /// queue, and `needed` of the other forms gets its length.
    object_info receive(bytes_buffer buffer, duration timeout = forever) const
    {
        return detail::unwrap(receive_for(buffer, timeout));
    }
    [[nodiscard]] expected<object_info> try_receive(bytes_buffer buffer, std::size_t *needed = nullptr) const noexcept
    {
        std::uint32_t type_id = 0;
        std::size_t length = 0;
        const wtgram_status status =
            wtgram_structured_try_receive(handle_, buffer.data(), buffer.size(), &type_id, &length);
        if (needed != nullptr) *needed = length;
        return detail::result(status, object_info{static_cast<std::uint16_t>(type_id), length});
    }
    [[nodiscard]] expected<object_info> receive_for(bytes_buffer buffer, duration timeout,
                                                    std::size_t *needed = nullptr) const noexcept
    {
        std::uint32_t type_id = 0;
        std::size_t length = 0;
        const wtgram_status status =
            wtgram_structured_receive(handle_, timeout.count(), buffer.data(), buffer.size(), &type_id, &length);
        if (needed != nullptr) *needed = length;
        return detail::result(status, object_info{static_cast<std::uint16_t>(type_id), length});
    }
    /// Waits for an object, then takes all that are there and fit. Returns how many. Datagrams that are not objects
    /// take an element with their error.
    std::size_t receive_batch(object_buffer &buffer, duration timeout = forever) const
    {
        return detail::unwrap(receive_batch_for(buffer, timeout));
    }
    [[nodiscard]] expected<std::size_t> try_receive_batch(object_buffer &buffer) const noexcept
    {
        return receive_batch_for(buffer, duration::zero());
    }
    [[nodiscard]] expected<std::size_t> receive_batch_for(object_buffer &buffer, duration timeout) const noexcept
    {
        return buffer.fill(
            [&](auto... room) { return wtgram_structured_receive_batch(handle_, timeout.count(), room...); });
    }

    /// Whether the structured transport or the object below it is closed. You can still receive what has arrived.
    bool is_closed() const { return detail::unwrap(try_is_closed()); }
    [[nodiscard]] expected<bool> try_is_closed() const noexcept
    {
        bool closed = false;
        const wtgram_status status = wtgram_structured_is_closed(handle_, &closed);
        return detail::result(status, closed);
    }
    /// Statistics of the structured transport.
    structured_stats stats() const { return detail::unwrap(try_stats()); }
    [[nodiscard]] expected<structured_stats> try_stats() const noexcept
    {
        structured_stats stats;
        const wtgram_status status = wtgram_structured_get_stats(handle_, &stats);
        return detail::result(status, stats);
    }
    /// Closes it. Over a transport or a reliability layer this closes that, too; over a session it closes nothing else.
    /// You can still receive what has arrived.
    void close() const { detail::unwrap(try_close()); }
    expected<void> try_close() const noexcept { return detail::result(wtgram_structured_close(handle_)); }

  protected:
    static bytes_view view(std::string_view text) noexcept { return {detail::bytes_of(text), text.size()}; }
    expected<void> send_with(std::uint16_t type_id, bytes_view data, optional_send_options options) const noexcept
    {
        return detail::result(wtgram_structured_send(handle_, type_id, data.data(), data.size(), options.raw()));
    }

  private:
    template <class Open, class Below>
    static expected<structured> make(Open open, Below below, span<const wtgram_object_type> types,
                                     const structured_options &options) noexcept
    {
        const wtgram_structured_options c = options.to_c();
        wtgram_structured handle{};
        const wtgram_status status = open(below, types.data(), types.size(), &c, &handle);
        if (status != WTGRAM_OK) return unexpected(detail::code_of(status));
        return structured(handle);
    }
};

} // namespace wtgram

#endif
