// What kernels do at each of their entries and needs nothing of C++. Outside ring 0 the interpreter
// raises the fault.
#include "backend/soft/jit/block_translator.h"

namespace husk::soft::jit {

namespace {

constexpr uint8_t kNotEqual = 5;

// Beyond HotState, which a CPU begins with.
#define HUSK_CPU(field) hot(offsetof(interp::Cpu, field))

}  // namespace

void BlockTranslator::in_ring0(Item& item) {
  before_clobber(item);
  a_.rm({.opcode = 0x80, .bytes = true}, 7, HUSK_HOT(ring));
  a_.byte(0);
  detour(item, a_.jcc(kNotEqual));
}

void BlockTranslator::disable_interrupts(Item& item) {
  in_ring0(item);
  a_.rm(op(0x81), 4, HUSK_HOT(rflags_rest));  // AND
  a_.dword(~static_cast<uint32_t>(interp::kIf));
}

void BlockTranslator::swap_gs(Item& item) {
  in_ring0(item);
  const Mem base = hot(offsetof(HotState, seg_base) + contract::x86::kGs * sizeof(uint64_t));
  const Mem whole = hot(offsetof(interp::Cpu, seg) + contract::x86::kGs * sizeof(interp::Segment) +
                        offsetof(interp::Segment, base));
  a_.load(rax, HUSK_CPU(kernel_gs_base));
  a_.load(rcx, base);
  a_.store(HUSK_CPU(kernel_gs_base), rcx);
  a_.store(base, rax);
  a_.store(whole, rax);
}

#undef HUSK_CPU

}  // namespace husk::soft::jit
