// Whether a manifest that has all its fields makes sense.
#pragma once

#include <string>

#include "husk/error.h"

#include "snapshot/manifest.h"

namespace husk::snapshot {

// Regions, parent, compression and parts fit each other, the limits, and a file whose manifest
// begins at `manifest_offset`.
[[nodiscard]] Result<void> check_manifest(const Manifest& manifest, uint64_t manifest_offset,
                                          const std::string& subject);

}  // namespace husk::snapshot
