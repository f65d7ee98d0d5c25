/// @file
/// Buffers for receiving batches. You allocate them once and fill them again and again.
#ifndef WTGRAM_BATCH_HPP
#define WTGRAM_BATCH_HPP

#include <wtgram/error.hpp>
#include <wtgram/span.hpp>

#include <iterator>
#include <vector>

namespace wtgram
{

/// Buffer for a batch of received elements: a receive_buffer holds datagrams, an object_buffer holds objects.
/// transport::receive_batch and structured::receive_batch fill it, and you iterate over the elements.
///
/// An element (`Item`) refers to memory of the buffer. It is valid until the buffer is filled again or destroyed.
template <class Item, class Received> class batch_buffer
{
  public:
    /// Allocates space for at most so many elements and payload bytes. One call takes at most 1024 elements.
    explicit batch_buffer(std::size_t max_items = 64, std::size_t bytes = 128 * 1024)
        : arena_(bytes), received_(max_items)
    {
    }
    batch_buffer(batch_buffer &&other) noexcept
        : arena_(std::move(other.arena_)), received_(std::move(other.received_)),
          count_(std::exchange(other.count_, 0)), needed_(std::exchange(other.needed_, 0))
    {
    }
    batch_buffer &operator=(batch_buffer &&other) noexcept
    {
        arena_ = std::move(other.arena_);
        received_ = std::move(other.received_);
        count_ = std::exchange(other.count_, 0);
        needed_ = std::exchange(other.needed_, 0);
        return *this;
    }

    /// Number of elements that the last call received.
    std::size_t size() const noexcept { return count_; }
    bool empty() const noexcept { return count_ == 0; }
    /// After errc::buffer_too_small: the size that the next element needs, in bytes.
    std::size_t needed() const noexcept { return needed_; }
    Item operator[](std::size_t i) const noexcept { return Item::of(received_[i], arena_.data()); }

    /// Iterates over the elements.
    class iterator
    {
      public:
        using iterator_category = std::input_iterator_tag; // items are made when they are read
        using value_type = Item;
        using difference_type = std::ptrdiff_t;
        using pointer = void;
        using reference = Item;

        iterator() noexcept = default;
        iterator(const batch_buffer *buffer, std::size_t index) noexcept : buffer_(buffer), index_(index) {}
        Item operator*() const noexcept { return (*buffer_)[index_]; }
        iterator &operator++() noexcept { return ++index_, *this; }
        iterator operator++(int) noexcept { return {buffer_, index_++}; }
        bool operator==(const iterator &other) const noexcept { return index_ == other.index_; }
        bool operator!=(const iterator &other) const noexcept { return index_ != other.index_; }

      private:
        const batch_buffer *buffer_ = nullptr;
        std::size_t index_ = 0;
    };
    iterator begin() const noexcept { return {this, 0}; }
    iterator end() const noexcept { return {this, count_}; }

  private:
    friend class transport;
    friend class structured;
    // `receive` is a C function that takes an arena and an array, and returns how many elements it filled.
    template <class Receive> expected<std::size_t> fill(Receive receive) noexcept
    {
        count_ = needed_ = 0;
        const wtgram_status status = receive(arena_.data(), arena_.size(), received_.data(), received_.size(), &count_);
        if (status == WTGRAM_OK) return count_;
        if (status == WTGRAM_ERROR_BUFFER_TOO_SMALL) needed_ = static_cast<std::size_t>(received_[0].length);
        count_ = 0;
        return unexpected(detail::code_of(status));
    }

    std::vector<std::uint8_t> arena_;
    std::vector<Received> received_;
    std::size_t count_ = 0, needed_ = 0;
};

} // namespace wtgram

#endif
