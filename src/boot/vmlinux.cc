#include "boot/vmlinux.h"

#include <fmt/core.h>
#include <sys/mman.h>

#include <algorithm>

#include "base/try.h"
#include "boot/elf_image.h"
#include "boot/file_view.h"
#include "boot/placement.h"

namespace husk::boot {
namespace {

// Linux's build appends the unpacked size, four bytes; gzip's own trailer ends with the same
// number.
uint64_t unpacked_size(std::span<const std::byte> payload) {
  return FileView(payload).get<uint32_t>(payload.size() - sizeof(uint32_t)).value_or(0);
}

}  // namespace

Result<Vmlinux> extract_vmlinux(const std::string& name, const SetupHeader& header,
                                uint64_t limit) {
  const auto payload = header.payload;
  const Compression compression = detect_compression(payload);
  if (compression == Compression::kUnknown)
    return fail(ErrorKind::kUnsupported, name, "the kernel inside is packed in an unknown way");
  const uint64_t size = unpacked_size(payload);
  if (size > std::min(limit, kMaxVmlinux))
    return fail(ErrorKind::kLimit, name,
                fmt::format("the kernel inside unpacks to {}, there is room for {}",
                            readable_size(size), readable_size(std::min(limit, kMaxVmlinux))));
  const auto damaged = [&] {
    return fail(ErrorKind::kCorrupt, name,
                fmt::format("the kernel inside ({}) is damaged", compression_name(compression)));
  };
  if (size == 0 || size > header.init_size) return damaged();
  Vmlinux vmlinux;
  vmlinux.compression = compression;
  vmlinux.bytes = HUSK_TRY(base::Mapping::map(
      size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0, name));
  if (!decompress(compression, payload, vmlinux.bytes.bytes()) || !is_elf(vmlinux.bytes.bytes()))
    return damaged();
  return vmlinux;
}

}  // namespace husk::boot
