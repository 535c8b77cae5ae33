#include "backend/soft/jit/stubs.h"

#include "backend/soft/jit/registers.h"

namespace husk::soft::jit {

namespace {

constexpr uint8_t kCalleeSaved[] = {rbx, rbp, r12, r13, r14, r15};
constexpr uint8_t kZero = 4, kNotZero = 5;
constexpr int32_t kDepth = 8;  // of a call from translated code: its return address

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
    stubs.exit_saving = aligned();
    write_save_flags(a_, deeper(HUSK_HOT(status), kDepth));
    stubs.exit = a_.here();
    move_registers(true);
    move_vectors(true);
    pop(rax);
    a_.jmp_to(leave_);
    stubs.interpret = call(reinterpret_cast<uint64_t>(callbacks_.interpret));
    stubs.miss = call(reinterpret_cast<uint64_t>(callbacks_.miss));
    stubs.span_miss = call(reinterpret_cast<uint64_t>(callbacks_.span_miss));
    stubs.vectors = call(reinterpret_cast<uint64_t>(callbacks_.vectors));
    stubs.x87 = call(reinterpret_cast<uint64_t>(callbacks_.x87));
    stubs.look_up = look_up(HUSK_HOT(code_key));
    stubs.look_up_global = look_up(HUSK_HOT(global_code_key));
    return stubs;
  }
  [[nodiscard]] uint8_t* end() const { return a_.here(); }

 private:
  const uint8_t* aligned() {
    while (reinterpret_cast<uintptr_t>(a_.here()) % 16 != 0) a_.byte(0xcc);
    return a_.here();
  }

  // Guest registers to or from memory, within a call from translated code.
  void move_registers(bool store, int32_t depth = kDepth) {
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
  void move_vectors(bool store) {
    a_.rm(op(0x83), 7, deeper(HUSK_HOT(sse_live), kDepth));
    a_.byte(0);
    const JumpSite none = a_.jcc(kZero);
    const size_t image = offsetof(HotState, fpu_state) + offsetof(fpu::FpuState, image);
    for (uint8_t i = 0; i < 16; ++i) {
      const Mem at = deeper(hot(image + fpu::FpuState::kXmm + i * 16u), kDepth);
      a_.rm(op0f(store ? 0x29 : 0x28), i, at);  // MOVAPS
    }
    move_upper(store);
    a_.bind(none);
  }

  // Their upper halves, if these are: VEXTRACTF128, VINSERTF128.
  void move_upper(bool store) {
    a_.rm(op(0x83), 7, deeper(HUSK_HOT(sse_live), kDepth));
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
      a_.rm(move, i, deeper(hot(upper + i * 16u), kDepth));
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
    move_registers(false, 0);
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

  const uint8_t* call(uint64_t function) {
    const uint8_t* start = aligned();
    move_registers(true);
    move_vectors(true);
    a_.mov(rdx, rax);
    a_.load(rsi, {.base = rsp});
    a_.mov(rbx, rsp);
    a_.lea(rdi, {.base = rsp, .disp = kDepth});
    a_.load(rsp, deeper(HUSK_HOT(host_stack), kDepth));
    a_.mov_imm(rax, function);
    a_.rr(op(0xff, false), 2, rax);
    a_.mov(rsp, rbx);
    a_.rr(op(0x85), rax, rax);
    const JumpSite stay = a_.jcc(kNotZero);
    a_.lea(rsp, {.base = rsp, .disp = kDepth});
    a_.jmp_to(leave_);  // RAX is null
    a_.bind(stay);
    a_.store({.base = rsp}, rax);
    move_registers(false);
    move_vectors(false);
    write_load_flags(a_, deeper(HUSK_HOT(status), kDepth));
    ret();
    return start;
  }

  const uint8_t* look_up(const Mem& key) {
    const uint8_t* start = aligned();
    static_assert(sizeof(interp::JumpEntry) == 32);
    constexpr int32_t kMask = HotState::kJumpEntries - 1;
    a_.mov32(rcx, rax);
    a_.shift_imm(5, rcx, 12, false);
    a_.rr(op(0x33, false), rcx, rax);
    a_.alu_imm(4, rcx, kMask, false);
    a_.shift_imm(4, rcx, 5, false);
    const auto entry = [](size_t field) {
      Mem m = deeper(hot(offsetof(HotState, jumps) + field), kDepth);
      m.index = rcx;
      return m;
    };
    a_.rm(op(0x3b), rax, entry(offsetof(interp::JumpEntry, rip)));
    const JumpSite other = a_.jcc(kNotZero);
    a_.load(rax, deeper(key, kDepth));
    a_.rm(op(0x3b), rax, entry(offsetof(interp::JumpEntry, key)));
    const JumpSite unfit = a_.jcc(kNotZero);
    a_.load(rax, deeper(HUSK_HOT(attention_word), kDepth));
    a_.rm(op(0x83, false), 7, {.base = rax});
    a_.byte(0);
    const JumpSite asked = a_.jcc(kNotZero);
    a_.load(rcx, entry(offsetof(interp::JumpEntry, code)));
    ret();
    for (const JumpSite& none : {other, unfit, asked}) a_.bind(none);
    a_.rr(op(0x33, false), rcx, rcx);
    ret();
    return start;
  }

  Assembler a_;
  const Callbacks& callbacks_;
  const uint8_t* leave_ = nullptr;
};

}  // namespace

Stubs write_stubs(CodeStore& store, const Callbacks& callbacks) {
  StubWriter writer(store.next(), callbacks);
  const Stubs stubs = writer.write();
  store.take_for_good(writer.end());
  return stubs;
}

}  // namespace husk::soft::jit
