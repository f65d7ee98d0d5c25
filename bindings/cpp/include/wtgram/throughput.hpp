/// @file
/// The throughput test: measures how many datagrams the path to the peer carries.
#ifndef WTGRAM_THROUGHPUT_HPP
#define WTGRAM_THROUGHPUT_HPP

#include <wtgram/transport.hpp>

namespace wtgram
{

/// Options of a throughput test.
class throughput_options
{
  public:
    throughput_options() noexcept { wtgram_throughput_options_init(&c_); }
    /// How long to send; at most a day. Default 10 s.
    throughput_options &duration(wtgram::duration value) noexcept { return c_.duration_us = value.count(), *this; }
    /// Payload bytes of each datagram. Default 1000.
    throughput_options &datagram_size(std::uint64_t bytes) noexcept { return c_.datagram_size = bytes, *this; }
    /// Priority and TTL of each datagram. Timeout and report id are ignored.
    throughput_options &send(const send_options &options) noexcept { return send_ = options, *this; }
    /// Time between two calls of the progress callback. Default 1 s.
    throughput_options &progress_interval(wtgram::duration value) noexcept
    {
        return c_.progress_interval_us = value.count(), *this;
    }
    /// The C struct. Its `send` points into this object.
    wtgram_throughput_options to_c() const noexcept
    {
        wtgram_throughput_options c = c_;
        c.send = detail::pointer_to(send_);
        return c;
    }

  private:
    wtgram_throughput_options c_;
    std::optional<send_options> send_;
};

/// Sends as many datagrams as the path carries, for the duration of the options, and returns the result. The peer
/// receives them like any others. The test waits for space whatever the transport's policy is, so it evicts nothing.
/// With std::nothrow it returns the error.
[[nodiscard]] inline expected<throughput_report> throughput_test(std::nothrow_t, const transport &transport,
                                                                 const throughput_options &options = {}) noexcept
{
    const wtgram_throughput_options c = options.to_c();
    throughput_report report;
    const wtgram_status status = wtgram_transport_throughput_test(transport.handle(), &c, &report);
    return detail::result(status, report);
}
/// The same, but throws.
inline throughput_report throughput_test(const transport &transport, const throughput_options &options = {})
{
    return detail::unwrap(throughput_test(std::nothrow, transport, options));
}

/// The same with a callback: `progress(report)` returns whether to go on. It runs on a thread of the library while this
/// call waits, and must not throw.
template <class Progress>
[[nodiscard]] expected<throughput_report> throughput_test(std::nothrow_t, const transport &transport,
                                                          const throughput_options &options,
                                                          Progress &&progress) noexcept
{
    using callable = std::remove_reference_t<Progress>;
    static_assert(std::is_invocable_r_v<bool, callable &, const throughput_report &>,
                  "progress takes a const wtgram::throughput_report & and returns whether to go on");
    wtgram_throughput_options c = options.to_c();
    callable *const pointer = &progress;
    c.context = const_cast<void *>(static_cast<const volatile void *>(&pointer));
    c.progress = [](void *context, const wtgram_throughput_report *report) noexcept -> bool {
        return (**static_cast<callable *const *>(context))(throughput_report(*report));
    };
    throughput_report report;
    const wtgram_status status = wtgram_transport_throughput_test(transport.handle(), &c, &report);
    return detail::result(status, report);
}
/// The same with a callback, but throws.
template <class Progress>
throughput_report throughput_test(const transport &transport, const throughput_options &options, Progress &&progress)
{
    return detail::unwrap(throughput_test(std::nothrow, transport, options, progress));
}

} // namespace wtgram

#endif
