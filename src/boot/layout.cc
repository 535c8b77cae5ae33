#include "boot/layout.h"

#include <algorithm>

namespace husk::boot {

std::vector<memory::RegionSpec> ram_layout(uint64_t bytes) {
  const uint64_t low = std::min(bytes, kDeviceHole);
  std::vector<memory::RegionSpec> regions{{Gpa{0}, low}};
  if (bytes > low) regions.push_back({Gpa{kAbove4G}, bytes - low});
  return regions;
}

std::vector<E820Entry> e820_map(const memory::GuestMemory& memory) {
  std::vector<E820Entry> map;
  for (const memory::Region& region : memory.regions()) {
    const uint64_t start = region.start.value;
    if (start != 0) {
      map.push_back({start, region.size, kE820Ram});
      continue;
    }
    map.push_back({0, std::min(region.size, kLowMemoryEnd), kE820Ram});
    if (region.size <= kLowMemoryEnd) continue;
    map.push_back({kLowMemoryEnd, kAcpiTables - kLowMemoryEnd, kE820Reserved});
    map.push_back({kAcpiTables, kAcpiTablesEnd - kAcpiTables, kE820Acpi});
    if (region.size > kHighMemory)
      map.push_back({kHighMemory, region.size - kHighMemory, kE820Ram});
  }
  return map;
}

}  // namespace husk::boot
