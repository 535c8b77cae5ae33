#include "boot/kernel.h"

#include "boot/bzimage.h"
#include "boot/elf.h"
#include "boot/file_view.h"
#include "boot/layout.h"
#include "base/try.h"

namespace husk::boot {

Result<KernelFormat> detect(const std::string& name, std::span<const std::byte> kernel) {
  constexpr uint32_t kArm64Magic = 0x644d5241;
  if (kernel.empty()) return fail(ErrorKind::kCorrupt, name, "empty file, not a kernel");
  if (is_bzimage(kernel)) return KernelFormat::kBzImage;
  if (is_elf(kernel) && pvh_entry(kernel)) return KernelFormat::kElfPvh;
  if (is_multiboot(kernel)) return KernelFormat::kMultiboot;
  if (is_elf(kernel)) return fail(ErrorKind::kUnsupported, name, "ELF file with neither a PVH note nor a Multiboot header");
  if (FileView(kernel).get<uint32_t>(56) == kArm64Magic)
    return fail(ErrorKind::kUnsupported, name, "kernel for aarch64, this machine is x86-64");
  return fail(ErrorKind::kCorrupt, name, "not a kernel (neither bzImage, ELF with PVH, nor Multiboot)");
}

Result<LoadedKernel> load_kernel(memory::GuestMemory& memory, const KernelRequest& request) {
  if (memory.regions().front().start != Gpa{0} || memory.regions().front().size < 2 * kHighMemory)
    return fail(ErrorKind::kInvalidArgument, "guest memory", "a kernel needs 2 MiB at least");
  switch (HUSK_TRY(detect(request.name, request.kernel))) {
    case KernelFormat::kBzImage: return load_bzimage(memory, request);
    case KernelFormat::kMultiboot: return load_multiboot(memory, request);
    default: return load_elf(memory, request);
  }
}

}  // namespace husk::boot
