// One level of decompression: none, gzip or zstd, recognised by its first bytes.
#pragma once

#include <memory>
#include <string>

#include "oci/byte_source.h"

namespace husk::oci {

enum class Compression { kNone, kGzip, kZstd };

[[nodiscard]] const char* compression_name(Compression compression);

// The uncompressed bytes of `source`, and what it was. Compressions that OCI does not define
// (bzip2, xz) are kUnsupported.
struct Decompressed {
  std::unique_ptr<ByteSource> source;
  Compression compression = Compression::kNone;
};
[[nodiscard]] Result<Decompressed> decompress(std::unique_ptr<ByteSource> source,
                                              const std::string& subject);

}  // namespace husk::oci
