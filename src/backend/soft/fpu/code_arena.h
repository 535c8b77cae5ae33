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
  static constexpr size_t kSize = size_t{4} << 20;
  static constexpr size_t kLongestThunk = 256;

  // Null when the host gives no executable memory.
  [[nodiscard]] const void* add(std::span<const uint8_t> code);
  [[nodiscard]] bool exhausted() const { return used_ + kLongestThunk > kSize; }
  void reset() { used_ = 0; }

 private:
  bool map();

  base::Mapping writable_, executable_;
  size_t used_ = 0;
};

}  // namespace husk::soft::fpu
