// The kernel proper inside a bzImage: unpacked on the host, so that the guest does not spend its
// start on it.
#pragma once

#include <cstddef>
#include <span>
#include <string>

#include "husk/error.h"

#include "base/fd.h"
#include "boot/decompress.h"
#include "boot/setup_header.h"

namespace husk::boot {

// No kernel is larger; an image that says so is refused before anything is unpacked.
constexpr uint64_t kMaxVmlinux = uint64_t{1} << 30;

struct Vmlinux {
  base::Mapping bytes;  // an ELF file; Linux's own relocation table may follow it
  Compression compression = Compression::kUnknown;
};

// kUnsupported where the payload is missing or of a compression that is not built in: the bzImage
// may still unpack itself. kCorrupt where the payload is damaged, kLimit beyond `limit` bytes
// unpacked.
[[nodiscard]] Result<Vmlinux> extract_vmlinux(const std::string& name, const SetupHeader& header,
                                              uint64_t limit = kMaxVmlinux);

}  // namespace husk::boot
