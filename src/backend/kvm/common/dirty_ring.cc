#include "backend/kvm/common/dirty_ring.h"

#include <sys/mman.h>

#include <atomic>

#include "base/try.h"
#include "contract/address.h"

namespace husk::kvm {

Result<DirtyRing> DirtyRing::create(int vcpu, uint32_t entries) {
  DirtyRing ring;
  ring.mapping_ = HUSK_TRY(
      base::Mapping::map(entries * sizeof(kvm_dirty_gfn), PROT_READ | PROT_WRITE, MAP_SHARED, vcpu,
                         uint64_t{KVM_DIRTY_LOG_PAGE_OFFSET} * kPageSize, "KVM's dirty ring"));
  ring.entries_ = entries;
  return ring;
}

uint32_t DirtyRing::harvest(const std::function<void(uint32_t slot, uint64_t page)>& entry) {
  auto* const gfns = reinterpret_cast<kvm_dirty_gfn*>(mapping_.data());
  uint32_t count = 0;
  for (; count < entries_; ++count) {
    kvm_dirty_gfn& gfn = gfns[next_ % entries_];
    std::atomic_ref flags(gfn.flags);
    if (flags.load(std::memory_order_acquire) != KVM_DIRTY_GFN_F_DIRTY) break;
    entry(gfn.slot, gfn.offset);
    flags.store(KVM_DIRTY_GFN_F_RESET, std::memory_order_release);
    ++next_;
  }
  return count;
}

}  // namespace husk::kvm
