// The device's side of a split virtqueue (virtio 1.2, section 2.7), with indirect descriptors and
// event indices.
//
// Everything in guest memory is the guest's to change at any time: each descriptor and index is
// read once, checked, and used as it was read. A rule that the driver breaks is an Error; the
// device then marks itself as needing a reset and looks at the queue no more.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <vector>

#include "husk/error.h"

#include "contract/address.h"
#include "contract/state_archive.h"
#include "memory/guest_memory.h"

namespace husk::virtio {

constexpr uint16_t kMaxQueueSize = 256;
// Of one chain. A table may name the same memory many times, so RAM's size is no bound on the work
// that a request makes; no driver's request comes near this.
constexpr uint64_t kMaxChainBytes = uint64_t{64} << 20;

// A chain of descriptors that the driver has made available: host views of its buffers, in order.
// It is returned with Queue::push(); until then its head is in flight.
struct Chain {
  uint16_t head = 0;
  std::vector<std::span<const std::byte>> readable;
  std::vector<std::span<std::byte>> writable;

  [[nodiscard]] uint64_t readable_bytes() const;
  [[nodiscard]] uint64_t writable_bytes() const;
  // Copy out of the readable part and into the writable one; at most what is there. Return how much
  // that was.
  size_t read(size_t offset, std::span<std::byte> out) const;
  size_t write(size_t offset, std::span<const std::byte> in) const;
};

struct QueueConfig {
  uint16_t size = 0;
  Gpa descriptors, driver, device;
  bool event_index = false;
  bool indirect = false;
};

// One thread at a time: the device's lock is held.
class Queue {
 public:
  Queue() = default;
  // Checks alignment and that all three areas are RAM.
  [[nodiscard]] static Result<Queue> create(memory::GuestMemory& memory, const QueueConfig& config);

  [[nodiscard]] bool ready() const { return memory_ != nullptr; }
  // The next chain, or nothing when the driver has made none available.
  [[nodiscard]] Result<std::optional<Chain>> pop();
  // Undoes the last pop(): its chain, which was not used, is the next again.
  void put_back() { --next_available_; }
  // Gives a chain back, `written` bytes of its writable part filled.
  [[nodiscard]] Result<void> push(const Chain& chain, uint32_t written);
  // Whether the driver wants an interrupt for what was pushed since the last call.
  [[nodiscard]] bool needs_interrupt();
  // Asks for a notification when more is available; false when there is more already.
  [[nodiscard]] bool arm_notification();
  // How many chains the driver has made available in all, modulo 65536. Asks for a notification
  // when there is one more, whatever waits already.
  [[nodiscard]] uint16_t arm_for_another();
  // How far it is, for a queue of the same rings. Chains that were popped and not pushed are not in
  // it: devices give theirs back before.
  void transfer_state(contract::StateArchive& state);

 private:
  Result<void> follow(uint16_t head, Chain& chain);
  Result<void> add_buffer(Chain& chain, uint64_t address, uint32_t length, bool writable);
  [[nodiscard]] uint16_t load_index(const std::byte* at) const;
  void ask_for_notification(uint16_t at);

  memory::GuestMemory* memory_ = nullptr;
  QueueConfig config_;
  std::byte* descriptors_ = nullptr;
  std::byte* available_ = nullptr;
  std::byte* used_ = nullptr;
  uint16_t next_available_ = 0, next_used_ = 0, signalled_used_ = 0;
};

}  // namespace husk::virtio
