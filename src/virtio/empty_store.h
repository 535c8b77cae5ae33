// A disk that is not there yet: the place that a base snapshot keeps for an image's.
#pragma once

#include "contract/block_store.h"

namespace husk::virtio {

class EmptyStore final : public contract::BlockStore {
 public:
  [[nodiscard]] uint64_t size() const override { return 0; }
  [[nodiscard]] bool read_only() const override { return true; }
  // Nothing is within size().
  [[nodiscard]] Result<void> read(uint64_t, std::span<std::byte>) override { return beyond(); }
  [[nodiscard]] Result<void> write(uint64_t, std::span<const std::byte>) override {
    return beyond();
  }
  [[nodiscard]] Result<void> flush() override { return {}; }
  [[nodiscard]] Result<void> discard(uint64_t, uint64_t) override { return beyond(); }
  [[nodiscard]] Result<void> write_zeroes(uint64_t, uint64_t, bool) override { return beyond(); }

 private:
  static std::unexpected<Error> beyond() {
    return fail(ErrorKind::kInvalidArgument, "empty disk", "has no sectors");
  }
};

}  // namespace husk::virtio
