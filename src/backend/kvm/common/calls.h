// The calls of the KVM API (Linux, Documentation/virt/kvm/api.rst) as Results whose errors name the
// call. KVM_RUN is not among them: it is a vCPU's hot path (run_area.h).
#pragma once

#include "husk/error.h"

#include "backend/kvm/common/kvm_api.h"

namespace husk::kvm {

struct Call {
  unsigned long request;
  const char* name;
};

#define HUSK_KVM_CALL(name) \
  ::husk::kvm::Call { name, #name }

// The call's non-negative answer. `argument` is a pointer, or a number. Repeated when a signal
// interrupts it.
[[nodiscard]] Result<int> call(int fd, Call what, unsigned long argument = 0);

template <class T>
[[nodiscard]] Result<int> call(int fd, Call what, T* argument) {
  return call(fd, what, reinterpret_cast<unsigned long>(argument));
}

}  // namespace husk::kvm
