/// @file
/// wtgram::span: std::span if the standard library has it, otherwise the part of it that this interface needs.
#ifndef WTGRAM_SPAN_HPP
#define WTGRAM_SPAN_HPP

#include <cstddef>
#include <cstdint>
#include <type_traits>
#include <utility>
#if __has_include(<version>)
#include <version>
#endif
#ifdef __cpp_lib_span
#include <span>
#endif

namespace wtgram
{

#ifdef __cpp_lib_span

/// Refers to elements that lie one after the other. It does not own them.
template <class T> using span = std::span<T>;

#else

/// Refers to elements that lie one after the other, as std::span does. It does not own them.
template <class T> class span
{
  public:
    using element_type = T;
    using value_type = std::remove_cv_t<T>;
    using iterator = T *;

    constexpr span() noexcept = default;
    constexpr span(T *data, std::size_t size) noexcept : data_(data), size_(size) {}
    template <std::size_t N> constexpr span(T (&array)[N]) noexcept : data_(array), size_(N) {}
    /// Refers to a container: any object with data() and size() and elements of this type.
    template <class Container, class Pointer = decltype(std::declval<Container &>().data()),
              class = decltype(std::declval<Container &>().size()),
              class = std::enable_if_t<std::is_convertible_v<std::remove_pointer_t<Pointer> (*)[], T (*)[]>>>
    constexpr span(Container &&container) noexcept : data_(container.data()), size_(container.size())
    {
    }

    constexpr T *data() const noexcept { return data_; }
    constexpr std::size_t size() const noexcept { return size_; }
    constexpr bool empty() const noexcept { return size_ == 0; }
    constexpr T *begin() const noexcept { return data_; }
    constexpr T *end() const noexcept { return data_ + size_; }
    constexpr T &operator[](std::size_t i) const noexcept { return data_[i]; }
    constexpr span first(std::size_t count) const noexcept { return span(data_, count); }

  private:
    T *data_ = nullptr;
    std::size_t size_ = 0;
};

#endif

/// Bytes to read, for example a payload to send.
using bytes_view = span<const std::uint8_t>;
/// Bytes to write, for example a buffer for a received datagram.
using bytes_buffer = span<std::uint8_t>;

/// Converts bytes, for programs whose bytes are std::byte.
inline bytes_view as_bytes(span<const std::byte> data) noexcept
{
    return {reinterpret_cast<const std::uint8_t *>(data.data()), data.size()};
}
/// Converts a buffer, for programs whose bytes are std::byte.
inline bytes_buffer as_writable_bytes(span<std::byte> data) noexcept
{
    return {reinterpret_cast<std::uint8_t *>(data.data()), data.size()};
}

} // namespace wtgram

#endif
