// The library as a whole: version, options, log, shutdown.
#ifndef WTGRAM_LIBRARY_HPP
#define WTGRAM_LIBRARY_HPP

#include <wtgram/error.hpp>

namespace wtgram
{

/// Version of the loaded library; WTGRAM_VERSION_* are those of the compiled header.
inline std::string_view version() noexcept { return wtgram_version(); }
inline std::uint32_t version_number() noexcept { return wtgram_version_number(); }

/// Whether the loaded library fits the compiled header: before 1.0, major and minor version must be equal.
inline bool version_matches() noexcept
{
    return wtgram_version_number() >> 8 == (WTGRAM_VERSION_MAJOR << 8 | WTGRAM_VERSION_MINOR);
}

/// Options of the library; see wtgram_runtime_options.
struct runtime_options {
    std::uint32_t lanes = 1;
    bool lead = true;
    duration spin{30};
};

/// Call it before anything else, otherwise it fails with errc::invalid_state.
[[nodiscard]] inline expected<void> try_configure_runtime(const runtime_options &options) noexcept
{
    wtgram_runtime_options raw;
    wtgram_runtime_options_init(&raw);
    raw.lanes = options.lanes;
    raw.lead = options.lead ? 1 : 0;
    raw.spin_us = options.spin.count();
    return detail::result(wtgram_runtime_configure(&raw));
}
inline void configure_runtime(const runtime_options &options) { detail::unwrap(try_configure_runtime(options)); }

enum class log_level : std::int32_t {
    off = WTGRAM_LOG_OFF,
    error = WTGRAM_LOG_ERROR,
    warn = WTGRAM_LOG_WARN,
    info = WTGRAM_LOG_INFO,
    debug = WTGRAM_LOG_DEBUG,
    trace = WTGRAM_LOG_TRACE,
};

/// The callback runs on a thread of the library and must not throw; nullptr ends logging.
[[nodiscard]] inline expected<void> try_configure_log(log_level level, wtgram_log_callback callback,
                                                      void *context = nullptr) noexcept
{
    return detail::result(wtgram_log_configure(static_cast<std::int32_t>(level), callback, context));
}
inline void configure_log(log_level level, wtgram_log_callback callback, void *context = nullptr)
{
    detail::unwrap(try_configure_log(level, callback, context));
}

/// Closes everything and waits until peers were told; every later call fails with errc::closed.
inline expected<void> shutdown_for(duration timeout) noexcept
{
    return detail::result(wtgram_shutdown(timeout.count()));
}
inline void shutdown(duration timeout) { detail::unwrap(shutdown_for(timeout)); }

} // namespace wtgram

#endif
