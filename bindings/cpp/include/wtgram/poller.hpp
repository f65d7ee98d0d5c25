// A poller waits for many objects at once, or lends its file descriptor to an event loop.
#ifndef WTGRAM_POLLER_HPP
#define WTGRAM_POLLER_HPP

#include <wtgram/server.hpp>

namespace wtgram
{

enum class readiness : std::uint32_t {
    none = 0,
    accept = WTGRAM_READY_ACCEPT,
    readable = WTGRAM_READY_READABLE,
    writable = WTGRAM_READY_WRITABLE,
    closed = WTGRAM_READY_CLOSED, // always reported
    connected = WTGRAM_READY_CONNECTED,
    low_water = WTGRAM_READY_LOW_WATER,
    size_changed = WTGRAM_READY_SIZE_CHANGED,
    outcome = WTGRAM_READY_OUTCOME,
    alert = WTGRAM_READY_ALERT,
    peer_silent = WTGRAM_READY_PEER_SILENT,
    one_shot = WTGRAM_READY_ONE_SHOT, // with the others: one report, then none until modify
};
constexpr readiness operator|(readiness a, readiness b) noexcept
{
    return static_cast<readiness>(static_cast<std::uint32_t>(a) | static_cast<std::uint32_t>(b));
}

/// An object that is ready. An array of these is an array of the C struct.
struct event : wtgram_event {
    bool acceptable() const noexcept { return (ready & WTGRAM_READY_ACCEPT) != 0; }
    bool readable() const noexcept { return (ready & WTGRAM_READY_READABLE) != 0; }
    bool writable() const noexcept { return (ready & WTGRAM_READY_WRITABLE) != 0; }
    bool closed() const noexcept { return (ready & WTGRAM_READY_CLOSED) != 0; }
    bool connected() const noexcept { return (ready & WTGRAM_READY_CONNECTED) != 0; }
    bool low_water() const noexcept { return (ready & WTGRAM_READY_LOW_WATER) != 0; }
    bool size_changed() const noexcept { return (ready & WTGRAM_READY_SIZE_CHANGED) != 0; }
    bool has_outcome() const noexcept { return (ready & WTGRAM_READY_OUTCOME) != 0; }
    bool has_alert() const noexcept { return (ready & WTGRAM_READY_ALERT) != 0; }
    bool peer_silent() const noexcept { return (ready & WTGRAM_READY_PEER_SILENT) != 0; }
};
static_assert(sizeof(event) == sizeof(wtgram_event) && std::is_standard_layout_v<event>);

/// Level-triggered: an object is reported as long as it is ready.
class poller : public owner<wtgram_poller, wtgram_poller_free>
{
  public:
    using owner::owner;

    [[nodiscard]] static poller make() { return detail::unwrap(try_make()); }
    [[nodiscard]] static expected<poller> try_make() noexcept
    {
        wtgram_poller handle{};
        const wtgram_status status = wtgram_poller_new(&handle);
        if (status != WTGRAM_OK) return unexpected(detail::code_of(status));
        return poller(handle);
    }

    /// Adds a server, session, transport, reliability layer, structured transport or monitor. Its events contain the
    /// cookie.
    template <class Object> void add(const Object &object, readiness what, std::uint64_t cookie = 0) const
    {
        detail::unwrap(try_add(object, what, cookie));
    }
    template <class Object> void modify(const Object &object, readiness what, std::uint64_t cookie = 0) const
    {
        detail::unwrap(try_modify(object, what, cookie));
    }
    template <class Object> void remove(const Object &object) const { detail::unwrap(try_remove(object)); }
    template <class Object>
    [[nodiscard]] expected<void> try_add(const Object &object, readiness what, std::uint64_t cookie = 0) const noexcept
    {
        return detail::result(wtgram_poller_add(handle_, object.id(), static_cast<std::uint32_t>(what), cookie));
    }
    template <class Object>
    [[nodiscard]] expected<void> try_modify(const Object &object, readiness what,
                                            std::uint64_t cookie = 0) const noexcept
    {
        return detail::result(wtgram_poller_modify(handle_, object.id(), static_cast<std::uint32_t>(what), cookie));
    }
    template <class Object> expected<void> try_remove(const Object &object) const noexcept
    {
        return detail::result(wtgram_poller_remove(handle_, object.id()));
    }

    /// Waits until an object is ready and returns the filled part of `events`, which is empty if nothing was ready in
    /// time.
    span<event> wait(span<event> events, duration timeout = forever) const
    {
        expected<span<event>> ready = wait_for(events, timeout);
        if (ready) return *ready;
        if (ready.error() == errc::timed_out || ready.error() == errc::would_block) return {};
        detail::raise(ready.error());
    }
    [[nodiscard]] expected<span<event>> try_wait(span<event> events) const noexcept
    {
        return wait_for(events, duration::zero());
    }
    [[nodiscard]] expected<span<event>> wait_for(span<event> events, duration timeout) const noexcept
    {
        std::size_t count = 0;
        const wtgram_status status = wtgram_poller_wait(handle_, timeout.count(), events.data(), events.size(), &count);
        return detail::result(status, events.first(status == WTGRAM_OK ? count : 0));
    }
    /// Makes one wait return, the current one or the next.
    void wake() const { detail::unwrap(try_wake()); }
    expected<void> try_wake() const noexcept { return detail::result(wtgram_poller_wake(handle_)); }
    /// File descriptor that is readable while an object is ready. The poller owns it: only poll it.
    int fd() const { return detail::unwrap(try_fd()); }
    [[nodiscard]] expected<int> try_fd() const noexcept
    {
        int fd = -1;
        const wtgram_status status = wtgram_poller_get_fd(handle_, &fd);
        return detail::result(status, fd);
    }
};

} // namespace wtgram

#endif
