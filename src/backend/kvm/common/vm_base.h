// What a VM of KVM is on every architecture: its descriptor, its memory, and what its vCPUs write.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>

#include "husk/seam.h"

#include "backend/kvm/common/dax_mapper.h"
#include "backend/kvm/common/memory_slots.h"
#include "backend/kvm/common/system.h"
#include "memory/guest_memory.h"

namespace husk::kvm {

class VmBase : public memory::WriteObserver {
 public:
  ~VmBase() override;
  VmBase(const VmBase&) = delete;
  VmBase& operator=(const VmBase&) = delete;
  // The memory that map_ram() maps: its dirty log asks this VM what vCPUs wrote. Outlives the VM.
  // Before any vCPU runs.
  void attach_memory(memory::GuestMemory& memory);

  [[nodiscard]] Result<void> map_ram(std::byte* host, uint64_t gpa, uint64_t length,
                                     seam::Prot prot);
  [[nodiscard]] Result<void> unmap_ram(uint64_t gpa, uint64_t length);
  [[nodiscard]] Result<std::unique_ptr<DaxMapper>> dax_mapper(uint64_t gpa, uint64_t length);

  // seam::HasDoorbells. kUnsupported, naming it, where KVM lacks the capability.
  [[nodiscard]] Result<void> ring_on_write(uint64_t gpa, uint32_t size, uint64_t value,
                                           int eventfd);

  [[nodiscard]] static uint64_t host_monotonic_ticks();

  // memory::WriteObserver
  void host_wrote(Gpa, uint64_t) override {}
  Result<void> track_writes(bool on) override { return slots_.set_logging(on); }
  Result<void> report_writes(memory::GuestMemory& memory) override;

 protected:
  // `vm` as KVM_CREATE_VM made it.
  VmBase(System system, base::Fd vm);

  [[nodiscard]] const System& system() const { return system_; }
  [[nodiscard]] int vm_fd() const { return vm_.get(); }
  [[nodiscard]] const MemorySlots& slots() const { return slots_; }
  // nullptr until it is attached.
  [[nodiscard]] memory::GuestMemory* attached() const { return memory_; }

 private:
  System system_;
  base::Fd vm_;
  MemorySlots slots_;
  memory::GuestMemory* memory_ = nullptr;
};

}  // namespace husk::kvm
