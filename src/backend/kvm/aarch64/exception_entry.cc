#include "backend/kvm/aarch64/exception_entry.h"

#include "backend/kvm/aarch64/one_reg.h"
#include "base/try.h"
#include "contract/aarch64/vcpu_state.h"

namespace husk::kvm {
namespace {

// PSTATE as SPSR_EL1 has it (C5.2.18).
constexpr uint64_t kFlags = 0xfULL << 28, kDit = 1ULL << 24, kPan = 1ULL << 22, kSsbs = 1ULL << 12;
constexpr uint64_t kLevelMask = 3 << 2, kOwnStack = 1;
// SCTLR_EL1 (D17.2.118): what PAN and SSBS become.
constexpr uint64_t kDssbs = 1ULL << 44, kSpan = 1ULL << 23;

// Offsets in the table of vectors (D1.3.1.5), of synchronous exceptions.
constexpr uint64_t kSharedStackVector = 0x000, kOwnStackVector = 0x200, kLowerLevelVector = 0x400;

constexpr uint64_t kVbarEl1 = system_reg_id(3, 0, 12, 0, 0);
constexpr uint64_t kEsrEl1 = system_reg_id(3, 0, 5, 2, 0);
constexpr uint64_t kElrEl1Id = core_reg_id(offsetof(kvm_regs, elr_el1), KVM_REG_SIZE_U64);
constexpr uint64_t kSpsrEl1Id = core_reg_id(offsetof(kvm_regs, spsr), KVM_REG_SIZE_U64);

uint64_t vector(uint64_t pstate) {
  if ((pstate & kLevelMask) == 0) return kLowerLevelVector;
  return (pstate & kOwnStack) != 0 ? kOwnStackVector : kSharedStackVector;
}

}  // namespace

ExceptionEntry synchronous_entry(uint64_t pstate, uint64_t sctlr_el1, uint64_t vbar_el1) {
  using namespace contract::aarch64;  // NOLINT(google-build-using-namespace)
  uint64_t next = kPstateEl1h | kPstateD | kPstateA | kPstateI | kPstateF;
  next |= pstate & (kFlags | kDit | kPan);
  if ((sctlr_el1 & kSpan) == 0) next |= kPan;
  if ((sctlr_el1 & kDssbs) != 0) next |= kSsbs;
  return {vbar_el1 + vector(pstate), next};
}

Result<void> take_synchronous_exception(int vcpu, uint64_t esr_el1) {
  const auto pc = HUSK_TRY(get_reg<uint64_t>(vcpu, kPcId));
  const auto pstate = HUSK_TRY(get_reg<uint64_t>(vcpu, kPstateId));
  const ExceptionEntry entry =
      synchronous_entry(pstate, HUSK_TRY(get_reg<uint64_t>(vcpu, kSctlrEl1)),
                        HUSK_TRY(get_reg<uint64_t>(vcpu, kVbarEl1)));
  HUSK_TRY(set_reg(vcpu, kEsrEl1, esr_el1));
  HUSK_TRY(set_reg(vcpu, kElrEl1Id, pc));
  HUSK_TRY(set_reg(vcpu, kSpsrEl1Id, pstate));
  HUSK_TRY(set_reg(vcpu, kPcId, entry.pc));
  return set_reg(vcpu, kPstateId, entry.pstate);
}

}  // namespace husk::kvm
