// The C++ side of translated code: what its stubs call, and the bytes that a translation is made
// from.
#pragma once

#include <array>
#include <cstdint>
#include <span>

#include "backend/soft/interp/cpu.h"
#include "backend/soft/jit/stubs.h"

namespace husk::soft::jit {

[[nodiscard]] const Callbacks& callbacks();

// The code of a block at `rip`, copied; at a page's end with what the next page begins with, if the
// block's instruction goes on there.
class CodeBytes {
 public:
  CodeBytes(interp::Cpu& cpu, const Block& block, uint64_t rip);
  // False: it has changed since the block was built.
  [[nodiscard]] bool valid() const { return valid_; }
  [[nodiscard]] std::span<const uint8_t> span() const { return {bytes_.data(), size_}; }

 private:
  std::array<uint8_t, kPageSize + 16> bytes_;
  size_t size_ = 0;
  bool valid_ = false;
};

}  // namespace husk::soft::jit
