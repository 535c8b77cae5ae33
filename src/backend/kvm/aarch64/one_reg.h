// KVM's registers of an aarch64 vCPU, one at a time, by their ids (Linux,
// Documentation/virt/kvm/api.rst, 4.68 KVM_SET_ONE_REG).
#pragma once

#include <concepts>
#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include "husk/error.h"

#include "backend/kvm/common/kvm_api.h"

namespace husk::kvm {

// Of a core register: where it lies in kvm_regs, in words, and how long it is.
[[nodiscard]] constexpr uint64_t core_reg_id(size_t offset, uint64_t size_code) {
  return KVM_REG_ARM64 | size_code | KVM_REG_ARM_CORE | offset / sizeof(uint32_t);
}

// Of a system register: the operands of MRS and MSR.
[[nodiscard]] constexpr uint64_t system_reg_id(uint64_t op0, uint64_t op1, uint64_t crn,
                                               uint64_t crm, uint64_t op2) {
  return KVM_REG_ARM64 | KVM_REG_SIZE_U64 | KVM_REG_ARM64_SYSREG |
         op0 << KVM_REG_ARM64_SYSREG_OP0_SHIFT | op1 << KVM_REG_ARM64_SYSREG_OP1_SHIFT |
         crn << KVM_REG_ARM64_SYSREG_CRN_SHIFT | crm << KVM_REG_ARM64_SYSREG_CRM_SHIFT | op2;
}

constexpr uint64_t kMpidrEl1 = system_reg_id(3, 0, 0, 0, 5);
constexpr uint64_t kSctlrEl1 = system_reg_id(3, 0, 1, 0, 0);

constexpr uint64_t x_reg_id(unsigned n) {
  return core_reg_id(offsetof(kvm_regs, regs) + n * sizeof(uint64_t), KVM_REG_SIZE_U64);
}
constexpr uint64_t v_reg_id(unsigned n) {
  return core_reg_id(offsetof(kvm_regs, fp_regs) + size_t{n} * 16, KVM_REG_SIZE_U128);
}
constexpr uint64_t kSpId = core_reg_id(offsetof(kvm_regs, regs.sp), KVM_REG_SIZE_U64);
constexpr uint64_t kPcId = core_reg_id(offsetof(kvm_regs, regs.pc), KVM_REG_SIZE_U64);
constexpr uint64_t kPstateId = core_reg_id(offsetof(kvm_regs, regs.pstate), KVM_REG_SIZE_U64);
constexpr uint64_t kFpsrId = core_reg_id(offsetof(kvm_regs, fp_regs.fpsr), KVM_REG_SIZE_U32);
constexpr uint64_t kFpcrId = core_reg_id(offsetof(kvm_regs, fp_regs.fpcr), KVM_REG_SIZE_U32);

// `value` is as long as the id says.
[[nodiscard]] Result<void> get_reg(int vcpu, uint64_t id, std::span<std::byte> value);
[[nodiscard]] Result<void> set_reg(int vcpu, uint64_t id, std::span<const std::byte> value);

template <std::unsigned_integral T>
[[nodiscard]] Result<T> get_reg(int vcpu, uint64_t id) {
  T value{};
  auto result = get_reg(vcpu, id, std::as_writable_bytes(std::span(&value, 1)));
  if (!result) return std::unexpected(result.error());
  return value;
}

template <std::unsigned_integral T>
[[nodiscard]] Result<void> set_reg(int vcpu, uint64_t id, const T& value) {
  return set_reg(vcpu, id, std::as_bytes(std::span(&value, 1)));
}

// The ids that this KVM has for the vCPU, ascending.
[[nodiscard]] Result<std::vector<uint64_t>> list_regs(int vcpu);

}  // namespace husk::kvm
