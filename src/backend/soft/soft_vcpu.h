// A vCPU of the built-in CPU: the interpreter, its local APIC, and the loop that brings interrupts,
// halts and device accesses together. Satisfies seam::HypervisorVcpu; see husk/seam.h for the
// threads.
#pragma once

#include <atomic>
#include <cstdint>
#include <istream>
#include <memory>
#include <ostream>
#include <span>

#include "husk/seam.h"

#include "backend/soft/apic/apic_bus.h"
#include "backend/soft/apic/local_apic.h"
#include "backend/soft/apic/tsc.h"
#include "backend/soft/apic/vcpu_timer.h"
#include "backend/soft/interp/cpu.h"
#include "base/clock.h"
#include "contract/x86/vcpu_state.h"

namespace husk::soft {

// What the vCPUs of one VM share.
struct SharedMachine {
  mmu::PhysicalMap memory;
  apic::ApicBus bus;
  uint32_t vcpu_count = 1;
  CpuModel cpu_model = CpuModel::kHost;
  contract::x86::CpuidTable cpuid;  // the model's, without a topology
  bool exits_on_hypercalls = false;
  // Added to CLOCK_MONOTONIC to give the guest's time.
  std::atomic<uint64_t> time_offset{0};
};

class SoftVcpu final : public interp::Environment {
 public:
  using SnapshotState = contract::x86::VcpuState;

  // Valid as long as the VM.
  class Handle {
   public:
    explicit Handle(apic::VcpuSignal& signal) : signal_(&signal) {}
    static void force_exit(std::span<const Handle> batch) {
      for (const Handle& handle : batch) handle.signal_->raise(apic::kSignalExit);
    }

   private:
    apic::VcpuSignal* signal_;
  };

  SoftVcpu(SharedMachine& machine, uint32_t id, apic::VcpuSignal& signal);
  ~SoftVcpu() override;
  SoftVcpu(const SoftVcpu&) = delete;
  SoftVcpu& operator=(const SoftVcpu&) = delete;

  [[nodiscard]] Handle exit_token() { return Handle(signal_); }
  [[nodiscard]] seam::VcpuExit step();
  void set_read_data(uint64_t value) { cpu_->device.answer(value); }
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

  [[nodiscard]] Result<uint64_t> get_core(seam::CoreReg reg) const;
  [[nodiscard]] Result<void> set_core(seam::CoreReg reg, uint64_t value);
  [[nodiscard]] Result<uint64_t> get_sys(seam::SysReg reg) const;
  [[nodiscard]] Result<void> set_sys(seam::SysReg reg, uint64_t value);

  // interp::Environment: for the interpreter only.
  uint64_t apic_read(uint32_t offset, uint32_t size) override { return apic_.read(offset, size); }
  void apic_write(uint32_t offset, uint32_t size, uint64_t value) override;
  std::optional<uint64_t> apic_msr_read(uint32_t index) override { return apic_.read_msr(index); }
  bool apic_msr_write(uint32_t index, uint64_t value) override;
  bool interrupt_waiting() override { return nmi_pending_ || apic_.has_interrupt(); }
  uint64_t cr8() override { return apic_.tpr_class(); }
  void set_cr8(uint64_t value) override { apic_.set_tpr_class(value); }
  std::optional<uint64_t> apic_page() override { return apic_.page(); }
  uint32_t apic_id() override { return apic_.id(); }
  uint32_t vcpu_count() override { return machine_.vcpu_count; }
  bool exits_on_hypercalls() override { return machine_.exits_on_hypercalls; }
  uint64_t guest_ns() override;
  uint64_t tsc(uint64_t adjust) override { return clock(adjust).at(base::monotonic_ns()); }
  uint32_t tsc_khz() override { return tsc_khz_; }

 private:
  static constexpr uint32_t kNoTimer = 1;  // VcpuExit::raw: the host has none left

  [[nodiscard]] apic::Tsc clock(uint64_t adjust) const;

  [[nodiscard]] Result<void> finish_instruction();

  void translate_hot_code();

  // What attend() found.
  enum class Attention { kRun, kExit, kWait };
  Attention attend();
  void take_events(uint32_t bits);
  void wait_for_event();
  void release_code();
  void deliver_in_flight();
  void deliver_interrupts();
  seam::VcpuExit device_exit();
  seam::VcpuExit shutdown_exit();
  seam::VcpuExit debug_exit();

  SharedMachine& machine_;
  uint32_t id_;
  apic::VcpuSignal& signal_;
  apic::LocalApic apic_;
  apic::VcpuTimer timer_;
  std::unique_ptr<interp::Cpu> cpu_;
  // Of the TSC; a restored guest goes on with the rate that it has measured.
  uint32_t tsc_khz_ = apic::Tsc::kNanoseconds;
  bool halted_ = false;
  // How long a vCPU that sleeps keeps decoded code, if it is more than kIdleCode bytes.
  static constexpr size_t kIdleCode = size_t{512} << 10;
  uint64_t keep_code_ns_ = 300'000'000;
  bool waiting_for_sipi_;
  bool nmi_pending_ = false;
  bool shut_down_ = false;
  bool debug_kept_ = false;  // that an instruction's end was one, which step() has yet to tell
  contract::x86::InFlight in_flight_;  // of a restored state, to be delivered first
};

}  // namespace husk::soft
