// What CPUID shows a vCPU's guest, from its creation over the states that are restored into it.
#pragma once

#include "husk/cpu_model.h"
#include "husk/error.h"

#include "contract/x86/vcpu_state.h"

namespace husk::kvm {

class ShownCpuid {
 public:
  // Shows `offered`, a model's table with the vCPU's topology.
  [[nodiscard]] static Result<ShownCpuid> show(int vcpu, CpuModel model,
                                               contract::x86::CpuidTable offered);

  [[nodiscard]] const contract::x86::CpuidTable& table() const { return table_; }
  void describe(contract::x86::VcpuState& state) const;
  // Goes on showing what the state's guest was shown; kUnsupported when what this vCPU offers is
  // less, and when the vCPU has run and showed something else.
  [[nodiscard]] Result<void> adopt(int vcpu, const contract::x86::VcpuState& state);

 private:
  CpuModel model_ = CpuModel::kHost;
  contract::x86::CpuidTable offered_, table_;
};

}  // namespace husk::kvm
