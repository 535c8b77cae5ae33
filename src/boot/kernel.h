// Kernels: recognised by content, loaded into guest memory, with the state that the boot vCPU
// starts in.
//
// An error is one line whose subject is the kernel's name. Everything is checked before the first
// byte is written, so a refused kernel leaves memory as it was. Nothing in a file can make
// load_kernel() touch anything but the RAM it is given, or keep more of the host's memory than
// kMaxVmlinux while it runs.
#pragma once

#include <cstddef>
#include <span>
#include <string>

#include "husk/error.h"

#include "contract/address.h"
#include "contract/x86/vcpu_state.h"
#include "memory/guest_memory.h"

namespace husk::boot {

enum class KernelFormat {
  kBzImage,    // Linux's compressed image
  kElfPvh,     // ELF with the note XEN_ELFNOTE_PHYS32_ENTRY (Xen's PVH boot ABI); vmlinux, usually
  kElf64,      // x86-64 ELF without that note: a Linux whose entry follows the 64-bit boot protocol
  kMultiboot,  // Multiboot 1, ELF or with addresses in its header
};

// How the kernel is entered.
enum class BootPath {
  kAuto,  // a bzImage is unpacked on the host if it can be; a PVH note is preferred to the 64-bit
          // entry
  kBzImage64,  // the bzImage as it is, which unpacks itself (and randomises its addresses)
  kPvh,        // by the PVH note; a bzImage is unpacked first
  kElf64,      // by the 64-bit boot protocol at the ELF entry; a bzImage is unpacked first
  kMultiboot,
};

struct KernelRequest {
  std::string name;  // for messages: the file's name
  std::span<const std::byte> kernel;
  std::span<const std::byte> initrd;  // empty: none
  std::string initrd_name;
  std::string command_line;  // for Multiboot, `name` is put before it, as boot loaders do
  Gpa rsdp;                  // 0: none
  BootPath path = BootPath::kAuto;
};

struct LoadedKernel {
  // All registers; the MSRs besides EFER and the local APIC are left to whoever made the vCPU.
  contract::x86::VcpuState entry;
  KernelFormat format = KernelFormat::kBzImage;  // of the file
  BootPath path = BootPath::kAuto;               // taken, never kAuto
  std::string version;      // "6.1.0-56-cloud-amd64"; empty when the file does not say
  std::string description;  // "Linux 6.1.0-56-cloud-amd64, unpacked (lz4), PVH entry", for messages
};

// Tells the format without loading. The error says what the file is instead.
[[nodiscard]] Result<KernelFormat> detect(const std::string& name,
                                          std::span<const std::byte> kernel);

// Loads kernel, initrd, command line and the boot protocol's structures at the places of layout.h.
[[nodiscard]] Result<LoadedKernel> load_kernel(memory::GuestMemory& memory,
                                               const KernelRequest& request);

// The release that a bzImage names, e.g. "6.1.0-56-cloud-amd64"; empty when it names none.
[[nodiscard]] std::string bzimage_release(std::span<const std::byte> kernel);

}  // namespace husk::boot
