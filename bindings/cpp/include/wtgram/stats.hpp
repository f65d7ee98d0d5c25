/// @file
/// Statistics: the C structs, with their times as std::chrono types.
#ifndef WTGRAM_STATS_HPP
#define WTGRAM_STATS_HPP

#include <wtgram/error.hpp>

namespace wtgram
{

/// An average time, which has fractions of microseconds.
using average_duration = std::chrono::duration<double, std::micro>;

/// What QUIC measures on the connection of a session; wtgram_session_stats describes the fields.
struct session_stats : wtgram_session_stats {
    session_stats() noexcept { wtgram_session_stats_init(this); }
    duration rtt() const noexcept { return duration(rtt_us); }
    duration min_rtt() const noexcept { return duration(min_rtt_us); }
};

/// What a server has counted since it listens; wtgram_server_stats describes the fields.
struct server_stats : wtgram_server_stats {
    server_stats() noexcept { wtgram_server_stats_init(this); }
    /// Time from the first packet of a client to its session, summed over all sessions.
    duration handshake_time() const noexcept { return duration(handshake_time_us); }
    duration longest_handshake() const noexcept { return duration(longest_handshake_us); }
};

/// Statistics of a transport, as one snapshot; wtgram_transport_stats describes the fields.
struct transport_stats : wtgram_transport_stats {
    transport_stats() noexcept { wtgram_transport_stats_init(this); }
    time_point created_at() const noexcept { return detail::time_of(created_at_us); }
    duration total_send_time() const noexcept { return duration(total_send_time_us); }
    duration max_send_time() const noexcept { return duration(max_send_time_us); }
    average_duration avg_send_time() const noexcept { return average_duration(avg_send_time_us); }
    duration total_receive_time() const noexcept { return duration(total_receive_time_us); }
    duration max_receive_time() const noexcept { return duration(max_receive_time_us); }
    average_duration avg_receive_time() const noexcept { return average_duration(avg_receive_time_us); }
    /// Time since the last datagram arrived, or since the transport was created.
    duration silence() const noexcept { return duration(silence_us); }
    duration rtt() const noexcept { return duration(rtt_us); }
};

/// Statistics of a reliability layer, as one snapshot; wtgram_reliability_stats describes the fields.
struct reliability_stats : wtgram_reliability_stats {
    reliability_stats() noexcept { wtgram_reliability_stats_init(this); }
    duration rtt() const noexcept { return duration(rtt_us); }
    /// Retransmission timeout before backoff.
    duration rto() const noexcept { return duration(rto_us); }
};

/// Size and limits of both queues of a transport; wtgram_queue_stats describes the fields.
struct queue_stats : wtgram_queue_stats {
    queue_stats() noexcept { wtgram_queue_stats_init(this); }
};

/// Statistics of a broadcaster; wtgram_broadcaster_stats describes the fields.
struct broadcaster_stats : wtgram_broadcaster_stats {
    broadcaster_stats() noexcept { wtgram_broadcaster_stats_init(this); }
};

/// Statistics of a structured transport; wtgram_structured_stats describes the fields.
struct structured_stats : wtgram_structured_stats {
    structured_stats() noexcept { wtgram_structured_stats_init(this); }
};

/// Result of a throughput test; wtgram_throughput_report describes the fields.
struct throughput_report : wtgram_throughput_report {
    throughput_report() noexcept { wtgram_throughput_report_init(this); }
    explicit throughput_report(const wtgram_throughput_report &c) noexcept : wtgram_throughput_report(c) {}
    /// How long the test took.
    wtgram::duration duration() const noexcept { return wtgram::duration(duration_us); }
};

} // namespace wtgram

#endif
