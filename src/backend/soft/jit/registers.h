// Where the guest's state is while translated code runs.
//
//   RSP       HotState::regs: everything that is no register, by offsets (room_below is below it)
//   RAX, RCX  scratch: addresses, and the guest's flags on their way (LAHF, SETO)
//   the rest  guest registers, under their own names but for RAX in R9, RCX in R10 and RSP in R11
//   memory    the guest's R9, R10 and R11, which compilers use least
//   XMM       the guest's own, while HotState::sse_live is not zero; YMM, while it is kWholeVectors
#pragma once

#include <cstddef>

#include "backend/soft/interp/cpu.h"
#include "backend/soft/jit/assembler.h"

namespace husk::soft::jit {

using interp::HotState;

constexpr std::array<uint8_t, 16> kHostOf{r9, r10,    rdx,    rbx,    r11, rbp, rsi, rdi,
                                          r8, kNoReg, kNoReg, kNoReg, r12, r13, r14, r15};
constexpr uint8_t host_of(uint8_t guest) { return kHostOf[guest]; }
constexpr bool in_memory(uint8_t guest) { return kHostOf[guest] == kNoReg; }

constexpr uint8_t kGuestRax = 0, kGuestRcx = 1, kGuestRdx = 2, kGuestRsp = 4, kGuestRbp = 5;

constexpr Mem hot(size_t offset) {
  return {.base = rsp, .disp = static_cast<int32_t>(offset - offsetof(HotState, regs))};
}
constexpr Mem slot_of(uint8_t guest) { return hot(offsetof(HotState, regs) + guest * 8u); }
constexpr size_t table(bool write) {
  return offsetof(HotState, tlb) + (write ? offsetof(mmu::Tlb, write) : offsetof(mmu::Tlb, read));
}
constexpr bool fits(int64_t value) { return value == static_cast<int32_t>(value); }
constexpr Mem span_host(size_t slot) {
  return hot(offsetof(HotState, span_hosts) + slot * sizeof(uint64_t));
}
// Flags between EFLAGS and `status`, by way of RAX.
inline void write_save_flags(Assembler& a, const Mem& status) {
  a.byte(0x9f);                                             // LAHF
  a.rr({.opcode = 0x90, .map = 1, .bytes = true}, 0, rax);  // SETO AL
  a.rm({.opcode = 0x89, .prefix = 0x66}, rax, status);
}
inline void write_load_flags(Assembler& a, const Mem& status) {
  a.rm(op0f(0xb7), rax, status);
  a.byte(0x04);  // ADD AL, 127: overflows when bit 0 is set
  a.byte(0x7f);
  a.byte(0x9e);  // SAHF
}
#define HUSK_HOT(field) ::husk::soft::jit::hot(offsetof(::husk::soft::interp::HotState, field))

}  // namespace husk::soft::jit
