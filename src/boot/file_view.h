// Bounds-checked reading of a kernel file's headers.
#pragma once

#include <cstring>
#include <optional>
#include <span>
#include <type_traits>

#include "base/checked.h"

namespace husk::boot {

class FileView {
 public:
  explicit FileView(std::span<const std::byte> bytes) : bytes_(bytes) {}

  template <class T>
    requires std::is_trivially_copyable_v<T>
  [[nodiscard]] std::optional<T> get(uint64_t offset) const {
    if (!base::in_bounds(offset, sizeof(T), bytes_.size())) return std::nullopt;
    T value;
    std::memcpy(&value, bytes_.data() + offset, sizeof(T));
    return value;
  }
  [[nodiscard]] std::optional<std::span<const std::byte>> slice(uint64_t offset,
                                                                uint64_t length) const {
    if (!base::in_bounds(offset, length, bytes_.size())) return std::nullopt;
    return bytes_.subspan(offset, length);
  }
  [[nodiscard]] uint64_t size() const { return bytes_.size(); }

 private:
  std::span<const std::byte> bytes_;
};

}  // namespace husk::boot
