// A vCPU of KVM on aarch64. Satisfies seam::HypervisorVcpu; see husk/seam.h for the threads.
#pragma once

#include <cstdint>
#include <istream>
#include <memory>
#include <optional>
#include <ostream>
#include <span>

#include "husk/seam.h"

#include "backend/kvm/common/run_area.h"
#include "backend/kvm/common/system.h"
#include "contract/aarch64/vcpu_state.h"

namespace husk::kvm {

class KvmVcpu {
 public:
  using SnapshotState = contract::aarch64::VcpuState;
  using Handle = ExitHandle;

  // `system` outlives it.
  KvmVcpu(const System& system, uint32_t id, RunArea area)
      : system_(system), id_(id), area_(std::move(area)) {}
  KvmVcpu(const KvmVcpu&) = delete;
  KvmVcpu& operator=(const KvmVcpu&) = delete;

  [[nodiscard]] Handle exit_token() { return Handle(area_.gate()); }
  [[nodiscard]] seam::VcpuExit step();
  void set_read_data(uint64_t value);
  // seam::HasDebug
  [[nodiscard]] Result<void> set_debug(const DebugOptions& options);

  // Everything in KVM's list of registers.
  [[nodiscard]] Result<SnapshotState> capture_snapshot();
  // A state's `registers` may be some of those that there are, and its mpidr 0: what it leaves out
  // stays. The counter is restore_clock()'s. kUnsupported: from a host whose counter has another
  // frequency, or with what else this one cannot have. kState: an SError is pending that the state
  // has not.
  [[nodiscard]] Result<void> restore_snapshot(const SnapshotState& state);
  [[nodiscard]] static Result<void> write_snapshot_state(const SnapshotState& state,
                                                         std::ostream& out);
  [[nodiscard]] static Result<SnapshotState> read_snapshot_state(std::istream& in);
  // By the virtual counter and its frequency, this host's where the state does not say it.
  [[nodiscard]] static seam::ClockRef capture_clock_ref(const SnapshotState& state,
                                                        uint64_t host_now);
  uint64_t restore_clock(const seam::ClockRef& ref, uint64_t host_now);

  [[nodiscard]] Result<uint64_t> get_core(seam::CoreReg reg) const;
  [[nodiscard]] Result<void> set_core(seam::CoreReg reg, uint64_t value);
  [[nodiscard]] Result<uint64_t> get_sys(seam::SysReg reg) const;
  [[nodiscard]] Result<void> set_sys(seam::SysReg reg, uint64_t value);

  [[nodiscard]] int fd() const { return area_.fd(); }

 private:
  // What the exit asks of the layer above; nullopt: nothing, on with it.
  [[nodiscard]] std::optional<seam::VcpuExit> take_exit();
  [[nodiscard]] seam::VcpuExit hypercall();
  [[nodiscard]] std::optional<seam::VcpuExit> debug_exit();
  [[nodiscard]] bool is_the_guests(const DebugStop& stop) const;
  [[nodiscard]] std::optional<seam::VcpuExit> stepped();
  [[nodiscard]] bool stepping() const { return debug_.single_step || passing_.has_value(); }
  [[nodiscard]] Result<void> apply_debug(const DebugOptions& options);
  void set_passing(std::optional<DebugStop> stop);
  void forget_stop();
  [[nodiscard]] seam::VcpuExit system_event() const;
  [[nodiscard]] seam::VcpuExit failed() const;
  // kState: the last exit waits for a device.
  [[nodiscard]] Result<void> complete_access();

  const System& system_;
  uint32_t id_;
  RunArea area_;
  bool access_open_ = false;  // KVM_RUN has yet to complete the last exit's access
  bool unanswered_ = false;   // the last exit is a read
  DebugOptions debug_;
  std::optional<DebugStop> stopped_at_;  // what step() has to go past
  std::optional<DebugStop> passing_;     // what it is going past
  bool step_kept_ = false;  // an access that was completed ended a step, which is yet to be told
};

}  // namespace husk::kvm
