// Pieces of memory as zstd frames (RFC 8878), each with its checksum.
#pragma once

#include <cstddef>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "husk/error.h"

namespace husk::snapshot {

class Packer {
 public:
  [[nodiscard]] static Result<Packer> create(int level);

  // The frame, or nothing where it would not be smaller. Valid until the next call.
  [[nodiscard]] Result<std::span<const std::byte>> pack(std::span<const std::byte> bytes);

 private:
  struct Free {
    void operator()(void* context) const;
  };
  std::unique_ptr<void, Free> context_;  // ZSTD_CCtx
  std::vector<std::byte> buffer_;
};

// One frame, which has to fill `out` exactly. `subject` names it.
[[nodiscard]] Result<void> unpack(std::span<const std::byte> frame, std::span<std::byte> out,
                                  const std::string& subject);

}  // namespace husk::snapshot
