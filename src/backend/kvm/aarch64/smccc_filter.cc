#include "backend/kvm/aarch64/smccc_filter.h"

#include <array>

#include "backend/kvm/common/calls.h"
#include "base/try.h"

namespace husk::kvm {
namespace {

// As the kernel's interface has them; the headers that Debian 12 has are older.
constexpr uint32_t kGroup = 0, kAttribute = 0;  // KVM_ARM_VM_SMCCC_CTRL, KVM_ARM_VM_SMCCC_FILTER
struct Filter {
  uint32_t base = 0;
  uint32_t functions = 0;
  uint8_t action = 2;  // KVM_SMCCC_FILTER_FWD_TO_USER
  std::array<uint8_t, 15> padding{};
};
static_assert(sizeof(Filter) == 24);

// Fast calls of a vendor's hypervisor, 32- and 64-bit. KVM has some below and the general ones
// above.
constexpr uint32_t kFirst32 = 0x8600'0100, kFirst64 = 0xc600'0100, kCount = 0xfe00;

}  // namespace

Result<void> forward_hypercalls(int vm) {
  kvm_device_attr attribute{};
  attribute.group = kGroup;
  attribute.attr = kAttribute;
  if (!call(vm, HUSK_KVM_CALL(KVM_HAS_DEVICE_ATTR), &attribute))
    return fail(ErrorKind::kUnsupported, "hypercalls",
                "this KVM answers all of them itself (no KVM_ARM_VM_SMCCC_FILTER)");
  for (const uint32_t first : {kFirst32, kFirst64}) {
    Filter filter;
    filter.base = first;
    filter.functions = kCount;
    attribute.addr = reinterpret_cast<uint64_t>(&filter);
    HUSK_TRY(call(vm, HUSK_KVM_CALL(KVM_SET_DEVICE_ATTR), &attribute));
  }
  return {};
}

}  // namespace husk::kvm
