// Where a block device's sectors live.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>

#include "husk/error.h"

namespace husk::contract {

// Offsets and sizes are bytes; the caller keeps them within size(). One thread at a time.
class BlockStore {
 public:
  virtual ~BlockStore() = default;
  [[nodiscard]] virtual uint64_t size() const = 0;
  [[nodiscard]] virtual bool read_only() const = 0;
  [[nodiscard]] virtual Result<void> read(uint64_t offset, std::span<std::byte> out) = 0;
  [[nodiscard]] virtual Result<void> write(uint64_t offset, std::span<const std::byte> in) = 0;
  [[nodiscard]] virtual Result<void> flush() = 0;
  // Both make the range read as zeroes or, for discard, as anything; `unmap` allows to free the
  // space.
  [[nodiscard]] virtual Result<void> discard(uint64_t offset, uint64_t length) = 0;
  [[nodiscard]] virtual Result<void> write_zeroes(uint64_t offset, uint64_t length, bool unmap) = 0;
};

}  // namespace husk::contract
