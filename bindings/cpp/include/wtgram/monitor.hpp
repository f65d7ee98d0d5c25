/// @file
/// The monitor: takes samples of a transport and raises alerts. Also the figures of a transport for Prometheus.
#ifndef WTGRAM_MONITOR_HPP
#define WTGRAM_MONITOR_HPP

#include <algorithm>

#include <wtgram/handle.hpp>
#include <wtgram/transport.hpp>

namespace wtgram
{

/// Options of a monitor.
class monitor_options
{
  public:
    monitor_options() noexcept { wtgram_monitor_options_init(&c_); }
    /// Time between samples, at least 10 ms. Default 5 s.
    monitor_options &interval(duration value) noexcept { return c_.interval_us = value.count(), *this; }
    /// Number of samples kept, 1 to 65536. Default 100.
    monitor_options &max_samples(std::uint64_t count) noexcept { return c_.max_samples = count, *this; }
    /// Number of alerts kept, 1 to 65536. Default 50.
    monitor_options &max_alerts(std::uint64_t count) noexcept { return c_.max_alerts = count, *this; }
    /// Alert when the outgoing queue is above this part of its high-water mark, 0 to 1. Default 0.9.
    monitor_options &queue_size_threshold(double part) noexcept { return c_.queue_size_threshold = part, *this; }
    /// Alert when the send success rate is below this, 0 to 1. Default 0.8.
    monitor_options &success_rate_threshold(double part) noexcept { return c_.success_rate_threshold = part, *this; }
    /// Number of samples needed for a trend. Default 10.
    monitor_options &trend_window(std::uint64_t samples) noexcept { return c_.trend_window = samples, *this; }
    /// Alert when the round-trip time rises by at least this. Default 10 ms.
    monitor_options &rtt_rise(duration value) noexcept { return c_.rtt_rise_us = value.count(), *this; }
    /// Alert when the part of lost packets rises by at least this. Default 0.01.
    monitor_options &loss_rise(double part) noexcept { return c_.loss_rise = part, *this; }
    /// Alert when nothing arrived from the peer for this long; 0 for never. Default 15 s.
    monitor_options &silence(duration value) noexcept { return c_.silence_us = value.count(), *this; }
    /// The C struct.
    wtgram_monitor_options &raw() noexcept { return c_; }
    const wtgram_monitor_options &raw() const noexcept { return c_; }

  private:
    wtgram_monitor_options c_;
};

/// What an alert is about; wtgram_alert_kind also names the unit of its value.
enum class alert_kind : std::uint32_t {
    high_queue_size = WTGRAM_ALERT_HIGH_QUEUE_SIZE, ///< The outgoing queue is above queue_size_threshold.
    low_success_rate = WTGRAM_ALERT_LOW_SUCCESS_RATE, ///< The send success rate is below success_rate_threshold.
    increasing_send_time = WTGRAM_ALERT_INCREASING_SEND_TIME, ///< The mean time of a send call increases.
    evictions = WTGRAM_ALERT_EVICTIONS, ///< Outgoing datagrams were evicted since the previous sample.
    expiries = WTGRAM_ALERT_EXPIRIES, ///< Outgoing datagrams expired since the previous sample.
    inbound_drops = WTGRAM_ALERT_INBOUND_DROPS, ///< Incoming datagrams were dropped since the previous sample.
    rtt_rise = WTGRAM_ALERT_RTT_RISE, ///< The round-trip time increases.
    loss_rise = WTGRAM_ALERT_LOSS_RISE, ///< The loss increases.
    silent_peer = WTGRAM_ALERT_SILENT_PEER, ///< Nothing arrived from the peer, not even acknowledgements.
};

/// A sample of a transport: its figures at one time. Counters are totals since the transport was created; wtgram_sample
/// describes the fields. An array of these is an array of the C struct.
struct sample : wtgram_sample {
    /// Time of the sample.
    time_point taken() const noexcept { return detail::time_of(timestamp_us); }
    duration rtt() const noexcept { return duration(rtt_us); }
    /// Time since anything arrived from the peer.
    duration silence() const noexcept { return duration(silence_us); }
};
static_assert(sizeof(sample) == sizeof(wtgram_sample) && std::is_standard_layout_v<sample>);

/// An alert: a condition started or ended. An array of these is an array of the C struct.
struct alert : wtgram_alert {
    /// What the alert is about.
    alert_kind what() const noexcept { return static_cast<alert_kind>(kind); }
    /// Whether the condition started; otherwise it ended.
    bool has_begun() const noexcept { return began != 0; }
    /// Time of the sample that raised the alert.
    time_point taken() const noexcept { return detail::time_of(timestamp_us); }
    /// The alert as an English sentence.
    std::string_view text() const noexcept { return message; }
};
static_assert(sizeof(alert) == sizeof(wtgram_alert) && std::is_standard_layout_v<alert>);

/// Takes a sample of a transport at regular intervals and raises alerts.
///
/// Read samples() and alerts() when you want, or wait for the next alert. A monitor closes with its transport; samples
/// and alerts can still be read then. A transport can have several monitors.
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

    /// Copies the newest samples into `room`, oldest first, and returns the filled part. They stay in the monitor, so
    /// you can also read them after its end.
    span<sample> samples(span<sample> room) const { return detail::unwrap(try_samples(room)); }
    [[nodiscard]] expected<span<sample>> try_samples(span<sample> room) const noexcept
    {
        std::size_t count = 0;
        const wtgram_status status = wtgram_monitor_get_samples(handle_, room.data(), room.size(), &count);
        return detail::result(status, room.first(std::min(count, room.size())));
    }
    /// Copies the newest alerts into `room`, oldest first, whether they were fetched or not, and returns the filled
    /// part.
    span<alert> alerts(span<alert> room) const { return detail::unwrap(try_alerts(room)); }
    [[nodiscard]] expected<span<alert>> try_alerts(span<alert> room) const noexcept
    {
        std::size_t count = 0;
        const wtgram_status status = wtgram_monitor_get_alerts(handle_, room.data(), room.size(), &count);
        return detail::result(status, room.first(std::min(count, room.size())));
    }
    /// Waits for the next alert that was not fetched. At most monitor_options::max_alerts wait to be fetched; then the
    /// oldest is dropped and counted in `missed` of the next one. Several threads may wait; each alert goes to one of
    /// them.
    alert next_alert(duration timeout = forever) const { return detail::unwrap(next_alert_for(timeout)); }
    [[nodiscard]] expected<alert> try_next_alert() const noexcept { return next_alert_for(duration::zero()); }
    [[nodiscard]] expected<alert> next_alert_for(duration timeout) const noexcept
    {
        alert news{};
        const wtgram_status status = wtgram_monitor_next_alert(handle_, timeout.count(), &news);
        return detail::result(status, news);
    }
    /// Stops taking samples. You can still read samples and alerts.
    void close() const { detail::unwrap(try_close()); }
    expected<void> try_close() const noexcept { return detail::result(wtgram_monitor_close(handle_)); }
};

/// The figures of a transport and its connection as OpenMetrics 1.0 text, for Prometheus. Needs no monitor.
[[nodiscard]] inline expected<std::string> try_prometheus(const transport &transport) noexcept
{
    return detail::try_read_text([&](char *buffer, std::size_t capacity, std::size_t *length) {
        return wtgram_transport_get_prometheus(transport.handle(), buffer, capacity, length);
    });
}
/// The sums over all transports that the process has and had, as OpenMetrics 1.0 text.
[[nodiscard]] inline expected<std::string> try_prometheus() noexcept
{
    return detail::try_read_text(wtgram_process_get_prometheus);
}
/// Like try_prometheus, but throws.
inline std::string prometheus(const transport &transport) { return detail::unwrap(try_prometheus(transport)); }
/// Like try_prometheus, but throws.
inline std::string prometheus() { return detail::unwrap(try_prometheus()); }

} // namespace wtgram

#endif
