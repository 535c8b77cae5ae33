#include "backend/soft/mmu/physical_map.h"

#include <fmt/core.h>
#include <sys/mman.h>

#include <algorithm>

#include "base/checked.h"
#include "base/try.h"

namespace husk::soft::mmu {

Result<void> PhysicalMap::map(std::byte* host, uint64_t gpa, uint64_t length, bool writable) {
  const auto end = base::checked_add(gpa, length);
  if (length == 0 || gpa % kPageSize != 0 || length % kPageSize != 0 || !end)
    return fail(ErrorKind::kInvalidArgument, "guest RAM",
                fmt::format("bad range {:#x}+{:#x}", gpa, length));
  for (const Slot& slot : slots_) {
    if (gpa < slot.gpa + slot.length && slot.gpa < *end)
      return fail(ErrorKind::kInvalidArgument, "guest RAM",
                  fmt::format("{:#x} is mapped already", gpa));
  }
  Slot slot{gpa, length, host, writable, {}, nullptr};
  slot.storage = HUSK_TRY(
      base::Mapping::map(length / kPageSize * sizeof(PageState), PROT_READ | PROT_WRITE,
                         MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0, "page states"));
  slot.pages = reinterpret_cast<PageState*>(slot.storage.data());
  slots_.push_back(std::move(slot));
  layout_epoch_.fetch_add(1, std::memory_order_acq_rel);
  return {};
}

Result<void> PhysicalMap::unmap(uint64_t gpa, uint64_t length) {
  const auto found = std::find_if(slots_.begin(), slots_.end(), [&](const Slot& slot) {
    return slot.gpa == gpa && slot.length == length;
  });
  if (found == slots_.end())
    return fail(ErrorKind::kNotFound, "guest RAM",
                fmt::format("{:#x}+{:#x} is not mapped", gpa, length));
  slots_.erase(found);
  layout_epoch_.fetch_add(1, std::memory_order_acq_rel);
  return {};
}

uint32_t PhysicalMap::begin_code(PageState& page) {
  if (const uint32_t now = page.code_epoch.load(std::memory_order_acquire); now != 0) return now;
  const std::lock_guard lock(epoch_mutex_);
  if (const uint32_t now = page.code_epoch.load(std::memory_order_relaxed); now != 0) return now;
  const uint32_t next = epoch_.load(std::memory_order_relaxed) + 1;
  page.code_epoch.store(next, std::memory_order_seq_cst);
  epoch_.store(next, std::memory_order_seq_cst);
  tell_all();  // so that the page settles soon
  return next;
}

// The page stops being a code page before its generation is raised: whoever decodes it meanwhile
// has read the old generation, or finds that its epoch has gone and keeps nothing.
void PhysicalMap::code_written(PageState& page) {
  constexpr uint32_t kWritesOfData = 16;
  if (page.generation.load(std::memory_order_relaxed) % kWritesOfData == kWritesOfData - 1)
    page.code_epoch.store(0, std::memory_order_seq_cst);
  page.generation.fetch_add(1, std::memory_order_seq_cst);
  modifications_.fetch_add(1, std::memory_order_acq_rel);
  tell_all();
}

void PhysicalMap::tell_modifications(size_t vcpu, std::atomic<uint32_t>& word, uint32_t bit) {
  const std::lock_guard lock(listeners_mutex_);
  listeners_[vcpu] = {&word, bit};
}

void PhysicalMap::stop_telling(size_t vcpu) {
  const std::lock_guard lock(listeners_mutex_);
  listeners_[vcpu] = {};
}

void PhysicalMap::tell_all() {
  const std::lock_guard lock(listeners_mutex_);
  for (const Listener& listener : listeners_) {
    if (listener.word != nullptr) listener.word->fetch_or(listener.bit, std::memory_order_acq_rel);
  }
}

// Either this sees the epoch that begin_code() published before the code was read, or the code was
// read with these bytes in it.
void PhysicalMap::host_wrote(Gpa gpa, uint64_t length) {
  std::atomic_thread_fence(std::memory_order_seq_cst);
  const uint64_t first = gpa.value & kPageMask;
  for (uint64_t offset = 0; first + offset < gpa.value + length; offset += kPageSize) {
    const PageRef ref = page(first + offset);
    if (ref.state != nullptr && ref.state->code_epoch.load(std::memory_order_relaxed) != 0)
      code_written(*ref.state);
  }
}

bool PhysicalMap::settled(const PageState& page, uint32_t epoch) const {
  if (page.code_epoch.load(std::memory_order_acquire) != epoch) return false;
  return std::all_of(acknowledged_.begin(), acknowledged_.end(), [&](const auto& acknowledged) {
    return acknowledged.load(std::memory_order_acquire) >= epoch;
  });
}

}  // namespace husk::soft::mmu
