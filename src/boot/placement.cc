#include "boot/placement.h"

#include <fmt/core.h>

#include <algorithm>

#include "base/checked.h"
#include "base/try.h"
#include "boot/layout.h"

namespace husk::boot {
namespace {

constexpr uint64_t kMiB = uint64_t{1} << 20;
constexpr uint64_t kCommandLineRoom = 0x10000;

}  // namespace

std::unexpected<Error> too_little_memory(const memory::GuestMemory& memory, const std::string& name,
                                         uint64_t needed_end) {
  return fail(ErrorKind::kLimit, name,
              fmt::format("needs {} MiB of guest memory, the guest has {} MiB", (needed_end + kMiB - 1) / kMiB,
                          memory.size() / kMiB));
}

Result<void> place_command_line(memory::GuestMemory& memory, const std::string& text, uint64_t limit) {
  limit = std::min(limit, kCommandLineRoom - 1);
  if (text.size() > limit)
    return fail(ErrorKind::kLimit, "kernel command line",
                fmt::format("has {} bytes, the kernel takes {}", text.size(), limit));
  return memory.write(Gpa{kCommandLine}, std::as_bytes(std::span(text.c_str(), text.size() + 1)));
}

Result<uint64_t> place_initrd(memory::GuestMemory& memory, const KernelRequest& request, uint64_t floor,
                              uint64_t limit) {
  if (request.initrd.empty()) return uint64_t{0};
  const uint64_t low_end = memory.regions().front().size;
  const uint64_t top = std::min(limit, low_end);
  const uint64_t size = request.initrd.size();
  const uint64_t lowest = base::align_up(floor, kPageSize);
  if (size > top || base::align_down(top - size, kPageSize) < lowest)
    return too_little_memory(memory, request.initrd_name, lowest + size);
  const uint64_t at = base::align_down(top - size, kPageSize);
  HUSK_TRY(memory.write(Gpa{at}, request.initrd));
  return at;
}

}  // namespace husk::boot
