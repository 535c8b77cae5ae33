// For tests: OCI image layouts and docker archives, written member by member.
#pragma once

#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "oci/digest.h"
#include "oci/testing/tar_builder.h"
#include "oci/testing/temp_directory.h"

namespace husk::oci::testing {

using Json = nlohmann::json;

struct TestLayer {
  std::string tar;   // uncompressed
  std::string blob;  // as stored
  std::string media_type;
};
inline TestLayer plain_layer(const std::string& tar) {
  return {tar, tar, "application/vnd.oci.image.layer.v1.tar"};
}
inline TestLayer gzip_layer(const std::string& tar) {
  return {tar, gzip(tar), "application/vnd.oci.image.layer.v1.tar+gzip"};
}
inline TestLayer zstd_layer(const std::string& tar) {
  return {tar, zstd(tar), "application/vnd.oci.image.layer.v1.tar+zstd"};
}

inline Json config_document(const std::vector<TestLayer>& layers) {
  Json diff_ids = Json::array();
  for (const TestLayer& layer : layers) diff_ids.push_back(digest_of(layer.tar).text());
  return {{"architecture", "amd64"},
          {"os", "linux"},
          {"config", {{"Cmd", {"/bin/sh"}}, {"Env", {"PATH=/bin"}}}},
          {"rootfs", {{"type", "layers"}, {"diff_ids", diff_ids}}}};
}

// A layout in memory; nothing is checked, so that a test can spoil any of it.
class LayoutBuilder {
 public:
  LayoutBuilder() { files_["oci-layout"] = R"({"imageLayoutVersion":"1.0.0"})"; }

  Json blob(const std::string& content, const std::string& media_type) {
    const Digest digest = digest_of(content);
    files_[digest.blob_path()] = content;
    return {{"mediaType", media_type}, {"digest", digest.text()}, {"size", content.size()}};
  }
  Json manifest(const std::vector<TestLayer>& layers) {
    return manifest(layers, config_document(layers));
  }
  Json manifest(const std::vector<TestLayer>& layers, const Json& config) {
    Json list = Json::array();
    for (const TestLayer& layer : layers) list.push_back(blob(layer.blob, layer.media_type));
    const Json document{{"schemaVersion", 2},
                        {"config", blob(config.dump(), "application/vnd.oci.image.config.v1+json")},
                        {"layers", list}};
    return blob(document.dump(), "application/vnd.oci.image.manifest.v1+json");
  }
  Json index(const std::vector<Json>& manifests) {
    return blob(Json{{"schemaVersion", 2}, {"manifests", manifests}}.dump(),
                "application/vnd.oci.image.index.v1+json");
  }
  // Puts a descriptor into index.json.
  LayoutBuilder& top(Json descriptor, const std::string& tag = {}) {
    if (!tag.empty()) descriptor["annotations"]["org.opencontainers.image.ref.name"] = tag;
    top_.push_back(std::move(descriptor));
    files_["index.json"] = Json{{"schemaVersion", 2}, {"manifests", top_}}.dump();
    return *this;
  }
  LayoutBuilder& image(const std::vector<TestLayer>& layers, const std::string& tag = {}) {
    return top(manifest(layers), tag);
  }

  std::map<std::string, std::string>& files() { return files_; }
  void write(const std::string& directory) const {
    for (const auto& [name, content] : files_)
      write_file(std::string(directory).append("/").append(name), content);
  }
  [[nodiscard]] std::string tar() const {
    TarBuilder builder;
    for (const auto& [name, content] : files_) builder.file("./" + name, content);
    return builder.bytes();
  }

 private:
  std::map<std::string, std::string> files_;
  std::vector<Json> top_;
};

}  // namespace husk::oci::testing
