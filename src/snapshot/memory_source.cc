#include "snapshot/memory_source.h"

#include <cstring>

#include "snapshot/touched.h"

namespace husk::snapshot {

Result<std::vector<Range>> GuestMemorySource::data() {
  if (memory_.file() >= 0) return file_data(memory_.file(), 0, size(), "guest memory");
  return touched(memory_.bytes());
}

Result<void> GuestMemorySource::read(uint64_t at, std::span<std::byte> out) {
  if (memory_.file() >= 0) return base::read_exact(memory_.file(), out, at, "guest memory");
  std::memcpy(out.data(), memory_.bytes().data() + at, out.size());
  return {};
}

}  // namespace husk::snapshot
