/// @file
/// Serializers for structured transports: those of the library, and your own.
#ifndef WTGRAM_SERIALIZER_HPP
#define WTGRAM_SERIALIZER_HPP

#include <wtgram/options.hpp>

namespace wtgram
{

/// How objects are encoded; wtgram_serializer_kind describes the details.
enum class serializer_kind : std::uint32_t {
    json = WTGRAM_SERIALIZER_JSON, ///< JSON text for the program and on the wire. The default.
    message_pack = WTGRAM_SERIALIZER_MESSAGE_PACK, ///< JSON text for the program, MessagePack on the wire.
    custom = WTGRAM_SERIALIZER_CUSTOM, ///< Bytes of the program's choice, which your own serializer converts.
};

/// A serializer that sends bytes as they are.
inline wtgram_serializer as_is() noexcept
{
    wtgram_serializer table;
    wtgram_serializer_init(&table);
    table.serialize = table.deserialize = [](void *, std::uint32_t, const std::uint8_t *data, std::size_t length,
                                             const std::uint8_t **result, std::size_t *result_length) -> std::int32_t {
        *result = data;
        *result_length = length;
        return 0;
    };
    return table;
}

namespace detail
{

// Keeps a result until the library has copied it, which happens before the same thread makes the next one. It stores
// the result only when it is complete, because a serializer may use other structured transports.
template <class Convert>
std::int32_t keep(const std::uint8_t **result, std::size_t *result_length, Convert convert) noexcept
{
    thread_local std::vector<std::uint8_t> last;
    std::vector<std::uint8_t> bytes = std::move(last);
    bytes.clear();
#if defined(__cpp_exceptions)
    try {
        if (!convert(bytes)) return -1;
    } catch (...) {
        return -1;
    }
#else
    if (!convert(bytes)) return -1;
#endif
    last = std::move(bytes);
    *result = last.data();
    *result_length = last.size();
    return 0;
}

} // namespace detail

/// Makes a serializer of your object, for structured_options::custom. The object needs two functions:
///
///     bool serialize(std::uint16_t type_id, bytes_view object, std::vector<std::uint8_t> &wire) const;
///     bool deserialize(std::uint16_t type_id, bytes_view wire, std::vector<std::uint8_t> &object) const;
///
/// They refuse with false or with an exception. They run on the threads that send and receive, several at once. Your
/// object must outlive the structured transport.
template <class Serializer> wtgram_serializer serializer_table(const Serializer &serializer) noexcept
{
    wtgram_serializer table;
    wtgram_serializer_init(&table);
    table.context = const_cast<void *>(static_cast<const void *>(&serializer));
    table.serialize = [](void *context, std::uint32_t type_id, const std::uint8_t *data, std::size_t length,
                         const std::uint8_t **result, std::size_t *result_length) -> std::int32_t {
        return detail::keep(result, result_length, [&](std::vector<std::uint8_t> &wire) {
            return static_cast<const Serializer *>(context)->serialize(static_cast<std::uint16_t>(type_id),
                                                                       bytes_view(data, length), wire);
        });
    };
    table.deserialize = [](void *context, std::uint32_t type_id, const std::uint8_t *data, std::size_t length,
                           const std::uint8_t **result, std::size_t *result_length) -> std::int32_t {
        return detail::keep(result, result_length, [&](std::vector<std::uint8_t> &object) {
            return static_cast<const Serializer *>(context)->deserialize(static_cast<std::uint16_t>(type_id),
                                                                         bytes_view(data, length), object);
        });
    };
    return table;
}
template <class Serializer>
wtgram_serializer serializer_table(const Serializer &&) = delete; // a temporary would be destroyed too early

} // namespace wtgram

#endif
