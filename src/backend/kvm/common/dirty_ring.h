// The pages that a vCPU wrote, as KVM's dirty rings tell them (api.rst, "KVM_CAP_DIRTY_LOG_RING").
#pragma once

#include <cstdint>
#include <functional>

#include "husk/error.h"

#include "backend/kvm/common/kvm_api.h"
#include "base/fd.h"

namespace husk::kvm {

// One vCPU's ring. Whoever harvests holds the VM's lock for it.
class DirtyRing {
 public:
  // `entries` as the VM's rings were enabled with: a power of two.
  [[nodiscard]] static Result<DirtyRing> create(int vcpu, uint32_t entries);

  // Tells every new entry, and leaves it to KVM_RESET_DIRTY_RINGS. How many there were.
  uint32_t harvest(const std::function<void(uint32_t slot, uint64_t page)>& entry);

 private:
  DirtyRing() = default;

  base::Mapping mapping_;
  uint32_t entries_ = 0;
  uint32_t next_ = 0;
};

}  // namespace husk::kvm
