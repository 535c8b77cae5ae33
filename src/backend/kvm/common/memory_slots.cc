#include "backend/kvm/common/memory_slots.h"

#include <fmt/core.h>

#include <bit>

#include "backend/kvm/common/calls.h"
#include "base/try.h"

namespace husk::kvm {
namespace {

std::unexpected<Error> refuse(Gpa gpa, const char* why) {
  return fail(ErrorKind::kInvalidArgument, fmt::format("guest memory at {:#x}", gpa.value), why);
}

bool overlaps(Gpa a, uint64_t a_length, Gpa b, uint64_t b_length) {
  return a.value < b.value + b_length && b.value < a.value + a_length;
}

}  // namespace

Result<void> MemorySlots::set(uint32_t number, const Slot& slot, bool logging) const {
  kvm_userspace_memory_region region{};
  region.slot = number;
  region.flags = (slot.writable ? 0 : KVM_MEM_READONLY) | (logging ? KVM_MEM_LOG_DIRTY_PAGES : 0);
  region.guest_phys_addr = slot.gpa.value;
  region.memory_size = slot.length;
  region.userspace_addr = reinterpret_cast<uint64_t>(slot.host);
  HUSK_TRY(call(vm_, HUSK_KVM_CALL(KVM_SET_USER_MEMORY_REGION), &region));
  return {};
}

Result<void> MemorySlots::map(std::byte* host, Gpa gpa, uint64_t length, bool writable) {
  if (((gpa.value | length | reinterpret_cast<uint64_t>(host)) & ~kPageMask) != 0 || length == 0)
    return refuse(gpa, "is not made of whole pages");
  if (gpa.value + length < gpa.value) return refuse(gpa, "goes beyond the address space");
  const std::lock_guard lock(mutex_);
  size_t number = slots_.size();
  for (size_t i = slots_.size(); i-- > 0;) {
    if (slots_[i].length == 0) {
      number = i;
    } else if (overlaps(slots_[i].gpa, slots_[i].length, gpa, length)) {
      return refuse(gpa, "is mapped already");
    }
  }
  if (number == limit_)
    return fail(ErrorKind::kLimit, "KVM", fmt::format("has no more than {} memory slots", limit_));
  const Slot slot{host, gpa, length, writable};
  HUSK_TRY(set(static_cast<uint32_t>(number), slot, logging_ && writable));
  if (number == slots_.size()) slots_.emplace_back();
  slots_[number] = slot;
  return {};
}

Result<void> MemorySlots::unmap(Gpa gpa, uint64_t length) {
  const std::lock_guard lock(mutex_);
  for (size_t i = 0; i < slots_.size(); ++i) {
    if (slots_[i].length != length || slots_[i].gpa != gpa || length == 0) continue;
    Slot gone = slots_[i];
    gone.length = 0;
    HUSK_TRY(set(static_cast<uint32_t>(i), gone, false));
    slots_[i] = {};
    return {};
  }
  return fail(ErrorKind::kNotFound, fmt::format("guest memory at {:#x}", gpa.value),
              "was not mapped so");
}

std::byte* MemorySlots::find(Gpa gpa) const {
  const std::lock_guard lock(mutex_);
  for (const Slot& slot : slots_) {
    if (gpa - slot.gpa < slot.length) return slot.host + (gpa - slot.gpa);
  }
  return nullptr;
}

Result<void> MemorySlots::set_logging(bool on) {
  const std::lock_guard lock(mutex_);
  for (size_t i = 0; i < slots_.size(); ++i) {
    if (slots_[i].length == 0 || !slots_[i].writable) continue;
    auto result = set(static_cast<uint32_t>(i), slots_[i], on);
    if (result) continue;
    while (i-- > 0) {
      if (slots_[i].length != 0 && slots_[i].writable)
        (void)set(static_cast<uint32_t>(i), slots_[i], logging_);
    }
    return result;
  }
  logging_ = on;
  return {};
}

Result<void> MemorySlots::collect_log(const Mark& mark) {
  const std::lock_guard lock(mutex_);
  if (!logging_) return {};
  std::vector<uint64_t> bitmap;
  for (size_t i = 0; i < slots_.size(); ++i) {
    const Slot& slot = slots_[i];
    if (slot.length == 0 || !slot.writable) continue;
    bitmap.assign((slot.length / kPageSize + 63) / 64, 0);
    kvm_dirty_log log{};
    log.slot = static_cast<uint32_t>(i);
    log.dirty_bitmap = bitmap.data();
    HUSK_TRY(call(vm_, HUSK_KVM_CALL(KVM_GET_DIRTY_LOG), &log));
    for (size_t word = 0; word < bitmap.size(); ++word) {
      for (uint64_t bits = bitmap[word]; bits != 0; bits &= bits - 1) {
        const uint64_t page = word * 64 + static_cast<uint64_t>(std::countr_zero(bits));
        mark(slot.gpa + page * kPageSize, kPageSize);
      }
    }
  }
  return {};
}

void MemorySlots::mark_entry(uint32_t number, uint64_t page, const Mark& mark) const {
  const std::lock_guard lock(mutex_);
  if (number >= slots_.size() || page >= slots_[number].length / kPageSize) return;
  mark(slots_[number].gpa + page * kPageSize, kPageSize);
}

}  // namespace husk::kvm
