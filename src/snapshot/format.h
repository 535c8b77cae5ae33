// A snapshot file's numbers: where things lie, and how large they may be. docs/snapshot-format.md
// tells the whole; a change here that an older reader would misread raises kFormatVersion.
#pragma once

#include <cstdint>
#include <cstring>
#include <span>
#include <string_view>
#include <vector>

namespace husk::snapshot {

constexpr uint32_t kFormatVersion = 1;
constexpr std::string_view kMagic = "HUSKSNAP";

constexpr uint64_t kHeaderSize = 4096;
// The largest page that a host maps by (aarch64's 64 KiB), so that any of them can map the memory.
constexpr uint64_t kMemoryStart = uint64_t{64} << 10;

// What one digest covers at most: memory is cut at its multiples.
constexpr uint64_t kPiece = uint64_t{1} << 20;
// What is compressed at once: large enough for zstd to find repetitions, small enough that one page
// of it is not dear.
constexpr uint64_t kFrame = uint64_t{256} << 10;

// Limits, which bound what a hostile file makes its reader allocate.
constexpr uint64_t kMaxMemory = uint64_t{1} << 40;
constexpr uint64_t kMaxManifest = uint64_t{4} << 20;
constexpr uint64_t kMaxTable = uint64_t{256} << 20;
constexpr uint64_t kMaxState = uint64_t{64} << 20;    // one part
constexpr uint64_t kMaxStates = uint64_t{256} << 20;  // all of them
constexpr uint64_t kMaxParts = 16384;
constexpr size_t kMaxChain = 256;

// Integers in the file are little-endian, as is every host that this is built for.
static_assert(__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__);

template <class T>
void put(std::vector<std::byte>& out, const T& value) {
  const auto bytes = std::as_bytes(std::span(&value, 1));
  out.insert(out.end(), bytes.begin(), bytes.end());
}

// The caller knows that there are as many bytes.
template <class T>
[[nodiscard]] T get(std::span<const std::byte> in, size_t offset) {
  T value;
  std::memcpy(&value, in.data() + offset, sizeof value);
  return value;
}

}  // namespace husk::snapshot
