#include "backend/soft/jit/stubs.h"

#include "backend/soft/jit/registers.h"

namespace husk::soft::jit {

namespace {

constexpr uint8_t kCalleeSaved[] = {rbx, rbp, r12, r13, r14, r15};
constexpr uint8_t kZero = 4, kNotZero = 5, kAbove = 7;

Mem deeper(Mem m, int32_t bytes) {
  m.disp += bytes;
  return m;
}

class StubWriter {
 public:
  StubWriter(uint8_t* at, const Callbacks& callbacks) : a_(at), callbacks_(callbacks) {}

  Stubs write() {
    Stubs stubs;
    stubs.enter = aligned();
    enter();
    leave_ = aligned();  // with the Exit or null in RAX; the guest's registers are in memory
    leave();
    stubs.exit = aligned();
    move_registers(0, true);
    move_vectors(0, true);
    a_.mov(rax, rcx);
    a_.jmp_to(leave_);
    stubs.interpret = aligned();
    call(reinterpret_cast<uint64_t>(callbacks_.interpret));
    stubs.miss = aligned();
    call(reinterpret_cast<uint64_t>(callbacks_.miss));
    stubs.span_miss = aligned();
    call(reinterpret_cast<uint64_t>(callbacks_.span_miss));
    stubs.vectors = aligned();
    call(reinterpret_cast<uint64_t>(callbacks_.vectors));
    stubs.x87 = aligned();
    call(reinterpret_cast<uint64_t>(callbacks_.x87));
    return stubs;
  }
  [[nodiscard]] uint8_t* end() const { return a_.here(); }

 private:
  const uint8_t* aligned() {
    while (reinterpret_cast<uintptr_t>(a_.here()) % 16 != 0) a_.byte(0xcc);
    return a_.here();
  }

  // Guest registers to or from memory. `depth`: bytes that were pushed.
  void move_registers(int32_t depth, bool store) {
    for (uint8_t guest = 0; guest < 16; ++guest) {
      if (in_memory(guest)) continue;
      const Mem slot = deeper(slot_of(guest), depth);
      if (store) {
        a_.store(slot, host_of(guest));
      } else {
        a_.load(host_of(guest), slot);
      }
    }
  }

  // XMM registers, if they are the guest's.
  void move_vectors(int32_t depth, bool store) {
    a_.rm(op(0x83), 7, deeper(HUSK_HOT(sse_live), depth));
    a_.byte(0);
    const JumpSite none = a_.jcc(kZero);
    const size_t image = offsetof(HotState, fpu_state) + offsetof(fpu::FpuState, image);
    for (uint8_t i = 0; i < 16; ++i) {
      const Mem at = deeper(hot(image + fpu::FpuState::kXmm + i * 16u), depth);
      a_.rm(op0f(store ? 0x29 : 0x28), i, at);  // MOVAPS
    }
    move_upper(depth, store);
    a_.bind(none);
  }

  // Their upper halves, if these are: VEXTRACTF128, VINSERTF128.
  void move_upper(int32_t depth, bool store) {
    a_.rm(op(0x83), 7, deeper(HUSK_HOT(sse_live), depth));
    a_.byte(interp::kWholeVectors);
    const JumpSite none = a_.jcc(kNotZero);
    const size_t upper = offsetof(HotState, fpu_state) + offsetof(fpu::FpuState, upper);
    for (uint8_t i = 0; i < 16; ++i) {
      const Encoding move{.opcode = static_cast<uint8_t>(store ? 0x19 : 0x18),
                          .map = 3,
                          .prefix = 0x66,
                          .vex = true,
                          .vex_256 = true,
                          .vvvv = store ? uint8_t{0} : i};
      a_.rm(move, i, deeper(hot(upper + i * 16u), depth));
      a_.byte(1);
    }
    if (store) {  // VZEROUPPER: what comes next is SSE
      for (const uint8_t byte : {0xc5, 0xf8, 0x77}) a_.byte(byte);
    }
    a_.bind(none);
  }

  void push(uint8_t reg) {
    if (reg >= 8) a_.byte(0x41);
    a_.byte(static_cast<uint8_t>(0x50 | (reg & 7)));
  }
  void pop(uint8_t reg) {
    if (reg >= 8) a_.byte(0x41);
    a_.byte(static_cast<uint8_t>(0x58 | (reg & 7)));
  }
  void ret() { a_.byte(0xc3); }

  void enter() {
    for (const uint8_t reg : kCalleeSaved) push(reg);
    a_.alu_imm(5, rsp, 8);  // aligns the stack for calls
    Mem stack = HUSK_HOT(host_stack);
    stack.base = rdi;
    a_.store(stack, rsp);
    a_.mov(rsp, rdi);
    a_.mov(rax, rsi);
    move_registers(0, false);
    a_.rr(op(0xff, false), 4, rax);
  }

  void leave() {
    for (const Mem& lent : {HUSK_HOT(sse_live), HUSK_HOT(x87_lent)}) {
      a_.rm(op(0xc7), 0, lent);
      a_.dword(0);
    }
    a_.load(rsp, HUSK_HOT(host_stack));
    a_.alu_imm(0, rsp, 8);
    for (int i = 5; i >= 0; --i) pop(kCalleeSaved[i]);
    ret();
  }

  void call(uint64_t function) {
    constexpr int32_t kDepth = 8;  // the return address
    move_registers(kDepth, true);
    move_vectors(kDepth, true);
    a_.mov(rdx, rax);
    a_.mov(rsi, rcx);
    a_.mov(rbx, rsp);
    a_.lea(rdi, {.base = rsp, .disp = kDepth});
    a_.load(rsp, deeper(HUSK_HOT(host_stack), kDepth));
    a_.mov_imm(rax, function);
    a_.rr(op(0xff, false), 2, rax);
    a_.mov(rsp, rbx);
    a_.rr(op(0x85, false), rax, rax);
    const JumpSite stay = a_.jcc(kNotZero);
    a_.lea(rsp, {.base = rsp, .disp = kDepth});
    a_.jmp_to(leave_);  // RAX is null
    a_.bind(stay);
    a_.alu_imm(7, rax, 2);
    const JumpSite elsewhere = a_.jcc(kAbove);
    const JumpSite here = a_.jcc(kNotZero);
    a_.rm(op(0x83), 0, {.base = rsp});  // ADD QWORD [RSP], 5
    a_.byte(5);
    a_.bind(here);
    back(kDepth);
    a_.bind(elsewhere);
    a_.lea(rsp, {.base = rsp, .disp = kDepth});
    move_registers(0, false);
    a_.rr(op(0xff, false), 4, rax);
  }

  void back(int32_t depth) {
    move_registers(depth, false);
    move_vectors(depth, false);
    ret();
  }

  Assembler a_;
  const Callbacks& callbacks_;
  const uint8_t* leave_ = nullptr;
};

}  // namespace

Stubs write_stubs(fpu::CodeArena& arena, const Callbacks& callbacks) {
  StubWriter writer(arena.next(), callbacks);
  const Stubs stubs = writer.write();
  arena.take(writer.end());
  return stubs;
}

}  // namespace husk::soft::jit
