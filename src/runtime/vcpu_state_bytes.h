// A backend's vCPU as the public API's snapshot, and back.
#pragma once

#include <sstream>
#include <string>

#include "husk/seam.h"
#include "husk/types.h"

#include "base/try.h"
#include "registers.h"

namespace husk::runtime {

template <seam::HypervisorVcpu Vcpu>
Result<VcpuSnapshot> describe_state(uint32_t id, Vcpu& vcpu,
                                    const typename Vcpu::SnapshotState& state) {
  std::ostringstream out;
  HUSK_TRY(Vcpu::write_snapshot_state(state, out));
  auto snapshot = HUSK_TRY(describe_vcpu(id, vcpu, state));
  const std::string text = out.str();
  const auto bytes = std::as_bytes(std::span(text));
  snapshot.extra_state.assign(bytes.begin(), bytes.end());
  return snapshot;
}

template <seam::HypervisorVcpu Vcpu>
Result<VcpuSnapshot> capture_vcpu(uint32_t id, Vcpu& vcpu) {
  return describe_state(id, vcpu, HUSK_TRY(vcpu.capture_snapshot()));
}

// kInvalidArgument: another vCPU's; kCorrupt: not a state.
template <seam::HypervisorVcpu Vcpu>
Result<void> restore_vcpu(uint32_t id, Vcpu& vcpu, const VcpuSnapshot& snapshot) {
  if (snapshot.id != id)
    return fail(ErrorKind::kInvalidArgument, "snapshot",
                "is of vCPU " + std::to_string(snapshot.id) + ", not " + std::to_string(id));
  std::istringstream in(std::string(reinterpret_cast<const char*>(snapshot.extra_state.data()),
                                    snapshot.extra_state.size()));
  const auto state = HUSK_TRY(Vcpu::read_snapshot_state(in));
  return vcpu.restore_snapshot(state);
}

}  // namespace husk::runtime
