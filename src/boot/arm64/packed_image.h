// An Image that has to be unpacked first, for arm64 kernels do not unpack themselves: a gzip file
// (booting.rst, 3) or Linux's EFI zboot wrapper (drivers/firmware/efi/libstub/zboot-header.S),
// which is a program for EFI with the compressed Image as its data.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string>

#include "husk/error.h"

#include "base/fd.h"
#include "boot/decompress.h"

namespace husk::boot::arm64 {

enum class Wrapper : uint8_t { kNone, kGzip, kZboot };

struct PackedImage {
  Wrapper wrapper = Wrapper::kNone;
  Compression compression = Compression::kUnknown;
  std::span<const std::byte> stream;  // its last four bytes are the unpacked size
};

[[nodiscard]] Wrapper detect_wrapper(std::span<const std::byte> file);

// `file` has a wrapper.
[[nodiscard]] Result<PackedImage> find_packed(const std::string& name,
                                              std::span<const std::byte> file);

// Never more than `limit` bytes; what they are is the caller's business.
[[nodiscard]] Result<base::Mapping> unpack(const std::string& name, const PackedImage& packed,
                                           uint64_t limit);

}  // namespace husk::boot::arm64
