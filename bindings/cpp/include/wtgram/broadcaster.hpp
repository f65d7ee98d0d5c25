// Sends one datagram to many members: transports, sessions or reliability layers. It does not own its members.
#ifndef WTGRAM_BROADCASTER_HPP
#define WTGRAM_BROADCASTER_HPP

#include <wtgram/reliability.hpp>

namespace wtgram
{

/// What happens to a member that does not keep up.
enum class slow_policy : std::uint32_t { drop = WTGRAM_SLOW_DROP, remove = WTGRAM_SLOW_REMOVE };

class broadcaster_options
{
  public:
    broadcaster_options() noexcept { wtgram_broadcaster_options_init(&c_); }
    /// `limit`: number of drops in a row, for slow_policy::remove.
    broadcaster_options &when_slow(slow_policy policy) noexcept
    {
        return c_.slow_policy = static_cast<std::uint32_t>(policy), *this;
    }
    broadcaster_options &when_slow(slow_policy policy, std::uint32_t limit) noexcept
    {
        return c_.slow_limit = limit, when_slow(policy);
    }
    wtgram_broadcaster_options &raw() noexcept { return c_; }
    const wtgram_broadcaster_options &raw() const noexcept { return c_; }

  private:
    wtgram_broadcaster_options c_;
};

/// Result of a broadcast for the member with id() `member`. An array of these is an array of the C struct.
struct broadcast_result : wtgram_broadcast_result {
    /// No error: queued.
    std::error_code error() const noexcept
    {
        return status == WTGRAM_OK ? std::error_code() : detail::code_of(static_cast<wtgram_status>(status));
    }
    bool was_removed() const noexcept { return removed != 0; }
};
static_assert(sizeof(broadcast_result) == sizeof(wtgram_broadcast_result) &&
              std::is_standard_layout_v<broadcast_result>);

struct broadcast_outcome {
    std::size_t accepted; // members that queued it
    span<broadcast_result> results; // the filled part of the array of results
    std::size_t members; // number of members
};

class broadcaster : public owner<wtgram_broadcaster, wtgram_broadcaster_free>
{
  public:
    using owner::owner;

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

    /// Adds a transport, session or reliability layer. A session and its transport are the same member.
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
    /// Has no effect if it is not a member.
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
    std::size_t member_count() const { return detail::unwrap(try_member_count()); }
    [[nodiscard]] expected<std::size_t> try_member_count() const noexcept
    {
        std::size_t count = 0;
        const wtgram_status status = wtgram_broadcaster_get_member_count(handle_, &count);
        return detail::result(status, count);
    }

    /// Queues the datagram for every member and waits for none of them. `room` gets the result of each member; results
    /// that do not fit are left out.
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

    broadcaster_stats stats() const { return detail::unwrap(try_stats()); }
    [[nodiscard]] expected<broadcaster_stats> try_stats() const noexcept
    {
        broadcaster_stats stats;
        const wtgram_status status = wtgram_broadcaster_get_stats(handle_, &stats);
        return detail::result(status, stats);
    }
    /// Removes all members, which stay open. Adding and broadcasting then fail with errc::closed.
    void close() const { detail::unwrap(try_close()); }
    expected<void> try_close() const noexcept { return detail::result(wtgram_broadcaster_close(handle_)); }
};

} // namespace wtgram

#endif
