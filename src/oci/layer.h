// One layer: a tar of changes (OCI image-spec, layer.md), read whole and then applied to the tree.
#pragma once

#include <string>
#include <vector>

#include "oci/byte_source.h"
#include "oci/limits.h"
#include "oci/spool.h"
#include "oci/tar_entry.h"
#include "oci/tree.h"

namespace husk::oci {

// What one layer says, its whiteouts apart: they hide lower layers only, wherever in the tar they
// stand.
struct Layer {
  std::vector<std::string> removed;  // paths
  std::vector<std::string> emptied;  // directories (opaque)
  std::vector<TarEntry> entries;     // in the tar's order
};

// Reads an uncompressed tar to its end and puts its files' contents into the spool; what is used is
// taken from `left`. `label` names the layer in every error, followed by the entry's name.
[[nodiscard]] Result<Layer> read_layer(ByteSource& tar, Spool& spool, Budget& left,
                                       const std::string& label);

// Whiteouts first, then the entries in order, so that of two entries with one path the later
// counts: the specification forbids them, but such images exist and Docker unpacks them so.
[[nodiscard]] Result<void> apply_layer(Layer layer, Tree& tree, const std::string& label);

}  // namespace husk::oci
