/// @file
/// The poller: waits for many objects at once, or gives an event loop one file descriptor for all of them.
#ifndef WTGRAM_POLLER_HPP
#define WTGRAM_POLLER_HPP

#include <wtgram/server.hpp>

namespace wtgram
{

/// What a poller reports about an object, as bits that you combine with |.
enum class readiness : std::uint32_t {
    none = 0, ///< Nothing but the end of the object.
    accept = WTGRAM_READY_ACCEPT, ///< A server has a session to accept, or a request to answer.
    readable = WTGRAM_READY_READABLE, ///< There is something to receive.
    /// The outgoing queue has space for one more datagram of any size, without evicting, rejecting or waiting.
    writable = WTGRAM_READY_WRITABLE,
    closed = WTGRAM_READY_CLOSED, ///< The object is closed. Always reported, whether you asked for it or not.
    connected = WTGRAM_READY_CONNECTED, ///< A session is established.
    low_water = WTGRAM_READY_LOW_WATER, ///< The outgoing queue is not high (see water_marks).
    size_changed = WTGRAM_READY_SIZE_CHANGED, ///< The largest possible datagram changed. Each change is reported once.
    outcome = WTGRAM_READY_OUTCOME, ///< An outcome can be fetched.
    alert = WTGRAM_READY_ALERT, ///< A monitor has an alert to fetch.
    peer_silent = WTGRAM_READY_PEER_SILENT, ///< The peer is silent (see heartbeat_options::silent_after).
    draining = WTGRAM_READY_DRAINING, ///< The peer asked to end the session soon (see session::drain).
    settled = WTGRAM_READY_SETTLED, ///< Every message that a reliability layer has accepted has its outcome.
    /// Combine it with others: after one report the object is not reported again until modify.
    one_shot = WTGRAM_READY_ONE_SHOT,
};
/// Combines bits.
constexpr readiness operator|(readiness a, readiness b) noexcept
{
    return static_cast<readiness>(static_cast<std::uint32_t>(a) | static_cast<std::uint32_t>(b));
}

/// An object that is ready: `object` is its id(), `cookie` is the value that you gave to poller::add or poller::modify.
/// An array of these is an array of the C struct.
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
    bool draining() const noexcept { return (ready & WTGRAM_READY_DRAINING) != 0; }
    bool settled() const noexcept { return (ready & WTGRAM_READY_SETTLED) != 0; }
    bool peer_silent() const noexcept { return (ready & WTGRAM_READY_PEER_SILENT) != 0; }
};
static_assert(sizeof(event) == sizeof(wtgram_event) && std::is_standard_layout_v<event>);

/// Waits for many objects at once, with one thread or with one file descriptor in your event loop.
///
/// Make it, add() each object, then call wait() again and again. The poller is level-triggered: wait() reports an
/// object as long as it is ready. Several threads may wait; an object may be reported to more than one of them, but
/// with readiness::one_shot only to one. An object that is freed leaves the poller by itself.
class poller : public owner<wtgram_poller, wtgram_poller_free>
{
  public:
    using owner::owner;

    /// Makes a poller without objects.
    [[nodiscard]] static poller make() { return detail::unwrap(try_make()); }
    [[nodiscard]] static expected<poller> try_make() noexcept
    {
        wtgram_poller handle{};
        const wtgram_status status = wtgram_poller_new(&handle);
        if (status != WTGRAM_OK) return unexpected(detail::code_of(status));
        return poller(handle);
    }

    /// Adds a server, request, session, transport, reliability layer, structured transport or monitor. Its events
    /// contain the cookie. If it is ready already, it is reported. An object can be in several pollers.
    template <class Object> void add(const Object &object, readiness what, std::uint64_t cookie = 0) const
    {
        detail::unwrap(try_add(object, what, cookie));
    }
    /// Changes what is reported about an object, and arms readiness::one_shot again.
    template <class Object> void modify(const Object &object, readiness what, std::uint64_t cookie = 0) const
    {
        detail::unwrap(try_modify(object, what, cookie));
    }
    /// Removes an object. A wait that started before may still report it; later ones do not.
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

    /// Waits until an object is ready, and returns the filled part of `events`. It is empty if nothing was ready in
    /// time; unlike other functions, this one does not throw then. If more objects are ready than fit, they take turns.
    span<event> wait(span<event> events, duration timeout = forever) const
    {
        expected<span<event>> ready = wait_for(events, timeout);
        if (ready) return *ready;
        if (ready.error() == errc::timed_out || ready.error() == errc::would_block) return {};
        detail::raise(ready.error());
    }
    /// Like wait, but fails with errc::would_block if nothing is ready.
    [[nodiscard]] expected<span<event>> try_wait(span<event> events) const noexcept
    {
        return wait_for(events, duration::zero());
    }
    /// Like wait, but fails with errc::timed_out if nothing was ready in time.
    [[nodiscard]] expected<span<event>> wait_for(span<event> events, duration timeout) const noexcept
    {
        std::size_t count = 0;
        const wtgram_status status = wtgram_poller_wait(handle_, timeout.count(), events.data(), events.size(), &count);
        return detail::result(status, events.first(status == WTGRAM_OK ? count : 0));
    }
    /// Makes one wait return, the current one or the next, without events if nothing is ready.
    void wake() const { detail::unwrap(try_wake()); }
    expected<void> try_wake() const noexcept { return detail::result(wtgram_poller_wake(handle_)); }
    /// A file descriptor that is readable while an object is ready, for poll, epoll and event loops. When it is, call
    /// try_wait until it fails with errc::would_block. The poller owns the descriptor: only poll it.
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
