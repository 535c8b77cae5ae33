// A vCPU of KVM on x86-64. Satisfies seam::HypervisorVcpu; see husk/seam.h for the threads.
#pragma once

#include <cstdint>
#include <istream>
#include <memory>
#include <optional>
#include <ostream>
#include <span>
#include <vector>

#include "husk/seam.h"

#include "backend/kvm/common/dirty_ring.h"
#include "backend/kvm/common/run_area.h"
#include "backend/kvm/x86_64/shown_cpuid.h"
#include "backend/kvm/x86_64/split_irqchip.h"
#include "contract/x86/vcpu_state.h"

namespace husk::kvm {

class KvmVcpu {
 public:
  using SnapshotState = contract::x86::VcpuState;
  using Handle = ExitHandle;

  // What it needs of its VM, which outlives it.
  struct Home {
    SplitIrqchip* irqchip = nullptr;  // null: KVM keeps all interrupt controllers
    // The vCPU's dirty ring is full. Null without rings.
    std::function<Result<void>()> harvest;
    size_t xsave_size = 0;  // bytes of KVM_GET_XSAVE2's answer
  };

  KvmVcpu(const Home& home, uint32_t id, RunArea area, ShownCpuid cpuid)
      : home_(home), id_(id), area_(std::move(area)), cpuid_(std::move(cpuid)) {}
  KvmVcpu(const KvmVcpu&) = delete;
  KvmVcpu& operator=(const KvmVcpu&) = delete;

  [[nodiscard]] Handle exit_token() { return Handle(area_.gate()); }
  [[nodiscard]] seam::VcpuExit step();
  void set_read_data(uint64_t value);

  [[nodiscard]] Result<SnapshotState> capture_snapshot();
  [[nodiscard]] Result<void> restore_snapshot(const SnapshotState& state);
  [[nodiscard]] static Result<void> write_snapshot_state(const SnapshotState& state,
                                                         std::ostream& out);
  [[nodiscard]] static Result<SnapshotState> read_snapshot_state(std::istream& in);
  [[nodiscard]] static seam::ClockRef capture_clock_ref(const SnapshotState& state,
                                                        uint64_t host_now);
  uint64_t restore_clock(const seam::ClockRef& ref, uint64_t host_now);

  [[nodiscard]] Result<uint64_t> get_core(seam::CoreReg reg);
  [[nodiscard]] Result<void> set_core(seam::CoreReg reg, uint64_t value);
  [[nodiscard]] Result<uint64_t> get_sys(seam::SysReg reg) const;
  [[nodiscard]] Result<void> set_sys(seam::SysReg reg, uint64_t value);

  [[nodiscard]] int fd() const { return area_.fd(); }

 private:
  // What the exit asks of the layer above; nullopt: nothing, on with it.
  std::optional<seam::VcpuExit> take_exit();
  seam::VcpuExit next_io();
  [[nodiscard]] seam::VcpuExit mmio();
  void offer_extint();
  // kState: the last exit waits for a device, or the instruction has more of them.
  [[nodiscard]] Result<void> complete_access();

  Home home_;
  uint32_t id_;
  RunArea area_;
  ShownCpuid cpuid_;
  // A string instruction's exit has several items: the next one, and how many there are.
  uint32_t io_at_ = 0, io_count_ = 0;
  bool access_open_ = false;  // KVM_RUN has yet to complete the last exit's access
  bool unanswered_ = false;   // the last exit is a read
  bool exit_kept_ = false;    // that completing it led to another, which step() has yet to tell
};

}  // namespace husk::kvm
