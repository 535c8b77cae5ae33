// The media types of OCI (media-types.md) and of Docker's registry format (schema 2) that Husk
// reads.
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "husk/error.h"

#include "oci/decompress.h"

namespace husk::oci {

enum class DocumentType { kIndex, kManifest };

// nullopt for anything else; an empty type (allowed inside a document) is nullopt too.
[[nodiscard]] std::optional<DocumentType> document_type(std::string_view media_type);

// What a layer's media type says about its compression. Docker's types say nothing (nullopt
// inside): Docker itself goes by the magic number, and images that disagree exist.
struct LayerType {
  std::optional<Compression> declared;
};
// kUnsupported for anything that is not a tar layer, with a reason for encrypted ones.
[[nodiscard]] Result<LayerType> layer_type(std::string_view media_type, const std::string& subject);

}  // namespace husk::oci
