// Far calls, jumps and returns, and the call gates of long mode (Intel SDM vol. 3, 5.8.3 to 5.8.6).
#include "descriptors.h"
#include "page_table.h"
#include "rings.h"
#include "trap.h"

extern "C" const char far_user_call[], far_user_after[], far_user_jump[], far_user_return[],
    far_user_segments[], far_target[], far_return[];
asm(R"(
        .text
far_user_call:
        lcall *(%rdi)
far_user_after:
        nop
far_user_jump:
        ljmp *(%rdi)
far_user_return:
        pushq %rcx
        pushq %rdi
        lretq
far_user_segments:
        movl %ds, %eax
        movl %es, %ecx
        int $0x80
far_target:
        int $0x84
far_return:
        lretq
)");

namespace bare {
namespace {

constexpr uint16_t kGate = kFreeSelector, kSelector = kGate | 3;
alignas(16) uint8_t user_stack[4096];
struct [[gnu::packed]] FarPointer {
  uint32_t offset;
  uint16_t selector;
} pointer;

void set_gate(uint64_t target, uint16_t code, uint8_t dpl) {
  const Gate gate = make_gate(target, code, kCallGate, dpl, 0);
  gdt[kGate / 8] = gate.low;
  gdt[kGate / 8 + 1] = gate.high;
  pointer = {0x5555, kSelector};  // the offset does not count
}

uint64_t user_rsp() { return user_address(user_stack + 4000); }

Trap from_user(const char* code) {
  Entry entry;
  entry.cs = kUserCode64;
  entry.ss = kUserData;
  entry.rip = user_address(code);
  entry.rsp = user_rsp();
  entry.rdi = user_address(&pointer);
  return enter(entry);
}

uint64_t target() { return reinterpret_cast<uint64_t>(far_target); }

void check_gate_to_ring_0() {
  set_gate(target(), kCode64, 3);
  const Trap trap = from_user(far_user_call);
  check_trap("a call gate leads to ring 0", trap, 0x84, 0, target() + 2);
  check("with its code segment and a null SS", trap.cs == kCode64 && trap.ss == 0);
  check_equal("on the stack of the TSS", trap.rsp, kernel_stack_top(0) - 32);
  const auto* pushed = reinterpret_cast<const uint64_t*>(kernel_stack_top(0) - 32);
  check("RIP, CS, RSP and SS are pushed", pushed[0] == user_address(far_user_after) &&
                                              pushed[1] == kUserCode64 && pushed[2] == user_rsp() &&
                                              pushed[3] == kUserData);
  check("the code segment was marked accessed", (gdt[kCode64 / 8] & kDescAccessed) != 0);
}

void expect_fault(const char* name, const char* code, uint32_t vector, uint32_t error) {
  check_trap(name, from_user(code), vector, error, user_address(code));
}

void check_refused_gates() {
  set_gate(target(), kCode64, 0);
  expect_fault("a gate of ring 0", far_user_call, kGp, kGate);
  set_gate(target(), kCode64, 3);
  gdt[kGate / 8] &= ~kDescPresent;
  expect_fault("a gate that is not present", far_user_call, kNp, kGate);
  set_gate(target(), 0, 3);
  expect_fault("a gate to the null selector", far_user_call, kGp, 0);
  set_gate(target(), kCode32, 3);
  expect_fault("a gate to 32-bit code", far_user_call, kGp, kCode32);
  set_gate(target(), kData, 3);
  expect_fault("a gate to data", far_user_call, kGp, kData);
  set_gate(target(), kCode64, 3);
  gdt[kGate / 8 + 1] |= 1ull << 40;
  expect_fault("a type in its upper half", far_user_call, kGp, kGate);
  set_gate(1ull << 47, kCode64, 3);
  expect_fault("a target that is not canonical", far_user_call, kGp, 0);
  set_gate(target(), kCode64, 3);
  expect_fault("a jump cannot change rings", far_user_jump, kGp, kCode64);
  pointer = {0, kTask};
  expect_fault("a TSS is no target in long mode", far_user_jump, kGp, kTask);
  pointer = {0, 0};
  expect_fault("nor is null", far_user_call, kGp, 0);
  pointer = {0, kGdtEntries * 8 + 8};
  expect_fault("nor is what lies behind the GDT", far_user_call, kGp, kGdtEntries * 8 + 8);
}

void check_same_ring() {
  set_gate(target(), kCode64, 0);
  pointer.selector = kGate;
  uint64_t sp = 0;
  Trap trap = catch_trap([&] {
    asm volatile("movq %%rsp, %[sp]; lcall *%[p]" : [sp] "=m"(sp) : [p] "m"(pointer) : "memory");
  });
  const auto* pushed = reinterpret_cast<const uint64_t*>(trap.rsp);
  check("a gate within ring 0 pushes CS and RIP",
        trap.vector == 0x84 && trap.rsp == sp - 16 && pushed[1] == kCode64);
  trap = catch_trap([&] {
    asm volatile("movq %%rsp, %[sp]; ljmp *%[p]" : [sp] "=m"(sp) : [p] "m"(pointer) : "memory");
  });
  check("a jump pushes nothing", trap.vector == 0x84 && trap.rsp == sp);
}

// From ring 0 by far RET.
Trap far_return_to(uint64_t rip, uint64_t cs, uint64_t rsp, uint64_t ss) {
  return catch_trap([&] {
    asm volatile(
        "pushq %[ss]; pushq %[rsp]; pushq %[cs]; pushq %[rip]; jmp far_return" ::[ss] "r"(ss),
        [rsp] "r"(rsp), [cs] "r"(cs), [rip] "r"(rip)
        : "memory");
  });
}

void check_returns() {
  const uint64_t rip = user_address(far_user_segments);
  asm volatile("movl %0, %%ds; movl %1, %%es" ::"r"(uint32_t{kData}), "r"(uint32_t{kUserData}));
  Trap trap = far_return_to(rip, kUserCode64, user_rsp(), kUserData);
  check("far RET leads to ring 3", trap.vector == 0x80 && trap.cs == kUserCode64 &&
                                       trap.ss == kUserData && trap.rsp == user_rsp());
  check_equal("DS of ring 0 is taken away", trap.frame.rax & 0xffff, 0);
  check_equal("ES of ring 3 stays", trap.frame.rcx & 0xffff, kUserData);
  asm volatile("movl %0, %%ds; movl %0, %%es" ::"r"(uint32_t{kData}));
  trap = far_return_to(rip, kUserCode64, user_rsp(), kData);
  check("SS must be of the outer ring", trap.is(kGp) && trap.error == kData);
  trap = far_return_to(rip, kUserCode64 & ~3, user_rsp(), kUserData);
  check("RPL must be the segment's ring", trap.is(kGp) && trap.error == (kUserCode64 & ~3));
  trap = far_return_to(1ull << 47, kUserCode64, user_rsp(), kUserData);
  check("to a canonical address only", trap.is(kGp) && trap.error == 0);
  trap = far_return_to(rip, kData, user_rsp(), kUserData);
  check("to code only", trap.is(kGp) && trap.error == kData);
  pointer = {0, kCode64};
  Entry entry;
  entry.cs = kUserCode64;
  entry.ss = kUserData;
  entry.rip = user_address(far_user_return);
  entry.rsp = user_rsp();
  entry.rcx = kCode64;
  entry.rdi = target();
  trap = enter(entry);
  check("and never inwards", trap.is(kGp) && trap.error == kCode64 && trap.cs == kUserCode64);
}

}  // namespace

void check_far_transfers() {
  check_gate_to_ring_0();
  check_refused_gates();
  check_same_ring();
  check_returns();
}

}  // namespace bare
