// The stated limits of the room `oci`: what an image may cost the host before it is refused.
#pragma once

#include <cstddef>
#include <cstdint>

namespace husk::oci {

inline constexpr size_t kMaxLayers = 512;
inline constexpr int kMaxIndexDepth = 4;             // indexes that point to indexes
inline constexpr size_t kMaxIndexEntries = 4096;     // descriptors looked at for one reference
inline constexpr size_t kMaxArchiveMembers = 65536;  // of an oci-archive or docker-archive
inline constexpr size_t kMaxPathLength = 4096;       // of an entry's name, as in PATH_MAX
inline constexpr size_t kMaxNameLength = 255;        // of one component, NAME_MAX and EROFS
inline constexpr size_t kMaxSymlinkTarget = 4095;    // PATH_MAX without its NUL
inline constexpr int kMaxSymlinkHops = 40;           // Linux's MAXSYMLINKS
inline constexpr size_t kMaxWalkSteps = 4096;  // components looked up for one path, links expanded

// What all layers of one image may cost together; the caller may choose.
struct Limits {
  // Bytes of uncompressed tar streams, and separately bytes of files (a sparse file counts at its
  // full size). This is the guard against compression bombs.
  uint64_t layer_bytes = uint64_t{32} << 30;
  uint64_t entries = 1'000'000;  // of all tars; also of files and directories that they imply
  // Names, link targets and extended attributes: what is held in memory while an image is prepared.
  uint64_t metadata_bytes = uint64_t{256} << 20;
};

// What is left of the limits while the layers of one image are read.
struct Budget {
  explicit Budget(const Limits& limits)
      : stream_bytes(limits.layer_bytes),
        file_bytes(limits.layer_bytes),
        entries(limits.entries),
        metadata_bytes(limits.metadata_bytes) {}

  uint64_t stream_bytes;
  uint64_t file_bytes;
  uint64_t entries;
  uint64_t metadata_bytes;
};

}  // namespace husk::oci
