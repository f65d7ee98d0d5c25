/// @file
/// The owner of a handle, from which all classes for objects of the library are derived, except transport.
#ifndef WTGRAM_HANDLE_HPP
#define WTGRAM_HANDLE_HPP

#include <wtgram/error.hpp>

namespace wtgram
{

/// Owns a handle of the C interface. It can be moved but not copied. At the end of its life it frees the handle, which
/// also closes the object.
///
/// An owner without a handle is empty. Each call on it fails with errc::invalid_handle.
template <class Handle, void (*Free)(Handle)> class owner
{
  public:
    owner() noexcept = default; ///< Makes an empty owner.
    /// Takes over a handle, and frees it later.
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

    /// Whether there is a handle.
    explicit operator bool() const noexcept { return handle_.id != 0; }
    /// The handle, for functions of the C interface. The owner keeps it: do not free it.
    Handle handle() const noexcept { return handle_; }
    /// The number of the handle, which events and results contain; 0 if there is none.
    std::uint64_t id() const noexcept { return handle_.id; }
    /// Gives up the handle without freeing it. You must free it.
    Handle release() noexcept { return std::exchange(handle_, Handle{}); }
    /// Frees the handle and takes over another one, or none.
    void reset(Handle handle = {}) noexcept { Free(std::exchange(handle_, handle)); }

  protected:
    Handle handle_{};
};

} // namespace wtgram

#endif
