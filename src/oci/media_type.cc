#include "oci/media_type.h"

#include <array>
#include <utility>

namespace husk::oci {
namespace {

constexpr std::string_view kOciPrefix = "application/vnd.oci.image.";
constexpr std::string_view kDockerLayer = "application/vnd.docker.image.rootfs.";

std::optional<Compression> oci_layer_compression(std::string_view media_type) {
  if (!media_type.starts_with(kOciPrefix)) return std::nullopt;
  media_type.remove_prefix(kOciPrefix.size());
  for (const std::string_view kind : {"layer.v1.tar", "layer.nondistributable.v1.tar"}) {
    if (!media_type.starts_with(kind)) continue;
    const std::string_view suffix = media_type.substr(kind.size());
    if (suffix.empty()) return Compression::kNone;
    if (suffix == "+gzip") return Compression::kGzip;
    if (suffix == "+zstd") return Compression::kZstd;
  }
  return std::nullopt;
}

bool is_docker_layer(std::string_view media_type) {
  if (!media_type.starts_with(kDockerLayer)) return false;
  media_type.remove_prefix(kDockerLayer.size());
  for (const std::string_view kind :
       {"diff.tar", "diff.tar.gzip", "diff.tar.zstd", "foreign.diff.tar", "foreign.diff.tar.gzip"})
    if (media_type == kind) return true;
  return false;
}

}  // namespace

std::optional<DocumentType> document_type(std::string_view media_type) {
  constexpr std::array<std::pair<std::string_view, DocumentType>, 4> kKnown{{
      {"application/vnd.oci.image.index.v1+json", DocumentType::kIndex},
      {"application/vnd.docker.distribution.manifest.list.v2+json", DocumentType::kIndex},
      {"application/vnd.oci.image.manifest.v1+json", DocumentType::kManifest},
      {"application/vnd.docker.distribution.manifest.v2+json", DocumentType::kManifest},
  }};
  for (const auto& [name, type] : kKnown)
    if (name == media_type) return type;
  return std::nullopt;
}

Result<LayerType> layer_type(std::string_view media_type, const std::string& subject) {
  if (const auto compression = oci_layer_compression(media_type)) return LayerType{compression};
  if (is_docker_layer(media_type)) return LayerType{};
  if (media_type.ends_with("+encrypted"))
    return fail(ErrorKind::kUnsupported, subject, "the layer is encrypted");
  return fail(ErrorKind::kUnsupported, subject,
              "not a tar layer: media type '" + std::string(media_type.substr(0, 128)) + "'");
}

}  // namespace husk::oci
