/// @file
/// The broadcaster: sends one datagram to many members.
#ifndef WTGRAM_BROADCASTER_HPP
#define WTGRAM_BROADCASTER_HPP

#include <wtgram/reliability.hpp>

namespace wtgram
{

/// What happens to a member that does not keep up: it misses the datagrams for which its queue has no space (the
/// default), or it is removed after several drops in a row.
enum class slow_policy : std::uint32_t { drop = WTGRAM_SLOW_DROP, remove = WTGRAM_SLOW_REMOVE };

/// Options of a broadcaster.
class broadcaster_options
{
  public:
    broadcaster_options() noexcept { wtgram_broadcaster_options_init(&c_); }
    /// Sets the policy for slow members.
    broadcaster_options &when_slow(slow_policy policy) noexcept
    {
        return c_.slow_policy = static_cast<std::uint32_t>(policy), *this;
    }
    /// The same with the number of drops in a row, at least 1, for slow_policy::remove. Default 10.
    broadcaster_options &when_slow(slow_policy policy, std::uint32_t limit) noexcept
    {
        return c_.slow_limit = limit, when_slow(policy);
    }
    /// The C struct.
    wtgram_broadcaster_options &raw() noexcept { return c_; }
    const wtgram_broadcaster_options &raw() const noexcept { return c_; }

  private:
    wtgram_broadcaster_options c_;
};

/// Result of a broadcast for the member whose id() is `member`. An array of these is an array of the C struct.
struct broadcast_result : wtgram_broadcast_result {
    /// Why the datagram was not queued; no error if it was.
    std::error_code error() const noexcept
    {
        return status == WTGRAM_OK ? std::error_code() : detail::code_of(static_cast<wtgram_status>(status));
    }
    /// Whether it is no longer a member: it was closed, or too slow for too long.
    bool was_removed() const noexcept { return removed != 0; }
};
static_assert(sizeof(broadcast_result) == sizeof(wtgram_broadcast_result) &&
              std::is_standard_layout_v<broadcast_result>);

/// Result of a broadcast.
struct broadcast_outcome {
    std::size_t accepted; ///< Number of members that queued the datagram.
    span<broadcast_result> results; ///< The filled part of the array that you gave.
    std::size_t members; ///< Number of members.
};

/// Sends one datagram to many members: transports, sessions or reliability layers. It does not own its members.
///
/// A broadcast queues the datagram for each member and waits for none, so a slow member does not hold up the others.
/// Members that close leave by themselves. Threads may broadcast while others add and remove members. No call waits:
/// the plain forms throw, the try_ forms return an expected.
class broadcaster : public owner<wtgram_broadcaster, wtgram_broadcaster_free>
{
  public:
    using owner::owner;

    /// Makes a broadcaster without members.
    [[nodiscard]] static broadcaster make(const broadcaster_options &options = {})
    {
        return detail::unwrap(try_make(options));
    }
    [[nodiscard]] static expected<broadcaster> try_make(const broadcaster_options &options = {}) noexcept
    {
        wtgram_broadcaster handle{};
        const wtgram_status status = wtgram_broadcaster_new(&options.raw(), &handle);
        if (status != WTGRAM_OK) return unexpected(detail::code_of(status));
        return broadcaster(handle);
    }

    /// Adds a transport, session or reliability layer. A session and its transport are the same member. A layer gets
    /// broadcasts as messages. Adding a member again has no effect.
    template <class Member> void add(const Member &member) const { detail::unwrap(try_add(member)); }
    [[nodiscard]] expected<void> try_add(const transport &member) const noexcept
    {
        return detail::result(wtgram_broadcaster_add_transport(handle_, member.handle()));
    }
    [[nodiscard]] expected<void> try_add(const session &member) const noexcept
    {
        return detail::result(wtgram_broadcaster_add_session(handle_, member.handle()));
    }
    [[nodiscard]] expected<void> try_add(const reliability &member) const noexcept
    {
        return detail::result(wtgram_broadcaster_add_reliability(handle_, member.handle()));
    }
    /// Removes a member. Has no effect if it is not one.
    template <class Member> void remove(const Member &member) const { detail::unwrap(try_remove(member)); }
    expected<void> try_remove(const transport &member) const noexcept
    {
        return detail::result(wtgram_broadcaster_remove_transport(handle_, member.handle()));
    }
    expected<void> try_remove(const session &member) const noexcept
    {
        return detail::result(wtgram_broadcaster_remove_session(handle_, member.handle()));
    }
    expected<void> try_remove(const reliability &member) const noexcept
    {
        return detail::result(wtgram_broadcaster_remove_reliability(handle_, member.handle()));
    }
    /// Number of members that are open; 0 after close().
    std::size_t member_count() const { return detail::unwrap(try_member_count()); }
    [[nodiscard]] expected<std::size_t> try_member_count() const noexcept
    {
        std::size_t count = 0;
        const wtgram_status status = wtgram_broadcaster_get_member_count(handle_, &count);
        return detail::result(status, count);
    }

    /// Queues the datagram for every member and waits for none of them. A full queue follows its transport's policy;
    /// where this is to wait, the datagram is dropped for this member. `room` gets the result of each member; results
    /// that do not fit are left out. The timeout of the options is ignored.
    broadcast_outcome broadcast(bytes_view data, optional_send_options options = {},
                                span<broadcast_result> room = {}) const
    {
        return detail::unwrap(try_broadcast(data, options, room));
    }
    broadcast_outcome broadcast(std::string_view text, optional_send_options options = {},
                                span<broadcast_result> room = {}) const
    {
        return detail::unwrap(try_broadcast(text, options, room));
    }
    [[nodiscard]] expected<broadcast_outcome> try_broadcast(bytes_view data, optional_send_options options = {},
                                                            span<broadcast_result> room = {}) const noexcept
    {
        std::size_t members = 0, accepted = 0;
        const wtgram_status status =
            wtgram_broadcaster_broadcast(handle_, data.data(), data.size(), options.raw(),
                                         room.empty() ? nullptr : room.data(), room.size(), &members, &accepted);
        return detail::result(
            status, broadcast_outcome{accepted, room.first(members < room.size() ? members : room.size()), members});
    }
    [[nodiscard]] expected<broadcast_outcome> try_broadcast(std::string_view text, optional_send_options options = {},
                                                            span<broadcast_result> room = {}) const noexcept
    {
        return try_broadcast(bytes_view(detail::bytes_of(text), text.size()), options, room);
    }

    /// Statistics of the broadcaster.
    broadcaster_stats stats() const { return detail::unwrap(try_stats()); }
    [[nodiscard]] expected<broadcaster_stats> try_stats() const noexcept
    {
        broadcaster_stats stats;
        const wtgram_status status = wtgram_broadcaster_get_stats(handle_, &stats);
        return detail::result(status, stats);
    }
    /// Closes the broadcaster and removes all members, which stay open. Adding and broadcasting then fail with
    /// errc::closed.
    void close() const { detail::unwrap(try_close()); }
    expected<void> try_close() const noexcept { return detail::result(wtgram_broadcaster_close(handle_)); }
};

} // namespace wtgram

#endif
