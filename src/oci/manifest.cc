#include "oci/manifest.h"

#include "base/try.h"
#include "oci/limits.h"
#include "oci/media_type.h"

namespace husk::oci {
namespace {

Result<void> check_media_type(const Json& document, DocumentType wanted,
                              const std::string& subject) {
  const std::string stated = HUSK_TRY(string_member(document, "mediaType", subject));
  if (!stated.empty() && document_type(stated) != wanted)
    return fail(ErrorKind::kCorrupt, subject, "states another media type than it was found by");
  return {};
}

}  // namespace

Result<Manifest> parse_manifest(std::string_view text, const std::string& subject) {
  const Json document = HUSK_TRY(parse_json(text, subject));
  if (member(document, "manifests") != nullptr)
    return fail(ErrorKind::kCorrupt, subject, "is an index where a manifest was expected");
  if (member(document, "fsLayers") != nullptr)
    return fail(ErrorKind::kUnsupported, subject, "Docker manifest schema 1 is too old");
  HUSK_TRY(check_media_type(document, DocumentType::kManifest, subject));

  const Json* config = HUSK_TRY(object_member(document, "config", subject));
  const Json* layers = HUSK_TRY(array_member(document, "layers", subject));
  if (config == nullptr || layers == nullptr)
    return fail(ErrorKind::kCorrupt, subject, "a manifest without config or layers");
  if (layers->size() > kMaxLayers)
    return fail(ErrorKind::kLimit, subject, "more than " + std::to_string(kMaxLayers) + " layers");
  Manifest manifest{HUSK_TRY(parse_descriptor(*config, subject)), {}};
  for (const Json& layer : *layers)
    manifest.layers.push_back(HUSK_TRY(parse_descriptor(layer, subject)));
  return manifest;
}

Result<std::vector<Descriptor>> parse_index(std::string_view text, const std::string& subject) {
  const Json document = HUSK_TRY(parse_json(text, subject));
  if (member(document, "layers") != nullptr || member(document, "config") != nullptr)
    return fail(ErrorKind::kCorrupt, subject, "is a manifest where an index was expected");
  HUSK_TRY(check_media_type(document, DocumentType::kIndex, subject));
  const Json* entries = HUSK_TRY(array_member(document, "manifests", subject));
  if (entries == nullptr) return fail(ErrorKind::kCorrupt, subject, "an index without manifests");
  if (entries->size() > kMaxIndexEntries)
    return fail(ErrorKind::kLimit, subject, "an index with too many entries");
  std::vector<Descriptor> descriptors;
  for (const Json& entry : *entries)
    descriptors.push_back(HUSK_TRY(parse_descriptor(entry, subject)));
  return descriptors;
}

}  // namespace husk::oci
