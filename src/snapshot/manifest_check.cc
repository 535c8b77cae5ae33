#include "snapshot/manifest_check.h"

#include <fmt/core.h>

#include <set>

#include "base/checked.h"
#include "base/try.h"
#include "snapshot/format.h"

namespace husk::snapshot {
namespace {

std::unexpected<Error> wrong(const std::string& subject, const std::string& why) {
  return fail(ErrorKind::kCorrupt, subject, "manifest: " + why);
}

bool is_a_region(const MemoryRegionSnapshot& region, uint64_t lowest, uint64_t file_offset) {
  return region.guest_addr % kPageSize == 0 && region.size % kPageSize == 0 && region.size != 0 &&
         region.guest_addr >= lowest && region.file_offset == file_offset &&
         base::checked_add(region.guest_addr, region.size).has_value();
}

Result<void> check_regions(const VmSnapshot& machine, const std::string& subject) {
  uint64_t total = 0;
  uint64_t end = 0;
  for (const MemoryRegionSnapshot& region : machine.memory_regions) {
    if (!is_a_region(region, end, total))
      return wrong(subject, fmt::format("bad memory region at {:#x}", region.guest_addr));
    if (region.size > kMaxMemory - total)
      return fail(ErrorKind::kLimit, subject, "has more than 1 TiB of memory");
    total += region.size;
    end = region.guest_addr + region.size;
  }
  if (total == 0 || total != machine.total_memory)
    return wrong(subject, fmt::format("regions of {} bytes, total_memory of {}", total,
                                      machine.total_memory));
  return {};
}

Result<void> check_parent(const Manifest& manifest, const std::string& subject) {
  const auto& id = manifest.machine.parent_id;
  if (id.has_value() != manifest.parent_file.has_value() || (id && !from_hex(*id)))
    return wrong(subject, "parent_id and parent_file do not name a parent");
  if (id && !is_file_name(*manifest.parent_file))
    return wrong(subject, "parent_file is not a plain name");
  return {};
}

Result<void> check_compression(const VmSnapshot& machine, const std::string& subject) {
  if (machine.compressed != machine.compression.has_value())
    return wrong(subject, "compressed and compression contradict each other");
  if (machine.compression && machine.compression != kZstd)
    return fail(ErrorKind::kUnsupported, subject,
                fmt::format("is compressed by '{}'; this build reads zstd", *machine.compression));
  return {};
}

bool has_no_bytes(const VmSnapshot& machine) {
  for (const VcpuSnapshot& vcpu : machine.vcpus)
    if (!vcpu.extra_state.empty()) return false;
  for (const DeviceSnapshot& device : machine.devices)
    if (!device.state.empty()) return false;
  return true;
}

bool are_tables(const std::vector<Part>& parts) {
  return parts.size() >= 2 && parts[0].name == kRunTable && parts[1].name == kDigestTable;
}

// After the two tables: vCPUs, devices, the rest, each in the machine's own order.
Result<void> check_names(const Manifest& manifest, const std::string& subject) {
  Contents contents{manifest.machine, {}, {}};
  const auto expected = state_parts(contents);
  if (!are_tables(manifest.parts) || manifest.parts.size() - 2 < expected.size())
    return wrong(subject, "parts are missing");
  std::set<std::string_view> names;
  for (size_t i = 2; i < manifest.parts.size(); ++i) {
    const std::string& name = manifest.parts[i].name;
    const bool fits =
        i - 2 < expected.size() ? name == expected[i - 2].name : name.starts_with("state/");
    if (!fits || !names.insert(name).second)
      return wrong(subject, fmt::format("part {} is out of place", i));
  }
  return {};
}

Result<void> check_places(const Manifest& manifest, uint64_t manifest_offset,
                          const std::string& subject) {
  uint64_t end = manifest.memory_end;
  uint64_t states = 0;
  if (end < kMemoryStart) return wrong(subject, "memory_end is before the memory");
  for (size_t i = 0; i < manifest.parts.size(); ++i) {
    const Part& part = manifest.parts[i];
    if (part.offset != end || !base::in_bounds(part.offset, part.size, manifest_offset))
      return wrong(subject, fmt::format("part {} is not where it belongs in the file", i));
    end = part.offset + part.size;
    if (i >= 2) states += part.size;
    if (part.size > (i < 2 ? kMaxTable : kMaxState) || states > kMaxStates)
      return fail(ErrorKind::kLimit, subject, fmt::format("part {} is too large", i));
  }
  if (end != manifest_offset) return wrong(subject, "the parts do not end where it begins");
  return {};
}

}  // namespace

Result<void> check_manifest(const Manifest& manifest, uint64_t manifest_offset,
                            const std::string& subject) {
  if (manifest.machine.version != kFormatVersion)
    return wrong(subject, "its version is not the header's");
  if (!has_no_bytes(manifest.machine)) return wrong(subject, "it has bytes of its own");
  HUSK_TRY(check_regions(manifest.machine, subject));
  HUSK_TRY(check_parent(manifest, subject));
  HUSK_TRY(check_compression(manifest.machine, subject));
  HUSK_TRY(check_names(manifest, subject));
  return check_places(manifest, manifest_offset, subject);
}

}  // namespace husk::snapshot
