// Statuses as std::error_code, the exception, and wtgram::expected.
//
// Each function that can fail has two forms. The plain one throws wtgram::error. The other one (try_x, x_for, or with
// std::nothrow) is noexcept and returns expected<T>, which must not be ignored except by functions that close, remove
// or wake. In a program compiled with -fno-exceptions, a throwing form that fails writes the error to stderr and calls
// std::abort(); use the other forms there.
#ifndef WTGRAM_ERROR_HPP
#define WTGRAM_ERROR_HPP

#include <wtgram.h>

#include <chrono>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <optional>
#include <string>
#include <string_view>
#include <system_error>
#include <type_traits>
#include <utility>
#include <variant>
#if __has_include(<version>)
#include <version>
#endif
#ifdef __cpp_lib_expected
#include <expected>
#endif

namespace wtgram
{

enum class errc {
    invalid_handle = WTGRAM_ERROR_INVALID_HANDLE,
    invalid_argument = WTGRAM_ERROR_INVALID_ARGUMENT,
    timed_out = WTGRAM_ERROR_TIMED_OUT,
    would_block = WTGRAM_ERROR_WOULD_BLOCK,
    closed = WTGRAM_ERROR_CLOSED,
    too_large = WTGRAM_ERROR_TOO_LARGE,
    unsupported = WTGRAM_ERROR_UNSUPPORTED,
    buffer_too_small = WTGRAM_ERROR_BUFFER_TOO_SMALL,
    queue_full = WTGRAM_ERROR_QUEUE_FULL,
    limit_reached = WTGRAM_ERROR_LIMIT_REACHED,
    invalid_state = WTGRAM_ERROR_INVALID_STATE,
    forked = WTGRAM_ERROR_FORKED,
    internal = WTGRAM_ERROR_INTERNAL,
    io = WTGRAM_ERROR_IO,
    invalid_url = WTGRAM_ERROR_INVALID_URL,
    name_not_resolved = WTGRAM_ERROR_NAME_NOT_RESOLVED,
    connect_timeout = WTGRAM_ERROR_CONNECT_TIMEOUT,
    connection_refused = WTGRAM_ERROR_CONNECTION_REFUSED,
    certificate_untrusted = WTGRAM_ERROR_CERTIFICATE_UNTRUSTED,
    certificate_expired = WTGRAM_ERROR_CERTIFICATE_EXPIRED,
    certificate_name_mismatch = WTGRAM_ERROR_CERTIFICATE_NAME_MISMATCH,
    certificate_hash_mismatch = WTGRAM_ERROR_CERTIFICATE_HASH_MISMATCH,
    tls = WTGRAM_ERROR_TLS,
    rejected = WTGRAM_ERROR_REJECTED,
    protocol = WTGRAM_ERROR_PROTOCOL,
    identity = WTGRAM_ERROR_IDENTITY,
    key_mismatch = WTGRAM_ERROR_KEY_MISMATCH,
    serialization = WTGRAM_ERROR_SERIALIZATION,
    unknown_type = WTGRAM_ERROR_UNKNOWN_TYPE,
    deserialization = WTGRAM_ERROR_DESERIALIZATION,
    truncated = WTGRAM_ERROR_TRUNCATED,
};

/// The category "wtgram". Its codes compare equal to std::errc values of the same meaning: `code ==
/// std::errc::timed_out`.
class error_category_type : public std::error_category
{
  public:
    const char *name() const noexcept override { return "wtgram"; }
    std::string message(int status) const override { return wtgram_status_message(status); }
    std::error_condition default_error_condition(int status) const noexcept override
    {
        switch (static_cast<errc>(status)) {
        case errc::invalid_argument: return std::errc::invalid_argument;
        case errc::timed_out:
        case errc::connect_timeout: return std::errc::timed_out;
        case errc::would_block: return std::errc::operation_would_block;
        case errc::closed: return std::errc::not_connected;
        case errc::too_large: return std::errc::message_size;
        case errc::unsupported: return std::errc::operation_not_supported;
        case errc::queue_full: return std::errc::no_buffer_space;
        case errc::connection_refused: return std::errc::connection_refused;
        case errc::io: return std::errc::io_error;
        default: return {status, *this};
        }
    }
};

inline const std::error_category &error_category() noexcept
{
    static const error_category_type category;
    return category;
}

inline std::error_code make_error_code(errc code) noexcept { return {static_cast<int>(code), error_category()}; }

} // namespace wtgram

/// @cond
template <> struct std::is_error_code_enum<wtgram::errc> : std::true_type {
};
/// @endcond

namespace wtgram
{

/// what() returns the detail, or the message of the status; code() returns the status.
class error : public std::system_error
{
  public:
    explicit error(std::error_code code) : std::system_error(code) {}
    error(std::error_code code, const char *detail) : std::system_error(code, detail) {}
    wtgram_status status() const noexcept { return static_cast<wtgram_status>(code().value()); }
};

/// Buffer for the explanation of a failed connect or listen. It is on the caller's stack, so a failure allocates
/// nothing.
class detail_text
{
  public:
    std::string_view view() const noexcept { return text_; }
    const char *c_str() const noexcept { return text_; }
    char *data() noexcept { return text_; }
    static constexpr std::size_t capacity = 256;

  private:
    char text_[capacity] = "";
};

namespace detail
{

inline std::error_code code_of(wtgram_status status) noexcept { return {static_cast<int>(status), error_category()}; }

[[noreturn]] inline void raise(std::error_code code, const char *text = "")
{
#if defined(__cpp_exceptions)
    if (*text == '\0') throw error(code);
    throw error(code, text);
#else
    std::fprintf(stderr, "wtgram: %s %s\n", wtgram_status_message(code.value()), text);
    std::abort();
#endif
}

} // namespace detail

#ifdef __cpp_lib_expected

/// value() of a failure throws std::bad_expected_access<std::error_code>, as the standard says.
template <class T> using expected = std::expected<T, std::error_code>;
using unexpected = std::unexpected<std::error_code>;

#else

class unexpected
{
  public:
    explicit unexpected(std::error_code code) noexcept : code_(code) {}
    const std::error_code &error() const noexcept { return code_; }

  private:
    std::error_code code_;
};

/// The part of std::expected<T, std::error_code> that this binding needs; value() of a failure throws wtgram::error.
template <class T> class expected
{
  public:
    using value_type = T;
    using error_type = std::error_code;

    expected(T value) noexcept(std::is_nothrow_move_constructible_v<T>)
        : state_(std::in_place_index<0>, std::move(value))
    {
    }
    expected(const unexpected &failure) noexcept : state_(std::in_place_index<1>, failure.error()) {}

    bool has_value() const noexcept { return state_.index() == 0; }
    explicit operator bool() const noexcept { return has_value(); }
    T &operator*() &noexcept { return *std::get_if<0>(&state_); }
    const T &operator*() const &noexcept { return *std::get_if<0>(&state_); }
    T &&operator*() &&noexcept { return std::move(*std::get_if<0>(&state_)); }
    T *operator->() noexcept { return std::get_if<0>(&state_); }
    const T *operator->() const noexcept { return std::get_if<0>(&state_); }
    const std::error_code &error() const noexcept { return *std::get_if<1>(&state_); }
    T &value() & { return check(), **this; }
    const T &value() const & { return check(), **this; }
    T &&value() && { return check(), std::move(**this); }
    template <class U> T value_or(U &&other) const & { return has_value() ? **this : T(std::forward<U>(other)); }

  private:
    void check() const
    {
        if (!has_value()) detail::raise(error());
    }
    std::variant<T, std::error_code> state_;
};

template <> class expected<void>
{
  public:
    using value_type = void;
    using error_type = std::error_code;

    expected() noexcept = default;
    expected(const unexpected &failure) noexcept : error_(failure.error()) {}

    bool has_value() const noexcept { return !error_; }
    explicit operator bool() const noexcept { return has_value(); }
    const std::error_code &error() const noexcept { return *error_; }
    void value() const
    {
        if (error_) detail::raise(*error_);
    }

  private:
    std::optional<std::error_code> error_; // a std::error_code for success would have to be asked for its category
};

#endif

/// All durations are whole microseconds; milliseconds and seconds convert implicitly.
using duration = std::chrono::microseconds;
inline constexpr duration forever{WTGRAM_FOREVER};
/// Unix time in microseconds in C.
using time_point = std::chrono::time_point<std::chrono::system_clock, duration>;

namespace detail
{

inline expected<void> result(wtgram_status status) noexcept
{
    if (status != WTGRAM_OK) return unexpected(code_of(status));
    return {};
}

template <class T> expected<T> result(wtgram_status status, T value) noexcept
{
    if (status != WTGRAM_OK) return unexpected(code_of(status));
    return expected<T>(std::move(value));
}

/// Turns the result of a form that returns into that of the throwing form.
template <class T> T unwrap(expected<T> &&outcome, const char *text = "")
{
    if (!outcome) raise(outcome.error(), text);
    if constexpr (!std::is_void_v<T>) return *std::move(outcome);
}

/// Reads a text of the C interface: first into a buffer on the stack, and a second time only if it is longer, with
/// space for a text that grows meanwhile.
template <class Read> [[nodiscard]] expected<std::string> try_read_text(Read read) noexcept
{
    char buffer[256];
    std::size_t length = 0;
    wtgram_status status = read(buffer, sizeof buffer, &length);
    if (status == WTGRAM_OK) return std::string(buffer, length);
    std::string text;
    while (status == WTGRAM_ERROR_BUFFER_TOO_SMALL) {
        text.resize(length + length / 8 + 1);
        status = read(&text[0], text.size(), &length);
        if (status == WTGRAM_OK) text.resize(length);
    }
    return result(status, std::move(text));
}
template <class Read> std::string read_text(Read read) { return unwrap(try_read_text(read)); }

/// The rest of a timeout after a first attempt; WTGRAM_FOREVER and 0 stay as they are.
class time_left
{
  public:
    explicit time_left(duration timeout) noexcept : timeout_(timeout), start_(std::chrono::steady_clock::now()) {}
    std::int64_t us() const noexcept
    {
        if (timeout_ <= duration::zero()) return timeout_.count();
        const auto gone = std::chrono::duration_cast<duration>(std::chrono::steady_clock::now() - start_);
        return gone < timeout_ ? (timeout_ - gone).count() : 1; // not 0: that would be WOULD_BLOCK, not TIMED_OUT
    }

  private:
    duration timeout_;
    std::chrono::steady_clock::time_point start_;
};

inline time_point time_of(std::int64_t unix_us) noexcept { return time_point(duration(unix_us)); }

} // namespace detail
} // namespace wtgram

#endif
