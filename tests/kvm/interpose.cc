#include "interpose.h"

#include <dlfcn.h>
#include <pthread.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <atomic>
#include <cerrno>
#include <cstdarg>
#include <cstdlib>

#include "backend/kvm/common/kvm_api.h"

namespace husk::kvm_tests {
std::function<int(int fd, unsigned long request)> on_ioctl;
unsigned long absent_capability = kNoCapability;
constinit thread_local uint64_t allocations = 0, locks = 0, ioctls = 0;
}  // namespace husk::kvm_tests

using namespace husk::kvm_tests;  // NOLINT(google-build-using-namespace)

extern "C" {

int ioctl(int fd, unsigned long request, ...) noexcept {
  va_list arguments;
  va_start(arguments, request);
  void* const argument = va_arg(arguments, void*);
  va_end(arguments);
  ++ioctls;
  if (on_ioctl) {
    if (const int error = on_ioctl(fd, request); error != 0) {
      errno = error;
      return -1;
    }
  }
  if (request == KVM_CHECK_EXTENSION &&
      reinterpret_cast<unsigned long>(argument) == absent_capability)
    return 0;
  return static_cast<int>(::syscall(SYS_ioctl, fd, request, argument));
}

void* __libc_malloc(size_t size);
void* malloc(size_t size) {
  ++allocations;
  return __libc_malloc(size);
}

int pthread_mutex_lock(pthread_mutex_t* mutex) noexcept {
  using Lock = int (*)(pthread_mutex_t*);
  static std::atomic<Lock> real{nullptr};
  Lock lock = real.load(std::memory_order_relaxed);
  if (lock == nullptr) {
    lock = reinterpret_cast<Lock>(::dlsym(RTLD_NEXT, "pthread_mutex_lock"));
    real.store(lock, std::memory_order_relaxed);
  }
  ++locks;
  return lock(mutex);
}
}
