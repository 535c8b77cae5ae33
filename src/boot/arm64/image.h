// Linux's arm64 `Image` (Documentation/arch/arm64/booting.rst, 4): plain, as EFI stub kernels are
// too, or packed, as distributions that save space have it.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>

#include "husk/error.h"

#include "base/fd.h"
#include "boot/arm64/packed_image.h"

namespace husk::boot::arm64 {

enum class PageSize : uint8_t { kUnspecified = 0, k4K = 1, k16K = 2, k64K = 3 };

// The header of a kernel that can be loaded.
struct ImageHeader {
  uint64_t text_offset = 0;  // of the image from a 2 MiB aligned base
  uint64_t image_size = 0;   // of memory from the image's start; not 0, may exceed the file
  PageSize page_size = PageSize::kUnspecified;
  bool anywhere = false;  // otherwise as close to the start of RAM as can be
};

// A kernel as it goes into memory. `bytes` are the caller's, or lie in `unpacked`.
struct Image {
  ImageHeader header;
  std::span<const std::byte> bytes;  // at most header.image_size
  PackedImage packed;                // Wrapper::kNone for a plain one
  base::Mapping unpacked;
};

// True for what begins like a kernel of this kind: the Image's magic number or a wrapper's.
[[nodiscard]] bool is_image(std::span<const std::byte> file);

// `file` is a plain Image. What is something else, cut short or of the wrong kind is refused.
[[nodiscard]] Result<ImageHeader> parse_image(const std::string& name,
                                              std::span<const std::byte> file);

// Unpacks what is packed, never to more than `limit` bytes.
[[nodiscard]] Result<Image> open_image(const std::string& name, std::span<const std::byte> file,
                                       uint64_t limit);

// "6.1.0-56-cloud-arm64", by the banner that every Linux has in it; empty when there is none.
[[nodiscard]] std::string linux_release(std::span<const std::byte> image);

}  // namespace husk::boot::arm64
