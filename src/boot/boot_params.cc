#include "boot/boot_params.h"

#include <algorithm>
#include <array>
#include <cstring>

#include "boot/layout.h"
#include "boot/setup_header.h"

namespace husk::boot {
namespace {

// Offsets in boot_params that are not in the setup header.
enum ParamsField : uint64_t {
  kAcpiRsdp = 0x070,
  kExtRamdiskImage = 0x0c0,
  kExtRamdiskSize = 0x0c4,
  kE820Entries = 0x1e8,
  kE820Table = 0x2d0,
};
constexpr size_t kParamsSize = 4096;
constexpr size_t kMaxE820 = 128, kE820EntrySize = 20;
constexpr uint8_t kUndefinedLoader = 0xff;
constexpr uint16_t kNormalVideoMode = 0xffff;
constexpr uint16_t kProtocol215 = 0x020f;

class Params {
 public:
  template <class T>
  void put(uint64_t offset, T value) {
    std::memcpy(bytes_.data() + offset, &value, sizeof(T));
  }
  void put_low_high(uint64_t low, uint64_t high, uint64_t value) {
    put(low, static_cast<uint32_t>(value));
    put(high, static_cast<uint32_t>(value >> 32));
  }
  // `fields` end at kMaxHeaderEnd or before.
  void copy_header(std::span<const std::byte> fields) {
    std::copy(fields.begin(), fields.end(), bytes_.begin() + setup::kSetupSects);
  }
  [[nodiscard]] std::span<const std::byte> bytes() const { return bytes_; }

 private:
  std::array<std::byte, kParamsSize> bytes_{};
};

void put_header(Params& params, std::span<const std::byte> fields) {
  uint8_t load_flags = setup::kLoadedHigh | setup::kQuiet;
  if (fields.empty()) {
    params.put(setup::kBootFlag, setup::kBootFlagValue);
    params.put(setup::kMagic, setup::kMagicValue);
    params.put(setup::kVersion, kProtocol215);
  } else {
    params.copy_header(fields);
    load_flags |= static_cast<uint8_t>(fields[setup::kLoadFlags - setup::kSetupSects]);
  }
  params.put(setup::kVideoMode, kNormalVideoMode);
  params.put(setup::kTypeOfLoader, kUndefinedLoader);
  params.put(setup::kLoadFlags, load_flags);
  params.put(setup::kCmdLinePtr, static_cast<uint32_t>(kCommandLine));
}

void put_memory_map(Params& params, const memory::GuestMemory& memory) {
  const auto map = e820_map(memory);
  const size_t entries = std::min(map.size(), kMaxE820);
  params.put(kE820Entries, static_cast<uint8_t>(entries));
  for (size_t i = 0; i < entries; ++i) {
    const uint64_t at = kE820Table + i * kE820EntrySize;
    params.put(at, map[i].address);
    params.put(at + 8, map[i].size);
    params.put(at + 16, map[i].type);
  }
}

}  // namespace

Result<void> write_boot_params(memory::GuestMemory& memory, std::span<const std::byte> fields,
                               InitrdPlace initrd, Gpa rsdp) {
  Params params;
  put_header(params, fields);
  params.put_low_high(setup::kRamdiskImage, kExtRamdiskImage, initrd.address);
  params.put_low_high(setup::kRamdiskSize, kExtRamdiskSize, initrd.size);
  params.put(kAcpiRsdp, rsdp.value);
  put_memory_map(params, memory);
  return memory.write(Gpa{kBootInfoAddress}, params.bytes());
}

}  // namespace husk::boot
