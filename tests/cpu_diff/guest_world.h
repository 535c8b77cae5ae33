// The guest that cases run in: page tables, descriptor tables and halting exception handlers in a
// small RAM.
//
// The code and data windows are user pages at the addresses of layout.h; all that the kernel has is
// in the upper half, so that below nothing but the windows is mapped, as natively.
#pragma once

#include <cstdint>
#include <memory>
#include <span>

#include "husk/error.h"

#include "contract/x86/vcpu_state.h"
#include "cpu_diff/engine.h"
#include "memory/guest_memory.h"

namespace husk::cpu_diff {

class GuestWorld {
 public:
  static constexpr uint64_t kCodeGpa = 0x10000, kDataGpa = 0x12000, kRamSize = 0x20'0000;
  // Linux's selectors, for they can be read.
  static constexpr uint16_t kUserCs = 0x33, kUserSs = 0x2b;
  static constexpr uint64_t kKernel = 0xffffffff80000000;  // of gpa 0
  static constexpr uint64_t kStackTop = kKernel + 0xa000;  // where exceptions push their frames
  static constexpr uint64_t kHandlers =
      kKernel + 0xa000;  // the handler of vector n is the HLT at byte n

  [[nodiscard]] static Result<GuestWorld> create();

  [[nodiscard]] memory::GuestMemory& memory() { return *memory_; }
  // At privilege level 3, about to run a case.
  [[nodiscard]] const contract::x86::VcpuState& state() const { return state_; }
  // Of a page of the data window. The caller sees to TLBs.
  void set_access(size_t page, PageAccess access);
  [[nodiscard]] std::byte* host(uint64_t gpa, uint64_t length) {
    return memory_->find(Gpa{gpa}, length);
  }

 private:
  void store(uint64_t gpa, uint64_t value);
  void map_pages();
  void fill_tables();
  void fill_state();

  std::unique_ptr<memory::GuestMemory> memory_;
  contract::x86::VcpuState state_;
};

}  // namespace husk::cpu_diff
