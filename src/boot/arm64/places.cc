#include "boot/arm64/places.h"

#include <fmt/core.h>

#include "base/checked.h"
#include "base/try.h"
#include "boot/arm64/layout.h"
#include "boot/placement.h"

namespace husk::boot::arm64 {
namespace {

// booting.rst, 4: kernel and initrd lie within a window that starts at a multiple of 1 GiB.
constexpr uint64_t kGiB = uint64_t{1} << 30, kWindow = 32 * kGiB;
// Linux gives the initrd's pages back; the largest pages that it can be built for are 64 KiB, and
// none may be shared with the kernel.
constexpr uint64_t kLargestPage = 0x1'0000;

std::unexpected<Error> no_room(const memory::GuestMemory& memory, const std::string& name,
                               const std::string& what, uint64_t size, uint64_t start) {
  return fail(ErrorKind::kLimit, name,
              fmt::format("{} needs {} at {:#x}, the guest has {} of memory", what,
                          readable_size(size), start, readable_size(memory.size())));
}

// The first byte after the kernel, checked to be in RAM.
Result<uint64_t> kernel_end(const memory::GuestMemory& memory, const std::string& name,
                            const ImageHeader& kernel) {
  const auto start = base::checked_add(kKernelBase, kernel.text_offset);
  if (!start)
    return fail(ErrorKind::kCorrupt, name,
                fmt::format("has a text offset of {:#x}", kernel.text_offset));
  if (memory.find(Gpa{*start}, kernel.image_size) == nullptr)
    return no_room(memory, name, "the kernel", kernel.image_size, *start);
  return *start + kernel.image_size;
}

}  // namespace

Result<Places> choose_places(const memory::GuestMemory& memory, const std::string& name,
                             const ImageHeader& kernel, const std::string& initrd_name,
                             uint64_t initrd_size) {
  if (memory.find(Gpa{kDeviceTree}, kKernelBase - kDeviceTree) == nullptr)
    return no_room(memory, name, "the device tree", kKernelBase - kDeviceTree, kDeviceTree);
  const uint64_t end = HUSK_TRY(kernel_end(memory, name, kernel));
  Places places{Gpa{kKernelBase + kernel.text_offset}, Gpa{0}};
  if (initrd_size == 0) return places;

  const std::string what = fmt::format("the initrd {}", initrd_name);
  const uint64_t start = base::align_up(end, kLargestPage);
  if (memory.find(Gpa{start}, initrd_size) == nullptr)
    return no_room(memory, name, what, initrd_size, start);
  const uint64_t window_end = base::align_down(places.kernel.value, kGiB) + kWindow;
  if (start + initrd_size > window_end)
    return fail(ErrorKind::kLimit, name,
                fmt::format("{} of {} does not end below {:#x}, as Linux wants it", what,
                            readable_size(initrd_size), window_end));
  places.initrd = Gpa{start};
  return places;
}

}  // namespace husk::boot::arm64
