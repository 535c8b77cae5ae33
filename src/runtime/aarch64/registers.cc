#include "registers.h"

namespace husk::runtime {

std::unexpected<Error> no_such_registers() {
  return fail(ErrorKind::kUnsupported, "registers",
              "are x86-64's; those of an aarch64 vCPU are in its snapshot");
}

Arm64Registers public_registers(const contract::aarch64::VcpuState& state) {
  Arm64Registers registers;
  registers.x = state.x;
  registers.sp = state.sp;
  registers.pc = state.pc;
  registers.pstate = state.pstate;
  registers.fpcr = state.fpcr;
  registers.fpsr = state.fpsr;
  for (size_t n = 0; n < state.v.size(); ++n) registers.v[n] = {state.v[n].low, state.v[n].high};
  return registers;
}

}  // namespace husk::runtime
