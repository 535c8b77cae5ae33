#include "virtio/queue.h"

#include <algorithm>
#include <bit>
#include <cstring>

#include "base/checked.h"
#include "base/try.h"

namespace husk::virtio {
namespace {

struct Descriptor {
  uint64_t address;
  uint32_t length;
  uint16_t flags;
  uint16_t next;
};
static_assert(sizeof(Descriptor) == 16);

constexpr uint16_t kNext = 1, kWrite = 2, kIndirect = 4;
constexpr uint16_t kNoInterrupt = 1;
constexpr uint64_t kRingHeader = 4;
constexpr uint32_t kMaxIndirect = 1024;  // descriptors in an indirect table

std::unexpected<Error> malformed(const char* why) {
  return fail(ErrorKind::kCorrupt, "virtqueue", why);
}

uint64_t total(const auto& spans) {
  uint64_t sum = 0;
  for (const auto& span : spans) sum += span.size();
  return sum;
}

// Calls `use(piece, done)` for the pieces, one after the other, that `length` bytes from `offset`
// on lie in; `done` bytes are before a piece. How many bytes there were.
template <class Use>
size_t for_range(const auto& spans, size_t offset, size_t length, Use&& use) {
  size_t done = 0;
  if (length == 0) return done;  // of which there may be no memory at all
  for (const auto& span : spans) {
    if (offset >= span.size()) {
      offset -= span.size();
      continue;
    }
    const auto piece = span.subspan(offset, std::min(span.size() - offset, length - done));
    use(piece, done);
    done += piece.size();
    offset = 0;
    if (done == length) break;
  }
  return done;
}

}  // namespace

uint64_t Chain::readable_bytes() const { return total(readable); }
uint64_t Chain::writable_bytes() const { return total(writable); }

size_t Chain::read(size_t offset, std::span<std::byte> out) const {
  return for_range(readable, offset, out.size(), [&](auto piece, size_t done) {
    std::memcpy(out.data() + done, piece.data(), piece.size());
  });
}

size_t Chain::write(size_t offset, std::span<const std::byte> in) const {
  return for_range(writable, offset, in.size(), [&](auto piece, size_t done) {
    std::memcpy(piece.data(), in.data() + done, piece.size());
  });
}

Result<Queue> Queue::create(memory::GuestMemory& memory, const QueueConfig& config) {
  if (config.size == 0 || config.size > kMaxQueueSize || !std::has_single_bit(config.size))
    return malformed("bad size");
  if (config.descriptors.value % 16 != 0 || config.driver.value % 2 != 0 ||
      config.device.value % 4 != 0)
    return malformed("misaligned ring");
  Queue queue;
  queue.config_ = config;
  const uint64_t size = config.size;
  queue.descriptors_ =
      HUSK_TRY(memory.host_span(config.descriptors, size * sizeof(Descriptor))).data();
  queue.available_ = HUSK_TRY(memory.host_span(config.driver, kRingHeader + size * 2 + 2)).data();
  queue.used_ = HUSK_TRY(memory.host_span(config.device, kRingHeader + size * 8 + 2)).data();
  queue.memory_ = &memory;
  return queue;
}

uint16_t Queue::load_index(const std::byte* at) const {
  return __atomic_load_n(reinterpret_cast<const uint16_t*>(at), __ATOMIC_ACQUIRE);
}

Result<void> Queue::add_buffer(Chain& chain, uint64_t address, uint32_t length, bool writable) {
  if (!writable && !chain.writable.empty())
    return malformed("readable buffer behind a writable one");
  if (length == 0) return {};
  std::byte* host = memory_->find(Gpa{address}, length);
  if (host == nullptr) return malformed("buffer outside RAM");
  if (writable) {
    chain.writable.emplace_back(host, length);
  } else {
    chain.readable.emplace_back(host, length);
  }
  return {};
}

Result<void> Queue::follow(uint16_t head, Chain& chain) {
  const std::byte* table = descriptors_;
  uint32_t table_size = config_.size;
  uint32_t index = head;
  uint32_t budget = config_.size;  // a longer chain is a loop
  uint64_t bytes = 0;
  for (bool indirect = false;;) {
    if (index >= table_size) return malformed("descriptor index out of range");
    if (budget-- == 0) return malformed("descriptor chain loops");
    Descriptor descriptor;
    std::memcpy(&descriptor, table + index * sizeof(Descriptor), sizeof(descriptor));
    if ((descriptor.flags & kIndirect) != 0) {
      const uint32_t count = descriptor.length / sizeof(Descriptor);
      if (!config_.indirect || indirect) return malformed("indirect descriptor where none may be");
      if ((descriptor.flags & kNext) != 0) return malformed("indirect descriptor with a successor");
      if (descriptor.length % sizeof(Descriptor) != 0 || count == 0 || count > kMaxIndirect)
        return malformed("bad indirect table size");
      table = memory_->find(Gpa{descriptor.address}, descriptor.length);
      if (table == nullptr) return malformed("indirect table outside RAM");
      table_size = budget = count;
      index = 0;
      indirect = true;
      continue;
    }
    bytes += descriptor.length;
    if (bytes > kMaxChainBytes) return malformed("descriptor chain too large");
    HUSK_TRY(
        add_buffer(chain, descriptor.address, descriptor.length, (descriptor.flags & kWrite) != 0));
    if ((descriptor.flags & kNext) == 0) return {};
    index = descriptor.next;
  }
}

Result<std::optional<Chain>> Queue::pop() {
  const uint16_t available = load_index(available_ + 2);
  if (available == next_available_) return std::nullopt;
  if (static_cast<uint16_t>(available - next_available_) > config_.size)
    return malformed("more chains available than the queue holds");
  Chain chain;
  std::memcpy(&chain.head, available_ + kRingHeader + next_available_ % config_.size * 2, 2);
  HUSK_TRY(follow(chain.head, chain));
  ++next_available_;
  return chain;
}

Result<void> Queue::push(const Chain& chain, uint32_t written) {
  for (const std::span<std::byte> buffer : chain.writable) memory_->host_wrote(buffer);
  const uint32_t element[2] = {chain.head, written};
  const uint64_t offset = kRingHeader + next_used_ % config_.size * 8;
  std::memcpy(used_ + offset, element, sizeof(element));
  ++next_used_;
  __atomic_store_n(reinterpret_cast<uint16_t*>(used_ + 2), next_used_, __ATOMIC_RELEASE);
  memory_->host_wrote(config_.device, kRingHeader + config_.size * 8 + 2);
  return {};
}

bool Queue::needs_interrupt() {
  if (next_used_ == signalled_used_) return false;
  __atomic_thread_fence(__ATOMIC_SEQ_CST);
  const uint16_t old = signalled_used_;
  signalled_used_ = next_used_;
  if (!config_.event_index) return (load_index(available_) & kNoInterrupt) == 0;
  const uint16_t event = load_index(available_ + kRingHeader + config_.size * 2);
  return static_cast<uint16_t>(next_used_ - event - 1) < static_cast<uint16_t>(next_used_ - old);
}

// When the driver makes the chain of this number available (2.7.10).
void Queue::ask_for_notification(uint16_t at) {
  if (!config_.event_index) return;
  const uint64_t event = kRingHeader + config_.size * 8;
  __atomic_store_n(reinterpret_cast<uint16_t*>(used_ + event), at, __ATOMIC_RELEASE);
  memory_->host_wrote(config_.device + event, sizeof(uint16_t));
  __atomic_thread_fence(__ATOMIC_SEQ_CST);
}

bool Queue::arm_notification() {
  ask_for_notification(next_available_);
  return load_index(available_ + 2) == next_available_;
}

uint16_t Queue::arm_for_another() {
  uint16_t offered = load_index(available_ + 2);
  for (;;) {
    ask_for_notification(offered);
    const uint16_t now = load_index(available_ + 2);
    if (now == offered) return offered;
    offered = now;
  }
}

void Queue::transfer_state(contract::StateArchive& state) {
  for (uint16_t* index : {&next_available_, &next_used_, &signalled_used_}) state.value(*index);
}

}  // namespace husk::virtio
