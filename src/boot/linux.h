// Linux by the protocols that it has for the boot vCPU: the 64-bit one
// (Documentation/arch/x86/boot.rst), for the bzImage and for an unpacked vmlinux, and PVH
// (Documentation/arch/x86/pvh, Xen's docs/misc/pvh).
#pragma once

#include <span>

#include "boot/elf_image.h"
#include "boot/loading.h"
#include "boot/setup_header.h"

namespace husk::boot {

// What is known of a vmlinux from the bzImage that it came out of; defaults for a file on its own.
struct LinuxLimits {
  std::span<const std::byte> setup_fields;  // for boot_params
  uint64_t initrd = kInitrdLimit;           // exclusive
  bool initrd_above_4g = false;
  uint64_t command_line = kCommandLineLimit;
};

[[nodiscard]] Result<contract::x86::VcpuState> load_bzimage64(Loading& loading,
                                                              const SetupHeader& header);

// `file` holds the bytes that `image` describes.
[[nodiscard]] Result<contract::x86::VcpuState> load_elf64(Loading& loading,
                                                          std::span<const std::byte> file,
                                                          const ElfImage& image,
                                                          const LinuxLimits& limits);
// The image has a pvh_entry.
[[nodiscard]] Result<contract::x86::VcpuState> load_pvh(Loading& loading,
                                                        std::span<const std::byte> file,
                                                        const ElfImage& image,
                                                        const LinuxLimits& limits);

}  // namespace husk::boot
