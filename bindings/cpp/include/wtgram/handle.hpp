// Owns a C handle: can be moved but not copied, and frees the handle at its end.
#ifndef WTGRAM_HANDLE_HPP
#define WTGRAM_HANDLE_HPP

#include <wtgram/error.hpp>

namespace wtgram
{

template <class Handle, void (*Free)(Handle)> class owner
{
  public:
    owner() noexcept = default; // none: every call fails with errc::invalid_handle
    explicit owner(Handle handle) noexcept : handle_(handle) {}
    owner(owner &&other) noexcept : handle_(other.release()) {}
    owner &operator=(owner &&other) noexcept
    {
        if (this != &other) reset(other.release());
        return *this;
    }
    owner(const owner &) = delete;
    owner &operator=(const owner &) = delete;
    ~owner() { Free(handle_); }

    explicit operator bool() const noexcept { return handle_.id != 0; }
    Handle handle() const noexcept { return handle_; }
    std::uint64_t id() const noexcept { return handle_.id; }
    Handle release() noexcept { return std::exchange(handle_, Handle{}); }
    void reset(Handle handle = {}) noexcept { Free(std::exchange(handle_, handle)); }

  protected:
    Handle handle_{};
};

} // namespace wtgram

#endif
