// A named image, opened: its configuration and the layers to merge, whatever the transport.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "husk/image.h"

#include "oci/blob_store.h"
#include "oci/decompress.h"
#include "oci/digest.h"
#include "oci/limits.h"
#include "oci/reference.h"

namespace husk::oci {

struct LayerSource {
  std::string blob;              // name in the store
  std::optional<Digest> digest;  // of the blob; a docker-archive states none
  std::optional<uint64_t> size;  // of the blob
  Digest diff_id;                // of the uncompressed tar
  std::optional<Compression> declared;
};

struct ImageSource {
  image::ImageConfig config;
  // The manifest's; for a docker-archive, which has none, the configuration's: Docker's image ID.
  // Either determines every byte of the layers.
  Digest digest;
  std::vector<LayerSource> layers;  // lowest first
  std::unique_ptr<BlobStore> store;
};

struct SourceOptions {
  std::string architecture;       // Go's name
  std::string scratch_directory;  // exists; for compressed archives only
  Limits limits;
};

// Reads index, manifest and configuration, verified by digest, and no layer.
[[nodiscard]] Result<ImageSource> open_image(const Reference& reference,
                                             const SourceOptions& options);

}  // namespace husk::oci
