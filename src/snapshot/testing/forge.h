// For tests: a snapshot file with other things in it and all digests right, as only someone who
// means harm writes it.
#pragma once

#include <functional>
#include <nlohmann/json.hpp>
#include <string>

#include "snapshot/header.h"
#include "snapshot/testing/machine.h"

namespace husk::snapshot::testing {

using Json = nlohmann::ordered_json;

inline std::span<const std::byte> as_span(const std::string& text) {
  return std::as_bytes(std::span(text));
}

class Forgery {
 public:
  explicit Forgery(std::string content) : content_(std::move(content)) {
    HeaderPage page{};
    std::memcpy(page.data(), content_.data(), page.size());
    const Header header = *decode_header(page, content_.size(), "forgery");
    manifest_ = Json::parse(content_.substr(header.manifest_offset));
    content_.resize(header.manifest_offset);
  }

  Json& manifest() { return manifest_; }
  // The bytes of a part, to be changed; their number stays.
  Forgery& change_part(size_t index, const std::function<void(std::string&)>& change) {
    Json& part = manifest_["parts"][index];
    const size_t offset = part["offset"];
    const size_t size = part["size"];
    std::string bytes = content_.substr(offset, size);
    change(bytes);
    content_.replace(offset, size, bytes);
    part["sha256"] = to_hex(sha256(as_span(bytes)));
    return *this;
  }
  // One number of the run table: 0 at, 1 length, 2 offset, 3 stored.
  Forgery& set_run(size_t run, size_t field, uint64_t value) {
    return change_part(0, [&](std::string& table) {
      std::memcpy(table.data() + run * 32 + field * 8, &value, sizeof value);
    });
  }

  [[nodiscard]] std::string file() const { return file(manifest_.dump()); }
  [[nodiscard]] std::string file(const std::string& manifest) const {
    std::string content = content_ + manifest;
    const Header header{content.size(), content_.size(), manifest.size(),
                        sha256(as_span(manifest))};
    const HeaderPage page = *encode(header);
    std::memcpy(content.data(), page.data(), page.size());
    return content;
  }

 private:
  std::string content_;  // up to the manifest
  Json manifest_;
};

}  // namespace husk::snapshot::testing
