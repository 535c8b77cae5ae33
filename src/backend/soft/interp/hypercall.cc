// VMCALL and VMMCALL, answered as KVM answers them (Linux,
// Documentation/virt/kvm/x86/hypercalls.rst and arch/x86/kvm/x86.c, kvm_emulate_hypercall()).
#include "backend/soft/interp/cpu.h"

namespace husk::soft::interp {
namespace {

using contract::x86::kRax;

constexpr uint64_t kVapicPollIrq = 1;
constexpr uint64_t kEnosys = -uint64_t{1000}, kEperm = -uint64_t{1};

}  // namespace

bool Cpu::hypercall(const Op* op) {
  const uint64_t narrow = code64() ? ~uint64_t{0} : 0xffffffffu;
  const uint64_t number = regs[kRax] & narrow;
  uint64_t result = kEnosys;
  if (ring != 0) {
    result = kEperm;
  } else if (env.exits_on_hypercalls()) {
    DeviceRequest request{DeviceRequest::Kind::kHypercall, false, 8, number, 0};
    if (!device.perform(request)) {
      stop = Stop::kDevice;
      rip = ip_of(op) & ip_mask;
      return false;
    }
    result = request.data;
  } else if (number == kVapicPollIrq) {
    result = 0;  // the interrupt that it asks for is taken here anyway
  }
  regs[kRax] = result & narrow;
  return true;
}

}  // namespace husk::soft::interp
