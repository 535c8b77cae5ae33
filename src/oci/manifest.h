// The manifest of one image (OCI manifest.md, Docker schema 2) and the choice of one from an index.
#pragma once

#include <functional>
#include <string>
#include <string_view>
#include <vector>

#include "oci/descriptor.h"

namespace husk::oci {

struct Manifest {
  Descriptor config;
  std::vector<Descriptor> layers;  // lowest first
};

// A document that could be read as an index as well as a manifest is refused (CVE-2021-41190).
[[nodiscard]] Result<Manifest> parse_manifest(std::string_view text, const std::string& subject);
[[nodiscard]] Result<std::vector<Descriptor>> parse_index(std::string_view text,
                                                          const std::string& subject);

// What is looked for in an index.
struct Wanted {
  std::string tag;           // empty: the only image there is, else the one tagged "latest"
  std::string architecture;  // Go's name; the os is always linux
};

// Reads an index's text by its descriptor, verified.
using ReadDocument = std::function<Result<std::string>(const Descriptor&)>;

// The descriptor of the one manifest that `wanted` means, starting from a layout's index.json and
// following nested indexes (at most kMaxIndexDepth deep). The tag is looked for at the top level
// only, as skopeo does; below it only the platform decides. Errors list the tags that exist.
[[nodiscard]] Result<Descriptor> select_manifest(const std::vector<Descriptor>& top,
                                                 const Wanted& wanted, const std::string& subject,
                                                 const ReadDocument& read);

}  // namespace husk::oci
