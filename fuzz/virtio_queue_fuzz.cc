// A guest's rings and descriptors as the fuzzer likes them: the queue must answer every one with
// chains or an error, and touch nothing but guest memory.
#include <algorithm>
#include <array>
#include <cstring>

#include "virtio/queue.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace husk;  // NOLINT(google-build-using-namespace)
  if (size < 4) return 0;
  const memory::RegionSpec regions[] = {{Gpa{0}, 0x8000}};
  static auto memory = std::move(*memory::GuestMemory::create(regions));
  const auto ram = memory->host_span(Gpa{0}, 0x8000);
  std::fill(ram->begin(), ram->end(), std::byte{0});
  const uint8_t flags = data[0];
  std::memcpy(ram->data(), data + 1, std::min<size_t>(size - 1, 0x4000));
  auto queue =
      virtio::Queue::create(*memory, {static_cast<uint16_t>(1u << (flags & 7)), Gpa{0}, Gpa{0x800},
                                      Gpa{0x4000}, (flags & 0x40) != 0, (flags & 0x80) != 0});
  if (!queue) return 0;
  for (int i = 0; i < 300; ++i) {
    auto chain = queue->pop();
    if (!chain || !*chain) break;
    std::array<std::byte, 64> bytes{};
    (*chain)->read(i % 7, bytes);
    (*chain)->write(i % 5, bytes);
    if (!queue->push(**chain, 64)) break;
    (void)queue->needs_interrupt();
    (void)queue->arm_notification();
  }
  return 0;
}
