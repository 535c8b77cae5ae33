// What Husk keeps on this host to be faster the next time, all in one directory: images' root
// images, machines that have booted (base) and machines that an image was baked into.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "husk/error.h"

namespace husk::cache {

// Where things are. `snapshots` is the user's own store, which is no part of the cache: its
// snapshots need root images.
struct Place {
  std::string cache;
  std::string snapshots;
};
// As the environment says (HUSK_CACHE, HUSK_SNAPSHOTS); nothing is made.
[[nodiscard]] Result<Place> default_place();

enum class Kind : uint8_t { kImage, kBase, kBaked };
[[nodiscard]] std::string_view to_string(Kind kind);  // "image", "base", "baked"

struct Entry {
  Kind kind = Kind::kImage;
  std::string name{};   // the digest of an image; of the others, that of all that they depend on
  std::string label{};  // of a baked one: what the user calls it
  std::string path{};
  std::string root{};        // of a baked one: the root image's file name
  std::string wrong{};       // why it cannot be read, if so
  uint64_t memory_size = 0;  // of a machine
  uint64_t disk_size = 0;    // what it takes on the disk, holes not counted
  uint64_t used_ns = 0;      // of the host's clock
  bool held = false;         // somebody uses it now
  // What cannot be used without it, such as "snapshot ready" and "baked web".
  std::vector<std::string> needed_by{};
};

// Those that were not used for longest first; a baked one before its root image.
[[nodiscard]] Result<std::vector<Entry>> list(const Place& place);

}  // namespace husk::cache
