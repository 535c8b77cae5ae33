#include "guest.h"

namespace husk::runtime {

std::string kernel_release(std::span<const std::byte> kernel) {
  constexpr uint64_t kLargest = uint64_t{1} << 30;
  const auto image = boot::arm64::open_image("kernel", kernel, kLargest);
  return image ? boot::arm64::linux_release(image->bytes) : std::string();
}

}  // namespace husk::runtime
