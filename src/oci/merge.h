// All layers of an image, verified and merged into one tree.
#pragma once

#include "oci/image_source.h"
#include "oci/spool.h"
#include "oci/tree.h"

namespace husk::oci {

// Reads every layer once. The tree and the spool are to be trusted only when this succeeds: digests
// are known at each layer's end. `subject` is the image's name for errors.
[[nodiscard]] Result<Tree> merge_layers(const ImageSource& image, const Limits& limits,
                                        Spool& spool, const std::string& subject);

}  // namespace husk::oci
