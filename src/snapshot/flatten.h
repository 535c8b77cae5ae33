// One full snapshot in the place of a chain.
#pragma once

#include <string>

#include "husk/error.h"

#include "snapshot/chain.h"
#include "snapshot/memory_source.h"
#include "snapshot/writer.h"

namespace husk::snapshot {

// A chain's memory for a writer. Read by pread(2), so that a file that is cut or a disk that fails
// is an error.
class ChainSource final : public MemorySource {
 public:
  explicit ChainSource(const Chain& chain)
      : size_(chain.tip().memory_size()), extents_(chain.extents()) {}
  [[nodiscard]] uint64_t size() const override { return size_; }
  [[nodiscard]] Result<std::vector<Range>> data() override;
  [[nodiscard]] Result<void> read(uint64_t at, std::span<std::byte> out) override;

 private:
  uint64_t size_;
  std::vector<Extent> extents_;
  Unpacked unpacked_;
};

// The newest link's state with all of its memory, in a file that needs no other. The chain is
// verified first: damage must not get digests that call it sound.
[[nodiscard]] Result<Sha256> flatten(const Chain& chain, const std::string& path,
                                     const WriteOptions& options = {});

}  // namespace husk::snapshot
