/// @file
/// Errors: statuses as std::error_code, the exception wtgram::error, and wtgram::expected.
///
/// Each function that can fail has two kinds of forms. The plain form throws wtgram::error. The other forms (`try_x`,
/// `x_for`, or with std::nothrow) are noexcept and return an expected. The compiler warns if you ignore it, except for
/// functions that close, remove or wake. In a program compiled with -fno-exceptions, a throwing form that fails writes
/// the error to stderr and calls std::abort(); use the other forms there.
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

/// Errors of the library. docs/errors.md says for each when it occurs and what to do.
enum class errc {
    invalid_handle = WTGRAM_ERROR_INVALID_HANDLE, ///< The handle is zero, freed, or of another type.
    invalid_argument = WTGRAM_ERROR_INVALID_ARGUMENT, ///< An argument is not one that the function accepts.
    timed_out = WTGRAM_ERROR_TIMED_OUT, ///< The timeout of a wait elapsed. Nothing was lost.
    would_block = WTGRAM_ERROR_WOULD_BLOCK, ///< The call would have to wait, but its timeout is 0 or it is a try_ form.
    closed = WTGRAM_ERROR_CLOSED, ///< The object, the object below it, or the library is closed.
    too_large = WTGRAM_ERROR_TOO_LARGE, ///< The datagram is larger than the path, the peer or the object allows.
    unsupported = WTGRAM_ERROR_UNSUPPORTED, ///< The peer does not accept datagrams.
    buffer_too_small = WTGRAM_ERROR_BUFFER_TOO_SMALL, ///< The buffer is too small. Nothing is lost.
    queue_full = WTGRAM_ERROR_QUEUE_FULL, ///< The queue is full and its policy is to reject.
    /// There are too many objects, or too many outcomes that were not fetched.
    limit_reached = WTGRAM_ERROR_LIMIT_REACHED,
    invalid_state = WTGRAM_ERROR_INVALID_STATE, ///< The object is in a state that does not allow the call.
    forked = WTGRAM_ERROR_FORKED, ///< The process was forked after the library started. The child cannot use it.
    internal = WTGRAM_ERROR_INTERNAL, ///< A bug in the library. The library goes on; please report it.
    io = WTGRAM_ERROR_IO, ///< The operating system refused a request.
    invalid_url = WTGRAM_ERROR_INVALID_URL, ///< The URL cannot be used.
    name_not_resolved = WTGRAM_ERROR_NAME_NOT_RESOLVED, ///< The host name did not resolve.
    connect_timeout = WTGRAM_ERROR_CONNECT_TIMEOUT, ///< No session within the deadline, also if no server listens.
    connection_refused = WTGRAM_ERROR_CONNECTION_REFUSED, ///< The server refused the QUIC connection.
    certificate_untrusted = WTGRAM_ERROR_CERTIFICATE_UNTRUSTED, ///< No trusted authority signed it.
    /// The certificate is expired or not yet valid, or, if trusted by hash, valid for too long.
    certificate_expired = WTGRAM_ERROR_CERTIFICATE_EXPIRED,
    certificate_name_mismatch = WTGRAM_ERROR_CERTIFICATE_NAME_MISMATCH, ///< It is for another name.
    certificate_hash_mismatch = WTGRAM_ERROR_CERTIFICATE_HASH_MISMATCH, ///< It has none of the hashes.
    tls = WTGRAM_ERROR_TLS, ///< The TLS handshake failed for another reason.
    /// The server answered with an HTTP status other than 2xx. The detail text contains it.
    rejected = WTGRAM_ERROR_REJECTED,
    protocol = WTGRAM_ERROR_PROTOCOL, ///< The peer does not speak WebTransport over HTTP/3, or violates it.
    identity = WTGRAM_ERROR_IDENTITY, ///< A certificate, key or PEM source cannot be used.
    key_mismatch = WTGRAM_ERROR_KEY_MISMATCH, ///< Certificate and private key do not match.
    client_certificate = WTGRAM_ERROR_CLIENT_CERTIFICATE, ///< The server wants a client certificate, or another one.
    /// The text is not acceptable JSON, or the object cannot be serialized.
    serialization = WTGRAM_ERROR_SERIALIZATION,
    unknown_type = WTGRAM_ERROR_UNKNOWN_TYPE, ///< The type id is not registered.
    deserialization = WTGRAM_ERROR_DESERIALIZATION, ///< The object in a structured datagram cannot be decoded.
    truncated = WTGRAM_ERROR_TRUNCATED, ///< A structured datagram is too short for a type id.
};

/// The category "wtgram" of std::error_code. Its codes compare equal to std::errc values of the same meaning, for
/// example to std::errc::timed_out.
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

/// The only object of this category.
inline const std::error_category &error_category() noexcept
{
    static const error_category_type category;
    return category;
}

/// Makes a std::error_code of an error, so that `code == wtgram::errc::closed` works.
inline std::error_code make_error_code(errc code) noexcept { return {static_cast<int>(code), error_category()}; }

} // namespace wtgram

/// @cond
template <> struct std::is_error_code_enum<wtgram::errc> : std::true_type {
};
/// @endcond

namespace wtgram
{

/// The exception of the throwing forms. what() contains the detail, if there is one, and the message of the status;
/// code() returns the status.
class error : public std::system_error
{
  public:
    explicit error(std::error_code code) : std::system_error(code) {}
    error(std::error_code code, const char *detail) : std::system_error(code, detail) {}
    /// The status of the C interface.
    wtgram_status status() const noexcept { return static_cast<wtgram_status>(code().value()); }
};

/// Buffer for the explanation of a failed call, for example of connect or listen. It is on the caller's stack, so a
/// failure allocates nothing.
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

/// A value, or the std::error_code of a failure. value() of a failure throws
/// `std::bad_expected_access<std::error_code>`, as the standard says.
template <class T> using expected = std::expected<T, std::error_code>;
/// The std::error_code of a failure, for making an expected.
using unexpected = std::unexpected<std::error_code>;

#else

/// The std::error_code of a failure, for making an expected.
class unexpected
{
  public:
    explicit unexpected(std::error_code code) noexcept : code_(code) {}
    const std::error_code &error() const noexcept { return code_; }

  private:
    std::error_code code_;
};

/// A value, or the std::error_code of a failure: the part of std::expected that this interface needs. value() of a
/// failure throws wtgram::error.
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

/// Success, or the std::error_code of a failure.
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
    // optional, because a std::error_code for success would have to find its category
    std::optional<std::error_code> error_;
};

#endif

/// All durations are whole microseconds. Milliseconds and seconds convert implicitly.
using duration = std::chrono::microseconds;
/// A timeout that never elapses.
inline constexpr duration forever{WTGRAM_FOREVER};
/// A time of the system clock. In C it is Unix time in microseconds.
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

// Returns the value, or throws: makes the throwing form of the form that returns an expected.
template <class T> T unwrap(expected<T> &&outcome, const char *text = "")
{
    if (!outcome) raise(outcome.error(), text);
    if constexpr (!std::is_void_v<T>) return *std::move(outcome);
}

// Reads a text of the C interface. The first attempt uses a buffer on the stack. If the text is longer, the next
// attempts use a string with space for a text that grows meanwhile.
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

// The rest of a timeout after a first attempt. WTGRAM_FOREVER and 0 stay as they are.
class time_left
{
  public:
    explicit time_left(duration timeout) noexcept : timeout_(timeout), start_(std::chrono::steady_clock::now()) {}
    std::int64_t us() const noexcept
    {
        if (timeout_ <= duration::zero()) return timeout_.count();
        const auto gone = std::chrono::duration_cast<duration>(std::chrono::steady_clock::now() - start_);
        // not 0, which would give WOULD_BLOCK instead of TIMED_OUT
        return gone < timeout_ ? (timeout_ - gone).count() : 1;
    }

  private:
    duration timeout_;
    std::chrono::steady_clock::time_point start_;
};

inline time_point time_of(std::int64_t unix_us) noexcept { return time_point(duration(unix_us)); }

} // namespace detail
} // namespace wtgram

#endif
