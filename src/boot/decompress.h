// The compressions that Linux wraps its kernels in, undone into a buffer of known size. One
// function each, over the format's own library; what the bytes mean is vmlinux.h's business.
#pragma once

#include <cstddef>
#include <span>

namespace husk::boot {

enum class Compression { kUnknown, kGzip, kLz4, kXz, kZstd };

[[nodiscard]] const char* compression_name(Compression compression);

// By the stream's first bytes.
[[nodiscard]] Compression detect_compression(std::span<const std::byte> packed);

// Whether `packed` is a stream of that kind that gives exactly out.size() bytes. Never writes
// beyond `out`; working memory is bounded by the libraries' windows (xz: 256 MiB at most). Bytes
// after the stream's end are ignored, except for lz4, whose old framing has no end: there the last
// four must be the size that Linux appends.
[[nodiscard]] bool decompress(Compression compression, std::span<const std::byte> packed,
                              std::span<std::byte> out);

}  // namespace husk::boot
