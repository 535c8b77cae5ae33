// Memory for generated code, mapped twice: writable here, executable there, never both at one
// address.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>

#include "base/fd.h"

namespace husk::soft::fpu {

class CodeArena {
 public:
  explicit CodeArena(size_t size) : size_(size) {}

  // False when the host gives no executable memory.
  [[nodiscard]] bool map();
  // Null when there is none, or no room.
  [[nodiscard]] const void* add(std::span<const uint8_t> code);
  [[nodiscard]] size_t room() const { return size_ - used_; }
  void reset() { used_ = 0; }
  void release_room();  // what is not in use goes back to the host

  // For who writes in place, once it is mapped: code goes to next(), and take() keeps it.
  [[nodiscard]] uint8_t* next() { return begin() + used_; }
  void take(const uint8_t* end);
  // What lies in [begin, end) is there to stay for a while: it moves to large pages where they fit
  // and the host has them, for the processor knows few small ones at a time.
  void settle(size_t begin, size_t end);
  static constexpr size_t kLargePage = size_t{2} << 20;
  // Where something that was written at `at` is executed.
  [[nodiscard]] const uint8_t* executable(const uint8_t* at) {
    return reinterpret_cast<const uint8_t*>(executable_.data()) + (at - begin());
  }

 private:
  uint8_t* begin() { return reinterpret_cast<uint8_t*>(writable_.data()); }

  size_t size_;
  base::Mapping writable_, executable_;
  size_t used_ = 0;
};

}  // namespace husk::soft::fpu
