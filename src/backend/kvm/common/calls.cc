#include "backend/kvm/common/calls.h"

#include <sys/ioctl.h>

#include <cerrno>

namespace husk::kvm {

Result<int> call(int fd, Call what, unsigned long argument) {
  for (;;) {
    const int answer = ::ioctl(fd, what.request, argument);
    if (answer >= 0) return answer;
    if (errno == EINTR) continue;
    auto error = fail_errno("KVM", std::string(what.name) + " failed");
    error.error().kind = ErrorKind::kBackend;
    return error;
  }
}

}  // namespace husk::kvm
