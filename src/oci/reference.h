// How an image is named on the command line: the local transports of skopeo, with its syntax.
#pragma once

#include <string>
#include <string_view>

#include "husk/error.h"

namespace husk::oci {

enum class Transport { kOci, kOciArchive, kDockerArchive };

// oci:DIR[:TAG], oci-archive:FILE[:TAG] or docker-archive:FILE[:NAME[:TAG] | :@INDEX]. As in
// skopeo, the path ends at its first colon, so a path that holds one cannot be named.
struct Reference {
  Transport transport = Transport::kOci;
  std::string path;  // as written, relative to the working directory
  std::string name;  // what follows the path; empty: the archive's only image
  std::string text;  // the whole reference as written, for messages
};

// kInvalidArgument names the text and the accepted forms. Nothing is opened.
[[nodiscard]] Result<Reference> parse_reference(std::string_view text);

// Docker's full form of a short name: "busybox" is "docker.io/library/busybox:latest". Two names
// that differ only in what was left out compare equal after this.
[[nodiscard]] std::string normalize_image_name(std::string_view name);

}  // namespace husk::oci
