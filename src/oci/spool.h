// Contents of an image's files while it is prepared: one nameless file, addressed by offset.
#pragma once

#include <cstdint>
#include <span>

#include "base/fd.h"

namespace husk::oci {

// Where a file's bytes are; what was never written reads as zeros.
struct Content {
  uint64_t offset = 0;
  uint64_t size = 0;
};

class Spool {
 public:
  // `fd` is an empty file open for reading and writing; `subject` names its directory in errors.
  Spool(base::Fd fd, std::string subject) : fd_(std::move(fd)), subject_(std::move(subject)) {}

  // Room for `size` bytes, all zero until written; kLimit where the host has no offsets left.
  [[nodiscard]] Result<Content> reserve(uint64_t size);
  // Within a reserved range, as the caller knows.
  [[nodiscard]] Result<void> write(uint64_t offset, std::span<const std::byte> data);
  [[nodiscard]] Result<void> read(uint64_t offset, std::span<std::byte> data) const;

  // Calls `visit(offset, bytes)` for the parts of [offset, offset + size) that may hold something
  // else than zeros, in order; `buffer` bounds the size of one part.
  template <class Visit>
  [[nodiscard]] Result<void> for_each_data(uint64_t offset, uint64_t size,
                                           std::span<std::byte> buffer, Visit visit) const {
    const uint64_t end = offset + size;
    while (true) {
      const Extent extent = next_data(offset, end);
      if (extent.begin >= end) return {};
      for (offset = extent.begin; offset < extent.end;) {
        const auto part = buffer.first(std::min<uint64_t>(buffer.size(), extent.end - offset));
        if (auto done = read(offset, part); !done) return done;
        if (auto done = visit(offset, std::span<const std::byte>(part)); !done) return done;
        offset += part.size();
      }
    }
  }

 private:
  struct Extent {
    uint64_t begin;
    uint64_t end;
  };
  [[nodiscard]] Extent next_data(uint64_t offset, uint64_t end) const;

  base::Fd fd_;
  std::string subject_;
  uint64_t end_ = 0;
};

}  // namespace husk::oci
