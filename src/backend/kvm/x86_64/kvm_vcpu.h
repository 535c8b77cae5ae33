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
#include "backend/kvm/common/kvm_api.h"
#include "backend/kvm/common/run_area.h"
#include "backend/kvm/common/system.h"
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
    // The byte of RAM at a guest-physical address, or null.
    std::function<std::byte*(uint64_t gpa)> memory;
    const System* system = nullptr;
    int vm = -1;            // its descriptor, for kvmclock
    size_t xsave_size = 0;  // bytes of KVM_GET_XSAVE2's answer
  };

  KvmVcpu(const Home& home, uint32_t id, RunArea area, ShownCpuid cpuid)
      : home_(home), id_(id), area_(std::move(area)), cpuid_(std::move(cpuid)) {}
  KvmVcpu(const KvmVcpu&) = delete;
  KvmVcpu& operator=(const KvmVcpu&) = delete;

  [[nodiscard]] Handle exit_token() { return Handle(area_.gate()); }
  [[nodiscard]] seam::VcpuExit step();
  void set_read_data(uint64_t value);
  // seam::HasDebug
  [[nodiscard]] Result<void> set_debug(const DebugOptions& options);

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
  [[nodiscard]] seam::VcpuExit hypercall();
  // nullopt: it was only the step past the last stop.
  [[nodiscard]] std::optional<seam::VcpuExit> debug_exit();
  [[nodiscard]] std::optional<seam::VcpuExit> stepped();
  [[nodiscard]] bool stepping() const { return debug_.single_step || passing_; }
  [[nodiscard]] Result<void> apply_debug(const kvm_guest_debug& debug) const;
  void arm();
  void end_passing();
  // The program counter was moved: what is there now has not been stopped at.
  void forget_stop() {
    stopped_at_.reset();
    resumed_with_.reset();
    if (passing_) end_passing();
  }
  void go_past_stop();
  [[nodiscard]] Result<void> go_past_breakpoint();
  [[nodiscard]] bool has_int3(uint64_t linear) const;
  [[nodiscard]] Result<void> refuse_nested_guest() const;
  [[nodiscard]] Result<uint64_t> kvmclock_ns() const;
  // kUnsupported, naming both, for a rate that the guest relies on and this host cannot have.
  [[nodiscard]] Result<void> adopt_tsc_rate(const SnapshotState& state);
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
  bool step_kept_ = false;    // that it ended a step, which is yet to be told
  DebugOptions debug_;
  std::optional<DebugStop> stopped_at_;  // a breakpoint that step() has to go past
  bool passing_ = false;                 // by a step
  bool resume_flag_works_ = true;
  std::optional<kvm_regs> resumed_with_;  // by the resume flag, and nothing has happened since
};

}  // namespace husk::kvm
