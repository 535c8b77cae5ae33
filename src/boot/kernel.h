// Kernels: recognised by content, loaded into guest memory, with the state that the boot vCPU starts in.
#pragma once

#include <cstddef>
#include <optional>
#include <span>
#include <string>

#include "contract/address.h"
#include "contract/x86/vcpu_state.h"
#include "husk/error.h"
#include "memory/guest_memory.h"

namespace husk::boot {

enum class KernelFormat { kBzImage, kElfPvh, kMultiboot };

struct KernelRequest {
  std::string name;                     // for messages: the file's name
  std::span<const std::byte> kernel;
  std::span<const std::byte> initrd;    // empty: none
  std::string initrd_name;
  std::string command_line;
  Gpa rsdp;                             // 0: none
};

struct LoadedKernel {
  contract::x86::VcpuState entry;
  KernelFormat format = KernelFormat::kBzImage;
  std::string version;                  // "6.1.0-56-cloud-amd64"; empty when the file does not say
};

// Tells the format without loading. The error says what the file is not.
[[nodiscard]] Result<KernelFormat> detect(const std::string& name, std::span<const std::byte> kernel);

// Loads kernel, initrd, command line and the boot protocol's structures. Everything is checked against the guest's
// RAM; nothing in a file can make it touch anything else.
[[nodiscard]] Result<LoadedKernel> load_kernel(memory::GuestMemory& memory, const KernelRequest& request);

// The release that a bzImage names, e.g. "6.1.0-56-cloud-amd64"; empty when it names none.
[[nodiscard]] std::string bzimage_release(std::span<const std::byte> kernel);

}  // namespace husk::boot
