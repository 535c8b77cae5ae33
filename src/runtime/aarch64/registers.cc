#include "registers.h"

namespace husk::runtime {

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

Result<void> put_registers(const Arm64Registers& registers, contract::aarch64::VcpuState& state) {
  if ((registers.fpcr | registers.fpsr) >> 32 != 0)
    return fail(ErrorKind::kInvalidArgument, "registers", "FPCR and FPSR have 32 bits");
  state.x = registers.x;
  state.sp = registers.sp;
  state.pc = registers.pc;
  state.pstate = registers.pstate;
  state.fpcr = static_cast<uint32_t>(registers.fpcr);
  state.fpsr = static_cast<uint32_t>(registers.fpsr);
  for (size_t n = 0; n < state.v.size(); ++n) state.v[n] = {registers.v[n][0], registers.v[n][1]};
  return {};
}

}  // namespace husk::runtime
