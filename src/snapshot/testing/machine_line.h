// For tests: a machine that runs on and is captured again and again, each time as a diff on the
// last.
#pragma once

#include <string>
#include <vector>

#include "snapshot/testing/machine.h"
#include "snapshot/writer.h"

namespace husk::snapshot::testing {

class MachineLine {
 public:
  MachineLine(std::string directory, uint32_t seed)
      : directory_(std::move(directory)), memory_(two_regions()), random_(seed) {
    fill(*memory_, seed);
    add(write_full(path(0), sample_contents(), *memory_));
  }

  // Writes at least one page, and captures what was written.
  void step(const WriteOptions& options = {}) {
    std::vector<Gpa> dirty;
    const unsigned writes = 1 + random_() % 4;
    for (unsigned i = 0; i < writes; ++i) write_some(dirty);
    const Parent parent{ids_.back(), name(ids_.size() - 1)};
    Contents contents = sample_contents();
    contents.origin.monotonic_ns = ids_.size();
    add(write_diff(path(ids_.size()), parent, contents, *memory_, dirty, options));
  }

  [[nodiscard]] static std::string name(size_t i) { return "s" + std::to_string(i); }
  [[nodiscard]] std::string path(size_t i) const { return directory_ + "/" + name(i); }
  [[nodiscard]] const memory::GuestMemory& memory() const { return *memory_; }
  [[nodiscard]] const std::vector<Sha256>& ids() const { return ids_; }
  [[nodiscard]] const std::vector<Sha256>& digests() const { return digests_; }  // of memory

 private:
  void write_some(std::vector<Gpa>& dirty) {
    const uint64_t pages = memory_->size() / kPageSize;
    const uint64_t first = random_() % pages;
    const uint64_t count = std::min<uint64_t>(1 + random_() % 200, pages - first);
    const bool zero = random_() % 4 == 0;
    for (uint64_t at = first * kPageSize; at < (first + count) * kPageSize; at += kPageSize) {
      if (zero)
        std::memset(memory_->bytes().data() + at, 0, kPageSize);
      else
        fill_page(*memory_, at, static_cast<uint32_t>(random_()));
      dirty.push_back(page_at(*memory_, at));
    }
  }
  void add(const Result<Sha256>& written) {
    ASSERT_TRUE(written) << why(written);
    ids_.push_back(*written);
    digests_.push_back(digest(*memory_));
  }

  std::string directory_;
  std::unique_ptr<memory::GuestMemory> memory_;
  std::mt19937 random_;
  std::vector<Sha256> ids_;
  std::vector<Sha256> digests_;
};

}  // namespace husk::snapshot::testing
