// A snapshot's manifest: everything that it says, but for the bytes of memory and of states, of
// which it has place and digest. Its own digest is the snapshot's id.
#pragma once

#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "husk/error.h"

#include "memory/guest_memory.h"
#include "snapshot/contents.h"
#include "snapshot/sha256.h"

namespace husk::snapshot {

// Bytes of the file that the manifest vouches for.
struct Part {
  std::string name;
  uint64_t offset = 0;
  uint64_t size = 0;
  Sha256 digest{};

  bool operator==(const Part&) const = default;
};

struct Manifest {
  VmSnapshot machine;  // without bytes: those are parts
  Origin origin;
  std::optional<std::string> parent_file;  // where the parent was: a name in the same directory
  uint64_t memory_end = 0;  // memory lies in the file from kMemoryStart to here, then the parts
  std::vector<Part> parts;  // back to back: kRunTable, kDigestTable, then the states

  bool operator==(const Manifest&) const = default;
};

constexpr std::string_view kRunTable = "runs";
constexpr std::string_view kDigestTable = "digests";
constexpr std::string_view kZstd = "zstd";

// kCorrupt for a name that is not UTF-8.
[[nodiscard]] Result<std::string> encode(const Manifest& manifest);

// Of a file whose manifest begins at `manifest_offset`. Not trusted: kCorrupt or kLimit, naming the
// field, for what is missing, of another type, or would not fit file, limits, or the rest.
[[nodiscard]] Result<Manifest> decode_manifest(std::string_view text, uint64_t manifest_offset,
                                               const std::string& subject);

// The parts that hold states, by name, in the order of the file: "vcpu/ID", "device/NAME" and
// "state/NAME".
struct StatePart {
  std::string name;
  std::vector<std::byte>* bytes = nullptr;
};
[[nodiscard]] std::vector<StatePart> state_parts(Contents& contents);

// Whether a file of that name may be a parent: a plain name, not a path.
[[nodiscard]] bool is_file_name(std::string_view name);

[[nodiscard]] std::vector<memory::RegionSpec> region_specs(const VmSnapshot& machine);

}  // namespace husk::snapshot
