// A descriptor (OCI image-spec, descriptor.md): the typed, sized, digested pointer from one
// document to another.
#pragma once

#include <optional>
#include <string>

#include "oci/digest.h"
#include "oci/json.h"

namespace husk::oci {

struct Platform {
  std::string architecture;
  std::string os;
};

struct Descriptor {
  std::string media_type;  // may be empty
  Digest digest;
  uint64_t size = 0;
  std::optional<Platform> platform;  // in an index
  std::string ref_name;              // annotation org.opencontainers.image.ref.name, or empty
};

[[nodiscard]] Result<Descriptor> parse_descriptor(const Json& value, const std::string& subject);

}  // namespace husk::oci
