#include "registry/owner.h"

#include <poll.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <climits>

#include "api/proc_text.h"
#include "base/clock.h"
#include "base/try.h"

namespace husk::registry {
namespace {

const std::string& boot_id() {
  static const std::string id = [] {
    const auto text = api::read_text("/proc/sys/kernel/random/boot_id");
    return text ? std::string(api::trim(*text)) : std::string();
  }();
  return id;
}

}  // namespace

Result<Owner> this_process() {
  return Owner{HUSK_TRY(lifecycle::VmmProcess::of(static_cast<uint32_t>(::getpid()))), boot_id()};
}

bool is_alive(const Owner& owner) { return owner.boot_id == boot_id() && owner.process.is_alive(); }

// Looked at again once it is held: until then the pid may have become another's.
base::Fd open_process(const Owner& owner) {
  base::Fd fd(static_cast<int>(::syscall(SYS_pidfd_open, owner.process.pid(), 0)));
  return fd.valid() && is_alive(owner) ? std::move(fd) : base::Fd();
}

bool send_signal(const base::Fd& process, int signal) {
  return ::syscall(SYS_pidfd_send_signal, process.get(), signal, nullptr, 0) == 0;
}

bool wait_for_end(const base::Fd& process, std::optional<uint64_t> limit_ns) {
  const uint64_t start = base::monotonic_ns();
  for (;;) {
    const uint64_t spent = base::monotonic_ns() - start;
    if (limit_ns && spent > *limit_ns) return false;
    const uint64_t left_ms = limit_ns ? (*limit_ns - spent) / 1'000'000 + 1 : 0;
    pollfd watched{process.get(), POLLIN, 0};
    const int limit = limit_ns ? static_cast<int>(std::min<uint64_t>(left_ms, INT_MAX)) : -1;
    const int count = ::poll(&watched, 1, limit);
    if (count > 0) return true;
    if (count < 0 && errno != EINTR) return false;
  }
}

}  // namespace husk::registry
