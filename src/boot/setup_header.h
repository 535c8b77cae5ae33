// The setup header of a bzImage (Linux, Documentation/arch/x86/boot.rst, "The Real-Mode Kernel
// Header"): what the file says about itself, checked against its size.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>

#include "husk/error.h"

namespace husk::boot {

// Offsets in the file's first sectors; boot_params has the same fields at the same offsets.
namespace setup {
constexpr uint64_t kSetupSects = 0x1f1, kSysSize = 0x1f4, kVideoMode = 0x1fa, kBootFlag = 0x1fe;
constexpr uint64_t kJumpLength = 0x201, kMagic = 0x202, kVersion = 0x206, kKernelVersion = 0x20e;
constexpr uint64_t kTypeOfLoader = 0x210, kLoadFlags = 0x211, kRamdiskImage = 0x218;
constexpr uint64_t kRamdiskSize = 0x21c, kCmdLinePtr = 0x228, kInitrdAddrMax = 0x22c;
constexpr uint64_t kKernelAlignment = 0x230, kXloadFlags = 0x236, kCmdlineSize = 0x238;
constexpr uint64_t kPayloadOffset = 0x248, kPayloadLength = 0x24c, kPrefAddress = 0x258;
constexpr uint64_t kInitSize = 0x260, kHeaderEnd = 0x264;
constexpr uint64_t kMaxHeaderEnd = 0x290;  // where boot_params has its next field

constexpr uint16_t kBootFlagValue = 0xaa55;
constexpr uint32_t kMagicValue = 0x53726448;  // "HdrS"
constexpr uint8_t kLoadedHigh = 1, kQuiet = 1 << 5;
}  // namespace setup

struct SetupHeader {
  uint64_t load_address = 0;  // pref_address
  uint64_t init_size = 0;  // memory that the kernel uses from there before it knows the memory map
  uint64_t initrd_limit = 0;          // exclusive
  bool initrd_above_4g = false;       // where there is no room below that limit
  uint64_t command_line_limit = 0;    // without the NUL
  std::string release;                // "6.1.0-56-cloud-amd64", empty when the file does not say
  std::span<const std::byte> fields;  // from kSetupSects to the header's own end, for boot_params
  std::span<const std::byte> protected_mode;  // what is loaded
  std::span<const std::byte> payload;  // the compressed kernel within it, empty when not described
};

[[nodiscard]] bool is_bzimage(std::span<const std::byte> file);

// Refuses truncated images, 32-bit kernels and those too old for a 64-bit entry. The result borrows
// `file`.
[[nodiscard]] Result<SetupHeader> parse_setup_header(const std::string& name,
                                                     std::span<const std::byte> file);

}  // namespace husk::boot
