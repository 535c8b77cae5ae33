#include "contract/aarch64/counter.h"

#include <fmt/core.h>

namespace husk::contract::aarch64 {

Result<void> check_frequency(const VcpuState& state, uint64_t host_hertz) {
  if (state.counter_hertz == 0 || state.counter_hertz == host_hertz) return {};
  return fail(
      ErrorKind::kUnsupported, "vCPU state",
      fmt::format("counts time at {} Hz, this host at {} Hz", state.counter_hertz, host_hertz));
}

}  // namespace husk::contract::aarch64
