/// @file
/// Why an attempt to connect failed, and whether to try again.
#ifndef WTGRAM_CONNECT_FAILURE_HPP
#define WTGRAM_CONNECT_FAILURE_HPP

#include <wtgram/error.hpp>

namespace wtgram
{

/// Why an attempt to connect failed, and whether to try again.
class connect_failure
{
  public:
    connect_failure() noexcept { wtgram_connect_failure_init(&c_); }
    /// The error of the attempt.
    std::error_code code() const noexcept { return detail::code_of(static_cast<wtgram_status>(c_.status)); }
    /// HTTP status with which the server rejected the session; 0 if the attempt failed before it answered.
    std::uint32_t http_status() const noexcept { return c_.http_status; }
    /// Whether the same attempt may succeed later although nobody changes anything. docs/errors.md has a table.
    bool is_retryable() const noexcept { return c_.is_retryable != 0; }
    /// How long the server asks to wait until the next attempt (Retry-After); 0 if it does not say.
    duration retry_after() const noexcept { return duration(c_.retry_after_us); }
    /// The C struct.
    wtgram_connect_failure &raw() noexcept { return c_; }
    const wtgram_connect_failure &raw() const noexcept { return c_; }

  private:
    wtgram_connect_failure c_;
};

/// The exception of session::connect and session::wait_connected for an attempt that failed. (Arguments that cannot be
/// used give a plain error.)
class connect_error : public error
{
  public:
    connect_error(const connect_failure &failure, const char *detail) : error(failure.code(), detail), failure_(failure)
    {
    }
    /// Why the attempt failed, and whether to try again.
    const connect_failure &failure() const noexcept { return failure_; }

  private:
    connect_failure failure_;
};

} // namespace wtgram

#endif
