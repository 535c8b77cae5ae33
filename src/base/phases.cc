#include "base/phases.h"

#include <atomic>
#include <ctime>

#include "base/clock.h"
#include "base/log.h"

namespace husk::base {
namespace {

std::atomic<uint64_t> last_end_ns{0};
std::atomic<uint64_t> load_ns{
    0};  // of the processor, before main(): the kernel tells no finer when that began

void tell(std::string_view name, uint64_t ns) {
  log(LogLevel::kDebug, "phase: {} {:.3f} ms", name, static_cast<double>(ns) / 1e6);
}

}  // namespace

void begin_phases() {
  timespec spent{};
  ::clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &spent);
  load_ns =
      static_cast<uint64_t>(spent.tv_sec) * 1'000'000'000 + static_cast<uint64_t>(spent.tv_nsec);
  last_end_ns = monotonic_ns();
}

void end_phase(std::string_view name) {
  if (!log_enabled(LogLevel::kDebug)) return;
  if (const uint64_t load = load_ns.exchange(0); load != 0) tell("load", load);
  const uint64_t now = monotonic_ns();
  tell(name, now - last_end_ns.exchange(now));
}

}  // namespace husk::base
