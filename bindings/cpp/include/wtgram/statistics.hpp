// The C structs of figures, with what is time in them as std::chrono has it.
#ifndef WTGRAM_STATISTICS_HPP
#define WTGRAM_STATISTICS_HPP

#include <wtgram/error.hpp>

namespace wtgram
{

// Averages have fractions of a microsecond.
using average_duration = std::chrono::duration<double, std::micro>;

struct session_statistics : wtgram_session_statistics {
    session_statistics() noexcept { wtgram_session_statistics_init(this); }
    duration rtt() const noexcept { return duration(rtt_us); }
    duration min_rtt() const noexcept { return duration(min_rtt_us); }
};

struct transport_statistics : wtgram_transport_statistics {
    transport_statistics() noexcept { wtgram_transport_statistics_init(this); }
    time_point created_at() const noexcept { return detail::time_of(created_at_us); }
    duration total_send_time() const noexcept { return duration(total_send_time_us); }
    duration max_send_time() const noexcept { return duration(max_send_time_us); }
    average_duration avg_send_time() const noexcept { return average_duration(avg_send_time_us); }
    duration total_receive_time() const noexcept { return duration(total_receive_time_us); }
    duration max_receive_time() const noexcept { return duration(max_receive_time_us); }
    average_duration avg_receive_time() const noexcept { return average_duration(avg_receive_time_us); }
    // Since the last datagram arrived.
    duration silence() const noexcept { return duration(silence_us); }
    duration rtt() const noexcept { return duration(rtt_us); }
};

struct reliability_statistics : wtgram_reliability_statistics {
    reliability_statistics() noexcept { wtgram_reliability_statistics_init(this); }
    duration rtt() const noexcept { return duration(rtt_us); }
    duration rto() const noexcept { return duration(rto_us); }
};

struct throughput_report : wtgram_throughput_report {
    throughput_report() noexcept { wtgram_throughput_report_init(this); }
    explicit throughput_report(const wtgram_throughput_report &c) noexcept : wtgram_throughput_report(c) {}
    wtgram::duration duration() const noexcept { return wtgram::duration(duration_us); }
};

} // namespace wtgram

#endif
