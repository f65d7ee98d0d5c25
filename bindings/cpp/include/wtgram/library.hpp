/// @file
/// The library as a whole: version, options, log lines, shutdown.
#ifndef WTGRAM_LIBRARY_HPP
#define WTGRAM_LIBRARY_HPP

#include <wtgram/error.hpp>

#include <vector>

namespace wtgram
{

/// Version of the loaded library. The macros WTGRAM_VERSION_* are the version of the compiled header.
inline std::string_view version() noexcept { return wtgram_version(); }
/// The same as a number: `major << 16 | minor << 8 | patch`.
inline std::uint32_t version_number() noexcept { return wtgram_version_number(); }

/// Whether the loaded library fits the compiled header. Before 1.0, major and minor version must be equal.
inline bool version_matches() noexcept
{
    return wtgram_version_number() >> 8 == (WTGRAM_VERSION_MAJOR << 8 | WTGRAM_VERSION_MINOR);
}

/// How the system schedules lanes (sched(7)). Real-time scheduling needs a privilege; without it a lane does not start.
enum class scheduling : std::uint32_t {
    inherited = WTGRAM_SCHEDULING_INHERITED, ///< As the thread that starts the lane. The default.
    fifo = WTGRAM_SCHEDULING_FIFO, ///< `SCHED_FIFO`.
    round_robin = WTGRAM_SCHEDULING_ROUND_ROBIN, ///< `SCHED_RR`.
};

/// Options of the library; see wtgram_runtime_options.
struct runtime_options {
    std::uint32_t lanes = 1; ///< The most lanes, the threads that run the protocol: 1 to 256.
    bool lead = true; ///< Whether a thread that waits in a call does the work of its lane meanwhile.
    duration spin{30}; ///< How long a waiting thread polls for packets before it sleeps: 0 to 1 ms.
    std::vector<std::uint32_t> lane_cpus{}; ///< CPUs of the lanes, dealt out in turn; none leaves it to the system.
    wtgram::scheduling lane_scheduling = wtgram::scheduling::inherited; ///< How the system schedules lanes.
    std::uint32_t lane_priority = 0; ///< Priority for real-time scheduling: 1 to 99.
};

/// Sets the options of the library. Call it before the first server or session, otherwise it fails with
/// errc::invalid_state.
[[nodiscard]] inline expected<void> try_configure_runtime(const runtime_options &options) noexcept
{
    wtgram_runtime_options raw;
    wtgram_runtime_options_init(&raw);
    raw.lanes = options.lanes;
    raw.lead = options.lead ? 1 : 0;
    raw.spin_us = options.spin.count();
    raw.lane_cpus = options.lane_cpus.data();
    raw.lane_cpus_count = options.lane_cpus.size();
    raw.lane_scheduling = static_cast<std::uint32_t>(options.lane_scheduling);
    raw.lane_priority = options.lane_priority;
    return detail::result(wtgram_runtime_configure(&raw));
}
/// Like try_configure_runtime, but throws.
inline void configure_runtime(const runtime_options &options) { detail::unwrap(try_configure_runtime(options)); }

/// Severity of a log line.
enum class log_level : std::int32_t {
    off = WTGRAM_LOG_OFF, ///< No log lines.
    error = WTGRAM_LOG_ERROR, ///< Something failed.
    warn = WTGRAM_LOG_WARN, ///< Something is suspicious.
    info = WTGRAM_LOG_INFO, ///< Rare events of general interest.
    debug = WTGRAM_LOG_DEBUG, ///< Details for finding the cause of a problem.
    trace = WTGRAM_LOG_TRACE, ///< Every packet.
};

/// Sends log lines up to a level to a callback; nullptr ends logging. The callback runs on a thread of the library and
/// must not throw.
[[nodiscard]] inline expected<void> try_configure_log(log_level level, wtgram_log_callback callback,
                                                      void *context = nullptr) noexcept
{
    return detail::result(wtgram_log_configure(static_cast<std::int32_t>(level), callback, context));
}
/// Like try_configure_log, but throws.
inline void configure_log(log_level level, wtgram_log_callback callback, void *context = nullptr)
{
    detail::unwrap(try_configure_log(level, callback, context));
}

/// Closes all servers and sessions with code 0, waits until the peers are notified, and ends the threads of the
/// library. Every later call fails with errc::closed. If some close messages do not leave in time, it fails with
/// errc::timed_out, but all is closed. Do not call it from a callback.
inline expected<void> shutdown_for(duration timeout) noexcept
{
    return detail::result(wtgram_shutdown(timeout.count()));
}
/// Like shutdown_for, but throws.
inline void shutdown(duration timeout) { detail::unwrap(shutdown_for(timeout)); }

} // namespace wtgram

#endif
