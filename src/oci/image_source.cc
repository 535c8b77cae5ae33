#include "oci/image_source.h"

#include <fmt/format.h>

#include "base/try.h"
#include "oci/config.h"
#include "oci/docker_archive.h"
#include "oci/json.h"
#include "oci/manifest.h"
#include "oci/media_type.h"

namespace husk::oci {
namespace {

std::string layer_subject(const std::string& subject, size_t index) {
  return fmt::format("{}: layer {}", subject, index + 1);
}

Result<std::string> read_blob(BlobStore& store, const Descriptor& descriptor) {
  return read_document(store, descriptor.digest.blob_path(), descriptor.digest, descriptor.size);
}

Result<void> check_layout_version(BlobStore& store, const std::string& subject) {
  const std::string text = HUSK_TRY(read_document(store, "oci-layout"));
  const Json document = HUSK_TRY(parse_json(text, subject + ": oci-layout"));
  const std::string version = HUSK_TRY(string_member(document, "imageLayoutVersion", subject));
  if (version.starts_with("1.")) return {};
  return fail(ErrorKind::kUnsupported, subject,
              "image layout version '" + version + "'; expected 1.x");
}

Result<void> check_platform(const image::ImageConfig& config, const std::string& architecture,
                            const std::string& subject) {
  if ((config.os == "linux" || config.os.empty()) &&
      (config.architecture == architecture || config.architecture.empty()))
    return {};
  return fail(ErrorKind::kUnsupported, subject,
              fmt::format("the image is for {}/{}, not linux/{}", config.os, config.architecture,
                          architecture));
}

Result<void> check_layer_count(size_t layers, const ConfigDocument& config,
                               const std::string& subject) {
  if (layers == config.diff_ids.size()) return {};
  return fail(
      ErrorKind::kCorrupt, subject,
      fmt::format("{} layers, but its configuration lists {}", layers, config.diff_ids.size()));
}

Result<std::vector<LayerSource>> layer_sources(const Manifest& manifest,
                                               const ConfigDocument& config,
                                               const std::string& subject) {
  HUSK_TRY(check_layer_count(manifest.layers.size(), config, subject));
  std::vector<LayerSource> layers;
  for (size_t i = 0; i < manifest.layers.size(); ++i) {
    const Descriptor& layer = manifest.layers[i];
    const LayerType type = HUSK_TRY(layer_type(layer.media_type, layer_subject(subject, i)));
    layers.push_back(
        {layer.digest.blob_path(), layer.digest, layer.size, config.diff_ids[i], type.declared});
  }
  return layers;
}

Result<ImageSource> open_layout(std::unique_ptr<BlobStore> store, const Reference& reference,
                                const SourceOptions& options) {
  const std::string& subject = reference.text;
  HUSK_TRY(check_layout_version(*store, subject));
  const std::string index_text = HUSK_TRY(read_document(*store, "index.json"));
  const auto index = HUSK_TRY(parse_index(index_text, subject + ": index.json"));
  const Descriptor chosen = HUSK_TRY(select_manifest(
      index, {.tag = reference.name, .architecture = options.architecture}, subject,
      [&store](const Descriptor& descriptor) { return read_blob(*store, descriptor); }));
  const std::string manifest_text = HUSK_TRY(read_blob(*store, chosen));
  const Manifest manifest = HUSK_TRY(parse_manifest(manifest_text, subject + ": manifest"));
  const std::string config_text = HUSK_TRY(read_blob(*store, manifest.config));
  ConfigDocument config = HUSK_TRY(parse_config(config_text, subject + ": config"));
  HUSK_TRY(check_platform(config.config, options.architecture, subject));
  auto layers = HUSK_TRY(layer_sources(manifest, config, subject));
  return ImageSource{std::move(config.config), chosen.digest, std::move(layers), std::move(store)};
}

Result<ImageSource> open_docker_archive(std::unique_ptr<BlobStore> store,
                                        const Reference& reference, const SourceOptions& options) {
  const std::string& subject = reference.text;
  const std::string text = HUSK_TRY(read_document(*store, "manifest.json"));
  const auto images = HUSK_TRY(parse_docker_manifest(text, subject + ": manifest.json"));
  const DockerImage image = HUSK_TRY(select_docker_image(images, reference.name, subject));
  const std::string config_text = HUSK_TRY(read_document(*store, image.config));
  ConfigDocument config = HUSK_TRY(parse_config(config_text, subject + ": config"));
  HUSK_TRY(check_platform(config.config, options.architecture, subject));
  HUSK_TRY(check_layer_count(image.layers.size(), config, subject));
  std::vector<LayerSource> layers;
  layers.reserve(image.layers.size());
  for (size_t i = 0; i < image.layers.size(); ++i)
    layers.push_back(
        {image.layers[i], std::nullopt, std::nullopt, config.diff_ids[i], std::nullopt});
  return ImageSource{std::move(config.config), digest_of(config_text), std::move(layers),
                     std::move(store)};
}

}  // namespace

Result<ImageSource> open_image(const Reference& reference, const SourceOptions& options) {
  if (reference.transport == Transport::kOci)
    return open_layout(HUSK_TRY(open_layout_directory(reference.path, reference.text)), reference,
                       options);
  auto archive = HUSK_TRY(open_archive(reference.path, reference.text, options.scratch_directory,
                                       options.limits.layer_bytes));
  if (reference.transport == Transport::kOciArchive)
    return open_layout(std::move(archive), reference, options);
  return open_docker_archive(std::move(archive), reference, options);
}

}  // namespace husk::oci
