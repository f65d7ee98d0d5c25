/// @file
/// C++ objects over a structured transport: wtgram::typed, and wtgram::codec, which converts objects to bytes and back.
#ifndef WTGRAM_TYPED_HPP
#define WTGRAM_TYPED_HPP

#include <wtgram/structured.hpp>

#include <cmath>

// Without exceptions, nlohmann/json ends the program when an object of the peer does not convert. A peer must not be
// able to do that.
#if defined(__cpp_exceptions) && !defined(WTGRAM_NO_NLOHMANN_JSON) && __has_include(<nlohmann/json.hpp>)
#include <nlohmann/json.hpp>
#define WTGRAM_HAS_NLOHMANN_JSON 1
#else
#define WTGRAM_HAS_NLOHMANN_JSON 0
#endif

namespace wtgram
{

#if WTGRAM_HAS_NLOHMANN_JSON
namespace detail
{

// Whether all numbers are finite. Otherwise dump() would write NaN and Infinity as null.
template <class Json> bool is_finite(const Json &value)
{
    if (value.is_number_float()) return std::isfinite(value.template get<double>());
    if (value.is_structured())
        for (const Json &member : value)
            if (!is_finite(member)) return false;
    return true;
}

} // namespace detail
#endif

/// Converts objects of type T to bytes and back. If nlohmann/json.hpp can be included and exceptions are enabled, it
/// exists for each type with to_json and from_json. Otherwise, or for another format, specialize it with the two
/// functions below.
///
/// A function refuses by returning no value or by throwing. The bytes are JSON text for the serializers of the library.
/// `Enable` is for std::enable_if_t.
template <class T, class Enable = void> struct codec {
#if WTGRAM_HAS_NLOHMANN_JSON
    /// Throws for text that is not UTF-8. Exceptions of a to_json pass through.
    static std::optional<std::string> encode(const T &object)
    {
        const nlohmann::json json(object);
        if (!detail::is_finite(json)) return std::nullopt;
        return json.dump();
    }
    /// Throws if a member is missing or has another type. Exceptions of a from_json pass through.
    static std::optional<T> decode(std::string_view bytes) { return nlohmann::json::parse(bytes).template get<T>(); }
#else
    static_assert(!std::is_same_v<T, T>, "specialize wtgram::codec for this type: there is no nlohmann/json here");
#endif
};

/// An entry in the list of types: the type id, the type, and the limit of its encoded size in bytes, 0 for no other
/// limit than the path's.
template <std::uint16_t Id, class T, std::uint64_t MaxBytes = 0> struct type {
    using object_type = T;
    static constexpr std::uint16_t id = Id;
    static constexpr std::uint64_t max_bytes = MaxBytes;
};

namespace detail
{

// The result of `convert`, or `refusal` if it throws. Codecs are code of the program, and the bytes come from a peer.
template <class Convert> auto converted(errc refusal, Convert convert) noexcept -> decltype(convert())
{
#if defined(__cpp_exceptions)
    try {
        return convert();
    } catch (...) {
        return unexpected(make_error_code(refusal));
    }
#else
    static_cast<void>(refusal);
    return convert();
#endif
}

template <class... Types> constexpr bool has_unique_ids() noexcept
{
    constexpr std::array<std::uint16_t, sizeof...(Types)> ids{Types::id...};
    for (std::size_t i = 0; i < ids.size(); i++)
        for (std::size_t j = 0; j < i; j++)
            if (ids[i] == ids[j]) return false;
    return true;
}

} // namespace detail

/// A structured transport for C++ objects. Its template arguments are the types with their ids:
///
///     using channel = wtgram::typed<wtgram::type<1, position>, wtgram::type<2, chat>>;
///     auto objects = channel::open(session.transport());
///     objects.send(position{1, 2});
///     std::visit(handler, objects.receive()); // a std::variant<position, chat>
///
/// wtgram::codec converts each object. The calls have the same forms as those of wtgram::structured.
template <class... Types> class typed : public structured
{
    static_assert(sizeof...(Types) > 0 && detail::has_unique_ids<Types...>(), "each type id once");

  public:
    /// An object of any of the types.
    using any = std::variant<typename Types::object_type...>;

    typed() noexcept = default; ///< No structured transport: each call fails with errc::invalid_handle.
    /// Takes over a handle.
    explicit typed(wtgram_structured handle) noexcept : structured(handle) {}

    /// Opens it over a transport, session or reliability layer; see structured::open.
    template <class Below> static typed open(const Below &below, const structured_options &options = {})
    {
        return detail::unwrap(try_open(below, options));
    }
    template <class Below>
    [[nodiscard]] static expected<typed> try_open(const Below &below, const structured_options &options = {}) noexcept
    {
        const wtgram_object_type registry[] = {registered(Types::id, Types::max_bytes)...};
        expected<structured> opened =
            structured::try_open(below, span<const wtgram_object_type>(registry, sizeof...(Types)), options);
        if (!opened) return unexpected(opened.error());
        return typed(opened->release());
    }

    // Forms for objects as bytes.
    using structured::send;
    using structured::send_for;
    using structured::try_send;
    /// Encodes an object and sends it, like structured::send. An object that the codec refuses fails with
    /// errc::serialization. If there is no memory for the bytes, a noexcept form ends the program.
    template <class T> void send(const T &object, optional_send_options options = {}) const
    {
        detail::unwrap(encoded(object, [&](std::string_view bytes) {
            return structured::send_with(id_of<T>(), structured::view(bytes), options);
        }));
    }
    template <class T>
    [[nodiscard]] expected<void> try_send(const T &object, optional_send_options options = {}) const noexcept
    {
        return encoded(object,
                       [&](std::string_view bytes) { return structured::try_send(id_of<T>(), bytes, options); });
    }
    template <class T>
    [[nodiscard]] expected<void> send_for(const T &object, duration timeout,
                                          const send_options &options = {}) const noexcept
    {
        return encoded(
            object, [&](std::string_view bytes) { return structured::send_for(id_of<T>(), bytes, timeout, options); });
    }

    // Forms for objects as bytes.
    using structured::receive;
    using structured::receive_for;
    using structured::try_receive;
    /// Waits for the next object and decodes it, like structured::receive. An object that the codec refuses fails with
    /// errc::deserialization and is lost. (It counts as received.)
    any receive(duration timeout = forever) const { return detail::unwrap(receive_for(timeout)); }
    [[nodiscard]] expected<any> try_receive() const noexcept { return receive_for(duration::zero()); }
    [[nodiscard]] expected<any> receive_for(duration timeout) const noexcept
    {
        const detail::time_left left(timeout);
        std::uint8_t buffer[2048];
        std::size_t needed = 0;
        expected<object_info> got = structured::receive_for(buffer, timeout, &needed);
        if (got) return decoded(got->type_id, text(buffer, got->length));
        std::vector<std::uint8_t> larger;
        // It repeats only if another thread takes the object and the next one is larger still.
        while (!got && got.error() == errc::buffer_too_small) {
            larger.resize(needed);
            got = structured::receive_for(larger, duration(left.us()), &needed);
        }
        if (!got) return unexpected(got.error());
        return decoded(got->type_id, text(larger.data(), got->length));
    }

  private:
    template <class T> static constexpr std::uint16_t id_of() noexcept
    {
        constexpr std::size_t places = (std::size_t{std::is_same_v<T, typename Types::object_type>} + ...);
        static_assert(places == 1, "the type is not in the registry, or there more than once");
        return static_cast<std::uint16_t>(((std::is_same_v<T, typename Types::object_type> ? Types::id : 0) + ...));
    }
    template <class T, class Send> static expected<void> encoded(const T &object, Send send) noexcept
    {
        const auto bytes = detail::converted(errc::serialization, [&]() -> expected<std::string> {
            std::optional<std::string> encoded = codec<T>::encode(object);
            if (!encoded) return unexpected(make_error_code(errc::serialization));
            return *std::move(encoded);
        });
        if (!bytes) return unexpected(bytes.error());
        return send(std::string_view(*bytes));
    }
    static std::string_view text(const std::uint8_t *data, std::size_t length) noexcept
    {
        return {reinterpret_cast<const char *>(data), length};
    }
    static expected<any> decoded(std::uint16_t type_id, std::string_view bytes) noexcept
    {
        return detail::converted(errc::deserialization, [&]() -> expected<any> {
            std::optional<any> object;
            (decode_as<Types>(type_id, bytes, object) || ...);
            if (!object) return unexpected(make_error_code(errc::deserialization));
            return *std::move(object); // a move that throws is refused, too
        });
    }
    template <class Type>
    static bool decode_as(std::uint16_t type_id, std::string_view bytes, std::optional<any> &object)
    {
        if (type_id != Type::id) return false;
        auto one = codec<typename Type::object_type>::decode(bytes);
        if (one) object.emplace(std::in_place_type<typename Type::object_type>, *std::move(one));
        return true;
    }
};

} // namespace wtgram

#endif
