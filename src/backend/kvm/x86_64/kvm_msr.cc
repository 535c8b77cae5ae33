#include "backend/kvm/x86_64/kvm_msr.h"

#include <array>
#include <cstddef>

#include "backend/kvm/common/calls.h"
#include "base/try.h"

namespace husk::kvm {

using contract::x86::Msr;

namespace {

struct OneMsr {
  explicit OneMsr(uint32_t index, uint64_t value = 0) {
    list().nmsrs = 1;
    list().entries[0].index = index;
    list().entries[0].data = value;
  }
  kvm_msrs& list() { return *reinterpret_cast<kvm_msrs*>(bytes.data()); }

  alignas(kvm_msrs) std::array<std::byte, sizeof(kvm_msrs) + sizeof(kvm_msr_entry)> bytes{};
};

}  // namespace

std::optional<uint64_t> get_msr(int fd, uint32_t index) {
  OneMsr one(index);
  const auto read = call(fd, HUSK_KVM_CALL(KVM_GET_MSRS), &one.list());
  if (!read || *read != 1) return std::nullopt;
  return one.list().entries[0].data;
}

Result<void> set_msr(int fd, const Msr& msr) {
  OneMsr one(msr.index, msr.value);
  if (HUSK_TRY(call(fd, HUSK_KVM_CALL(KVM_SET_MSRS), &one.list())) == 1) return {};
  return fail(ErrorKind::kCorrupt, "vCPU state",
              "MSR " + std::to_string(msr.index) + " refuses its value");
}

}  // namespace husk::kvm
