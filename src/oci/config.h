// The image configuration document (config.md; Docker's image JSON is its ancestor and has the same
// fields).
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "husk/image.h"

#include "oci/digest.h"

namespace husk::oci {

struct ConfigDocument {
  image::ImageConfig config;
  std::vector<Digest> diff_ids;  // of the uncompressed layers, lowest first
};

[[nodiscard]] Result<ConfigDocument> parse_config(std::string_view text,
                                                  const std::string& subject);

}  // namespace husk::oci
