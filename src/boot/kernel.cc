#include "boot/kernel.h"

#include <fmt/core.h>

#include <utility>

#include "base/try.h"
#include "boot/elf_image.h"
#include "boot/foreign.h"
#include "boot/layout.h"
#include "boot/linux.h"
#include "boot/loading.h"
#include "boot/multiboot.h"
#include "boot/setup_header.h"
#include "boot/vmlinux.h"

namespace husk::boot {
namespace {

using contract::x86::VcpuState;

constexpr uint64_t kLeastMemory = 2 * kHighMemory;

std::string linux_name(const std::string& release) {
  return release.empty() ? "Linux" : "Linux " + release;
}

std::unexpected<Error> cannot(const KernelRequest& request, const char* path) {
  return fail(ErrorKind::kUnsupported, request.name, fmt::format("cannot be started {}", path));
}

// An ELF kernel by the PVH note, or by the 64-bit protocol.
Result<LoadedKernel> load_elf(Loading& loading, std::span<const std::byte> file,
                              const ElfImage& image, const LinuxLimits& limits) {
  const BootPath path = loading.request.path;
  LoadedKernel loaded;
  if (path == BootPath::kPvh || (path == BootPath::kAuto && image.pvh_entry)) {
    if (!image.pvh_entry) return cannot(loading.request, "by PVH: it has no PVH entry note");
    loaded.entry = HUSK_TRY(load_pvh(loading, file, image, limits));
    loaded.path = BootPath::kPvh;
  } else {
    if (!image.wide || !image.x86_64)
      return cannot(loading.request, "by the 64-bit boot protocol: it is a 32-bit (i386) file");
    loaded.entry = HUSK_TRY(load_elf64(loading, file, image, limits));
    loaded.path = BootPath::kElf64;
  }
  loaded.description = loaded.path == BootPath::kPvh ? "PVH entry" : "64-bit entry";
  return loaded;
}

Result<LoadedKernel> load_unpacked(Loading& loading, const SetupHeader& header,
                                   const Vmlinux& vmlinux) {
  const auto file = vmlinux.bytes.bytes();
  const ElfImage image = HUSK_TRY(parse_elf(loading.request.name, file));
  LoadedKernel loaded = HUSK_TRY(load_elf(
      loading, file, image,
      {header.fields, header.initrd_limit, header.initrd_above_4g, header.command_line_limit}));
  loaded.description = fmt::format("{}, unpacked ({}), {}", linux_name(header.release),
                                   compression_name(vmlinux.compression), loaded.description);
  return loaded;
}

Result<LoadedKernel> load_packed(Loading& loading, const SetupHeader& header) {
  LoadedKernel loaded;
  loaded.entry = HUSK_TRY(load_bzimage64(loading, header));
  loaded.path = BootPath::kBzImage64;
  loaded.description = linux_name(header.release) + ", bzImage";
  return loaded;
}

Result<LoadedKernel> load_bzimage(Loading& loading) {
  const KernelRequest& request = loading.request;
  if (request.path == BootPath::kMultiboot) return cannot(request, "by Multiboot: it is a bzImage");
  const SetupHeader header = HUSK_TRY(parse_setup_header(request.name, request.kernel));
  const auto load = [&]() -> Result<LoadedKernel> {
    if (request.path == BootPath::kBzImage64) return load_packed(loading, header);
    const auto vmlinux = extract_vmlinux(request.name, header, loading.memory.size());
    if (vmlinux) return load_unpacked(loading, header, *vmlinux);
    const bool unknown = vmlinux.error().kind == ErrorKind::kUnsupported;
    if (unknown && request.path == BootPath::kAuto) return load_packed(loading, header);
    return std::unexpected(vmlinux.error());
  };
  LoadedKernel loaded = HUSK_TRY(load());
  loaded.format = KernelFormat::kBzImage;
  loaded.version = header.release;
  return loaded;
}

Result<LoadedKernel> load_elf_file(Loading& loading, KernelFormat format) {
  const KernelRequest& request = loading.request;
  if (request.path == BootPath::kBzImage64 || request.path == BootPath::kMultiboot)
    return cannot(request, "in that way: it is an ELF kernel");
  const ElfImage image = HUSK_TRY(parse_elf(request.name, request.kernel));
  LoadedKernel loaded = HUSK_TRY(load_elf(loading, request.kernel, image, {}));
  loaded.format = format;
  loaded.description = "ELF kernel, " + loaded.description;
  return loaded;
}

Result<LoadedKernel> load_multiboot_file(Loading& loading) {
  const KernelRequest& request = loading.request;
  if (request.path != BootPath::kAuto && request.path != BootPath::kMultiboot)
    return cannot(request, "in that way: it is a Multiboot kernel");
  LoadedKernel loaded;
  loaded.entry = HUSK_TRY(load_multiboot(loading, *find_multiboot(request.kernel)));
  loaded.format = KernelFormat::kMultiboot;
  loaded.path = BootPath::kMultiboot;
  loaded.description = "Multiboot kernel";
  return loaded;
}

}  // namespace

Result<KernelFormat> detect(const std::string& name, std::span<const std::byte> kernel) {
  if (is_bzimage(kernel)) return KernelFormat::kBzImage;
  const bool multiboot = find_multiboot(kernel).has_value();
  if (is_elf(kernel)) {
    const auto image = parse_elf(name, kernel);
    if (!image) return std::unexpected(image.error());
    if (image->pvh_entry) return KernelFormat::kElfPvh;
    if (multiboot) return KernelFormat::kMultiboot;
    if (image->wide && image->x86_64) return KernelFormat::kElf64;
    return fail(ErrorKind::kUnsupported, name,
                "a 32-bit (i386) ELF file with neither a PVH note nor a Multiboot header");
  }
  if (multiboot) return KernelFormat::kMultiboot;
  return not_a_kernel(name, kernel);
}

Result<LoadedKernel> load_kernel(memory::GuestMemory& memory, const KernelRequest& request) {
  const memory::Region& first = memory.regions().front();
  if (first.start != Gpa{0} || first.size < kLeastMemory)
    return fail(ErrorKind::kLimit, request.name,
                "needs at least 2 MiB of guest memory from address 0");
  const KernelFormat format = HUSK_TRY(detect(request.name, request.kernel));
  Loading loading(memory, request);
  switch (format) {
    case KernelFormat::kBzImage:
      return load_bzimage(loading);
    case KernelFormat::kMultiboot:
      return load_multiboot_file(loading);
    case KernelFormat::kElfPvh:
    case KernelFormat::kElf64:
      break;
  }
  return load_elf_file(loading, format);
}

std::string bzimage_release(std::span<const std::byte> kernel) {
  if (!is_bzimage(kernel)) return {};
  const auto header = parse_setup_header({}, kernel);
  return header ? header->release : std::string{};
}

}  // namespace husk::boot
