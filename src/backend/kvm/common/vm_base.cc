#include "backend/kvm/common/vm_base.h"

#include <algorithm>
#include <utility>

#include "backend/kvm/common/doorbell.h"
#include "backend/kvm/common/kvm_api.h"
#include "base/clock.h"
#include "base/try.h"

namespace husk::kvm {
namespace {

// A machine is as good without, only slower: no VM is refused for the lack of it.
constexpr Capability kForDoorbells[] = {{KVM_CAP_IOEVENTFD, "KVM_CAP_IOEVENTFD"}};

}  // namespace

VmBase::VmBase(System system, base::Fd vm)
    : system_(std::move(system)),
      vm_(std::move(vm)),
      slots_(vm_.get(), static_cast<uint32_t>(std::max(system_.check(KVM_CAP_NR_MEMSLOTS), 32))) {}

VmBase::~VmBase() {
  if (memory_ != nullptr) memory_->set_observer(nullptr);
}

void VmBase::attach_memory(memory::GuestMemory& memory) {
  memory_ = &memory;
  memory.set_observer(this);
}

Result<void> VmBase::map_ram(std::byte* host, uint64_t gpa, uint64_t length, seam::Prot prot) {
  const bool writable =
      (static_cast<uint8_t>(prot) & static_cast<uint8_t>(seam::Prot::kWrite)) != 0;
  return slots_.map(host, Gpa{gpa}, length, writable);
}

Result<void> VmBase::unmap_ram(uint64_t gpa, uint64_t length) {
  return slots_.unmap(Gpa{gpa}, length);
}

Result<std::unique_ptr<DaxMapper>> VmBase::dax_mapper(uint64_t gpa, uint64_t length) {
  auto window = HUSK_TRY(memory::FileWindow::create(length));
  HUSK_TRY(slots_.map(window.host(), Gpa{gpa}, length, true));
  return std::make_unique<DaxMapper>(std::move(window));
}

Result<void> VmBase::ring_on_write(uint64_t gpa, uint32_t size, uint64_t value, int eventfd) {
  HUSK_TRY(system_.require(kForDoorbells));
  return kvm::ring_on_write(vm_.get(), Gpa{gpa}, size, value, eventfd);
}

uint64_t VmBase::host_monotonic_ticks() { return base::monotonic_ns(); }

Result<void> VmBase::report_writes(memory::GuestMemory& memory) {
  return slots_.collect_log([&](Gpa page, uint64_t length) { memory.mark_dirty(page, length); });
}

}  // namespace husk::kvm
