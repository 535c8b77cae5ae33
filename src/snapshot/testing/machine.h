// For tests: memory with something in it, and what a snapshot says of its machine.
#pragma once

#include <gtest/gtest.h>
#include <sys/stat.h>

#include <cstdint>
#include <cstring>
#include <memory>
#include <random>
#include <string>
#include <vector>

#include "base/testing/temp_directory.h"
#include "memory/guest_memory.h"
#include "snapshot/contents.h"
#include "snapshot/sha256.h"

namespace husk::snapshot::testing {

using base::testing::fast_place;
using base::testing::listed;
using base::testing::read_whole_file;
using base::testing::TempDirectory;
using base::testing::write_file;

constexpr uint64_t kMiB = uint64_t{1} << 20;
constexpr uint64_t kHighMemory = 0x1'0000'0000;

inline std::vector<std::byte> bytes_of(std::string_view text) {
  const auto bytes = std::as_bytes(std::span(text));
  return {bytes.begin(), bytes.end()};
}

// Two regions, the second one above 4 GiB.
inline std::unique_ptr<memory::GuestMemory> two_regions(uint64_t low = 3 * kMiB + 0x5000,
                                                        uint64_t high = 2 * kMiB) {
  const memory::RegionSpec specs[] = {{Gpa{0}, low}, {Gpa{kHighMemory}, high}};
  return std::move(*memory::GuestMemory::create(specs));
}

inline Contents sample_contents() {
  Contents contents;
  contents.machine.arch = CpuArch::kX86_64;
  contents.machine.vcpus.push_back(VcpuSnapshot::new_x86(0, Registers{.rax = ~0ull, .rip = 7}));
  contents.machine.vcpus.push_back(VcpuSnapshot::new_x86(1, Registers{.rsp = 9}));
  contents.machine.vcpus[0].extra_state = bytes_of("vcpu zero");
  contents.machine.devices.push_back({VirtioDeviceType::kBlock, "block-0", bytes_of("disk")});
  contents.machine.devices.push_back({VirtioDeviceType::kConsole, "serial-0", {}});
  contents.origin = {"soft", "a CPU \"of ours\"", 11, 22, {{"tsc", 33}}, {{"kernel", "sha256:0"}}};
  contents.states = {{"ioapic", bytes_of(std::string("\0\1\2", 3))}, {"pit", {}}};
  return contents;
}

inline void fill_page(memory::GuestMemory& memory, uint64_t offset, uint32_t seed) {
  std::mt19937 random(seed);
  const auto page = memory.bytes().subspan(offset, kPageSize);
  for (size_t i = 0; i < page.size(); i += 4) {
    const uint32_t word = random();
    std::memcpy(page.data() + i, &word, sizeof word);
  }
}

// Some of it: random pages, pages of text that compresses, holes, zero pages that were written.
inline void fill(memory::GuestMemory& memory, uint32_t seed) {
  std::mt19937 random(seed);
  const uint64_t pages = memory.size() / kPageSize;
  for (uint64_t i = 0; i < pages / 4; ++i) {
    const uint64_t at = random() % pages * kPageSize;
    if (i % 3 == 0) fill_page(memory, at, static_cast<uint32_t>(random()));
    if (i % 3 == 1) std::memset(memory.bytes().data() + at, 'a' + static_cast<int>(i % 26), 4096);
    if (i % 3 == 2) std::memset(memory.bytes().data() + at, 0, 4096);
  }
}

inline Gpa page_at(const memory::GuestMemory& memory, uint64_t offset) {
  for (const memory::Region& region : memory.regions()) {
    if (offset - region.file_offset < region.size)
      return region.start + (offset - region.file_offset);
  }
  return {};
}

inline Sha256 digest(const memory::GuestMemory& memory) { return sha256(memory.bytes()); }

inline uint64_t disk_bytes(const std::string& path) {
  struct stat st{};
  EXPECT_EQ(::stat(path.c_str(), &st), 0) << path;
  return static_cast<uint64_t>(st.st_blocks) * 512;
}

// Published snapshots are read-only, to tests too.
inline void replace_file(const std::string& path, const std::string& content) {
  std::filesystem::remove(path);
  write_file(path, content);
}

template <class T>
std::string why(const Result<T>& result) {
  return result ? "no error" : result.error().message();
}

}  // namespace husk::snapshot::testing
