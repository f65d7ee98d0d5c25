// Monitors a transport: samples, alerts, and the same figures for Prometheus.
#ifndef WTGRAM_MONITOR_HPP
#define WTGRAM_MONITOR_HPP

#include <algorithm>

#include <wtgram/handle.hpp>
#include <wtgram/transport.hpp>

namespace wtgram
{

class monitor_options
{
  public:
    monitor_options() noexcept { wtgram_monitor_options_init(&c_); }
    monitor_options &interval(duration value) noexcept { return c_.interval_us = value.count(), *this; }
    /// Number kept.
    monitor_options &max_samples(std::uint64_t count) noexcept { return c_.max_samples = count, *this; }
    monitor_options &max_alerts(std::uint64_t count) noexcept { return c_.max_alerts = count, *this; }
    /// Thresholds between 0 and 1: part of the high-water mark, and send success rate.
    monitor_options &queue_size_threshold(double part) noexcept { return c_.queue_size_threshold = part, *this; }
    monitor_options &success_rate_threshold(double part) noexcept { return c_.success_rate_threshold = part, *this; }
    /// Number of samples needed for a trend, and the smallest rises that alert.
    monitor_options &trend_window(std::uint64_t samples) noexcept { return c_.trend_window = samples, *this; }
    monitor_options &rtt_rise(duration value) noexcept { return c_.rtt_rise_us = value.count(), *this; }
    monitor_options &loss_rise(double part) noexcept { return c_.loss_rise = part, *this; }
    /// Alert when nothing arrived from the peer for this long; 0 for never.
    monitor_options &silence(duration value) noexcept { return c_.silence_us = value.count(), *this; }
    wtgram_monitor_options &raw() noexcept { return c_; }
    const wtgram_monitor_options &raw() const noexcept { return c_; }

  private:
    wtgram_monitor_options c_;
};

enum class alert_kind : std::uint32_t {
    high_queue_size = WTGRAM_ALERT_HIGH_QUEUE_SIZE,
    low_success_rate = WTGRAM_ALERT_LOW_SUCCESS_RATE,
    increasing_send_time = WTGRAM_ALERT_INCREASING_SEND_TIME,
    evictions = WTGRAM_ALERT_EVICTIONS,
    expiries = WTGRAM_ALERT_EXPIRIES,
    inbound_drops = WTGRAM_ALERT_INBOUND_DROPS,
    rtt_rise = WTGRAM_ALERT_RTT_RISE,
    loss_rise = WTGRAM_ALERT_LOSS_RISE,
    silent_peer = WTGRAM_ALERT_SILENT_PEER,
};

/// A sample of a transport. Arrays of samples and of alerts are arrays of the C structs.
struct sample : wtgram_sample {
    time_point taken() const noexcept { return detail::time_of(timestamp_us); }
    duration rtt() const noexcept { return duration(rtt_us); }
    duration silence() const noexcept { return duration(silence_us); }
};
static_assert(sizeof(sample) == sizeof(wtgram_sample) && std::is_standard_layout_v<sample>);

/// A condition started or ended.
struct alert : wtgram_alert {
    alert_kind what() const noexcept { return static_cast<alert_kind>(kind); }
    bool has_begun() const noexcept { return began != 0; }
    time_point taken() const noexcept { return detail::time_of(timestamp_us); }
    std::string_view text() const noexcept { return message; }
};
static_assert(sizeof(alert) == sizeof(wtgram_alert) && std::is_standard_layout_v<alert>);

class monitor : public owner<wtgram_monitor, wtgram_monitor_free>
{
  public:
    using owner::owner;

    /// Starts to take samples, the first one after one interval.
    [[nodiscard]] static monitor open(const transport &watched, const monitor_options &options = {})
    {
        return detail::unwrap(try_open(watched, options));
    }
    [[nodiscard]] static expected<monitor> try_open(const transport &watched,
                                                    const monitor_options &options = {}) noexcept
    {
        wtgram_monitor handle{};
        const wtgram_status status = wtgram_monitor_open(watched.handle(), &options.raw(), &handle);
        if (status != WTGRAM_OK) return unexpected(detail::code_of(status));
        return monitor(handle);
    }
    /// Whether it takes samples: neither it nor its transport is closed.
    bool is_monitoring() const { return detail::unwrap(try_is_monitoring()); }
    [[nodiscard]] expected<bool> try_is_monitoring() const noexcept
    {
        bool monitoring = false;
        const wtgram_status status = wtgram_monitor_is_monitoring(handle_, &monitoring);
        return detail::result(status, monitoring);
    }

    /// Copies the newest samples into `room`, oldest first, and returns the filled part. They stay in the monitor, also
    /// after its end.
    span<sample> samples(span<sample> room) const { return detail::unwrap(try_samples(room)); }
    [[nodiscard]] expected<span<sample>> try_samples(span<sample> room) const noexcept
    {
        std::size_t count = 0;
        const wtgram_status status = wtgram_monitor_get_samples(handle_, room.data(), room.size(), &count);
        return detail::result(status, room.first(std::min(count, room.size())));
    }
    span<alert> alerts(span<alert> room) const { return detail::unwrap(try_alerts(room)); }
    [[nodiscard]] expected<span<alert>> try_alerts(span<alert> room) const noexcept
    {
        std::size_t count = 0;
        const wtgram_status status = wtgram_monitor_get_alerts(handle_, room.data(), room.size(), &count);
        return detail::result(status, room.first(std::min(count, room.size())));
    }
    /// Waits for the next alert that was not fetched.
    alert next_alert(duration timeout = forever) const { return detail::unwrap(next_alert_for(timeout)); }
    [[nodiscard]] expected<alert> try_next_alert() const noexcept { return next_alert_for(duration::zero()); }
    [[nodiscard]] expected<alert> next_alert_for(duration timeout) const noexcept
    {
        alert news{};
        const wtgram_status status = wtgram_monitor_next_alert(handle_, timeout.count(), &news);
        return detail::result(status, news);
    }
    /// Stops taking samples; samples and alerts can still be read.
    void close() const { detail::unwrap(try_close()); }
    expected<void> try_close() const noexcept { return detail::result(wtgram_monitor_close(handle_)); }
};

/// OpenMetrics 1.0 text of one transport, and of the whole process.
[[nodiscard]] inline expected<std::string> try_prometheus(const transport &transport) noexcept
{
    return detail::try_read_text([&](char *buffer, std::size_t capacity, std::size_t *length) {
        return wtgram_transport_get_prometheus(transport.handle(), buffer, capacity, length);
    });
}
[[nodiscard]] inline expected<std::string> try_prometheus() noexcept
{
    return detail::try_read_text(wtgram_process_get_prometheus);
}
inline std::string prometheus(const transport &transport) { return detail::unwrap(try_prometheus(transport)); }
inline std::string prometheus() { return detail::unwrap(try_prometheus()); }

} // namespace wtgram

#endif
