// Linux for aarch64: recognised by content, loaded into guest memory with its initrd and a device
// tree, and the state that the boot vCPU starts in (Documentation/arch/arm64/booting.rst).
//
// As boot/kernel.h: an error is one line whose subject is the kernel's name, everything is checked
// before the first byte is written, and nothing in a file can make load_kernel() touch anything but
// the RAM it is given.
#pragma once

#include <cstddef>
#include <span>
#include <string>

#include "husk/error.h"

#include "boot/arm64/device_tree.h"
#include "contract/aarch64/vcpu_state.h"
#include "memory/guest_memory.h"

namespace husk::boot::arm64 {

enum class KernelFormat {
  kImage,       // Linux's arm64 Image, an EFI stub or not
  kGzipImage,   // the same behind gzip
  kZbootImage,  // the same in Linux's EFI zboot wrapper
};

struct KernelRequest {
  std::string name;  // for messages: the file's name
  std::span<const std::byte> kernel;
  std::span<const std::byte> initrd;  // empty: none
  std::string initrd_name;
  std::string command_line;
  Machine machine;  // that the kernel is told of
};

struct LoadedKernel {
  // The fields; system registers and MPIDR are left to whoever made the vCPU, which is on.
  contract::aarch64::VcpuState entry;
  KernelFormat format = KernelFormat::kImage;
  std::string version;      // "6.1.0-56-cloud-arm64"; empty when the file does not say
  std::string description;  // "Linux 6.1.0-56-cloud-arm64, Image", for messages
};

// Tells the format without loading. The error says what the file is instead.
[[nodiscard]] Result<KernelFormat> detect(const std::string& name,
                                          std::span<const std::byte> kernel);

// Loads kernel, initrd and device tree at the places of layout.h.
[[nodiscard]] Result<LoadedKernel> load_kernel(memory::GuestMemory& memory,
                                               const KernelRequest& request);

}  // namespace husk::boot::arm64
