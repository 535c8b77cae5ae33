#include "backend/kvm/x86_64/shown_cpuid.h"

#include "backend/kvm/x86_64/cpuid.h"
#include "base/try.h"
#include "contract/x86/cpu_model.h"

namespace husk::kvm {

using namespace contract::x86;  // NOLINT(google-build-using-namespace): the names of this subject

Result<ShownCpuid> ShownCpuid::show(int vcpu, CpuModel model, CpuidTable offered) {
  HUSK_TRY(set_cpuid(vcpu, offered));
  ShownCpuid shown;
  shown.model_ = model;
  shown.table_ = offered;
  shown.offered_ = std::move(offered);
  return shown;
}

void ShownCpuid::describe(VcpuState& state) const {
  state.cpu_model = model_;
  state.cpuid = table_;
}

Result<void> ShownCpuid::adopt(int vcpu, const VcpuState& state) {
  if (state.cpuid.empty() || state.cpuid == table_) return {};
  HUSK_TRY(require_no_less(state.cpuid, offered_));
  if (!set_cpuid(vcpu, state.cpuid))
    return fail(ErrorKind::kUnsupported, "the processor of this machine",
                "is not what the guest was shown, and has run: it cannot become that any more");
  table_ = state.cpuid;
  model_ = state.cpu_model;
  return {};
}

}  // namespace husk::kvm
