// A sequential reader of bytes: the joint between files, archives, decompressors and hashes.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <span>
#include <string_view>

#include "husk/error.h"

namespace husk::oci {

class ByteSource {
 public:
  virtual ~ByteSource() = default;

  // Fills the front of `buffer` (never empty) and returns how much; 0 only at the end.
  [[nodiscard]] virtual Result<size_t> read(std::span<std::byte> buffer) = 0;

  // Passes over up to `count` bytes without reading them and returns how many were passed; a source
  // that cannot, or that must see every byte, passes none.
  [[nodiscard]] virtual Result<uint64_t> skip(uint64_t count) {
    (void)count;
    return uint64_t{0};
  }
};

// Bytes in memory, borrowed.
class MemorySource final : public ByteSource {
 public:
  explicit MemorySource(std::string_view data) : data_(data) {}
  [[nodiscard]] Result<size_t> read(std::span<std::byte> buffer) override {
    const size_t count = std::min(buffer.size(), data_.size());
    if (count != 0) std::memcpy(buffer.data(), data_.data(), count);
    data_.remove_prefix(count);
    return count;
  }

 private:
  std::string_view data_;
};

}  // namespace husk::oci
