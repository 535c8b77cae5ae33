// The door of the room: from an image's name to its configuration and a read-only root image.
#pragma once

#include <string>

#include "husk/image.h"

#include "base/fd.h"
#include "oci/limits.h"
#include "oci/reference.h"

namespace husk::oci {

struct PrepareOptions {
  std::string cache_directory;         // empty: default_cache_directory()
  std::string architecture = "amd64";  // Go's name; "arm64" for an aarch64 guest
  Limits limits;
};

struct PreparedImage {
  image::ImageConfig config;
  std::string digest;     // "sha256:HEX": the manifest's; a docker-archive's is its configuration's
  base::Fd root;          // an EROFS file system, open for reading; holds it in the cache
  std::string root_path;  // the same in the cache; never changed once it is there
  bool from_cache = false;
};

// An image that is in the cache costs reading its index, manifest and configuration (a compressed
// archive must be decompressed to find them). Otherwise all layers are read, verified and merged,
// which needs as much space in the cache's file system as the unpacked image, twice. Needs no
// privilege; follows nothing in the image; leaves nothing behind when it fails or is killed. Any
// number of threads and processes may prepare the same image at once.
[[nodiscard]] Result<PreparedImage> prepare(const Reference& reference,
                                            const PrepareOptions& options);

}  // namespace husk::oci
