// The test program's own ioctl(2), malloc(3) and pthread_mutex_lock(3), which come before the C
// library's: calls are counted, changed or made to fail.
#pragma once

#include <cstdint>
#include <functional>

namespace husk::kvm_tests {

// Called before every ioctl. A number other than 0: the call is not made and fails with it.
extern std::function<int(int fd, unsigned long request)> on_ioctl;

// KVM_CHECK_EXTENSION denies this capability; kNoCapability: none.
constexpr unsigned long kNoCapability = ~0UL;
extern unsigned long absent_capability;

// Of the calling thread, since its start: others that the machine has are none of the hot path's.
extern constinit thread_local uint64_t allocations, locks, ioctls;

}  // namespace husk::kvm_tests
