// A driver's side of a virtqueue in guest memory, for tests: lays out rings, makes chains
// available, reads used elements.
#pragma once

#include <cstdint>
#include <memory>
#include <vector>

#include "memory/guest_memory.h"
#include "virtio/queue.h"

namespace husk::virtio::testing {

struct Descriptor {
  uint64_t address = 0;
  uint32_t length = 0;
  uint16_t flags = 0;
  uint16_t next = 0;
};
constexpr uint16_t kNext = 1, kWrite = 2, kIndirect = 4;

class Driver {
 public:
  static constexpr uint16_t kSize = 8;
  static constexpr Gpa kDescriptors{0x1000}, kAvailable{0x2000}, kUsed{0x3000}, kBuffers{0x10000};

  Driver()
      : memory_(std::move(
            *memory::GuestMemory::create(std::vector<memory::RegionSpec>{{Gpa{0}, 0x40000}}))) {}

  memory::GuestMemory& memory() { return *memory_; }
  Queue queue(bool event_index = false, bool indirect = true) {
    return *Queue::create(*memory_,
                          {kSize, kDescriptors, kAvailable, kUsed, event_index, indirect});
  }
  void describe(uint16_t index, const Descriptor& descriptor) {
    (void)memory_->store(kDescriptors + index * 16u, descriptor);
  }
  void make_available(uint16_t head) {
    (void)memory_->store<uint16_t>(kAvailable + 4 + available_ % kSize * 2u, head);
    (void)memory_->store<uint16_t>(kAvailable + 2, ++available_);
  }
  // Both sides' indices start here instead of at zero.
  void start_at(uint16_t index) {
    available_ = index;
    (void)memory_->store<uint16_t>(kAvailable + 2, index);
  }
  uint16_t used_index() { return *memory_->load<uint16_t>(kUsed + 2); }

 private:
  std::unique_ptr<memory::GuestMemory> memory_;
  uint16_t available_ = 0;
};

}  // namespace husk::virtio::testing
