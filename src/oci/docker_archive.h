// The manifest.json of a `docker save` archive (skopeo's docker-archive writes the same).
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "husk/error.h"

namespace husk::oci {

// One image of the archive; the names are members of the archive, cleaned.
struct DockerImage {
  std::string config;
  std::vector<std::string> layers;  // lowest first
  std::vector<std::string> tags;    // as written
};

[[nodiscard]] Result<std::vector<DockerImage>> parse_docker_manifest(std::string_view text,
                                                                     const std::string& subject);

// `name` as in Reference: "" for the only image, "@INDEX", or NAME[:TAG] in any form that
// normalize_image_name() makes equal. Errors list the tags that exist.
[[nodiscard]] Result<DockerImage> select_docker_image(const std::vector<DockerImage>& images,
                                                      const std::string& name,
                                                      const std::string& subject);

}  // namespace husk::oci
