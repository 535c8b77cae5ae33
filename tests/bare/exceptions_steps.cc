// Single-stepping (Intel SDM vol. 3, 17.3.1.4), INT1 and the resume flag.
#include "descriptors.h"
#include "exceptions.h"
#include "page_table.h"
#include "trap.h"

namespace bare {
namespace {

constexpr uint32_t kMost = 32;
uint64_t step_rip[kMost], step_flags[kMost], step_dr6[kMost];
uint32_t steps;
uint64_t stepped_from;

uint64_t read_dr6() {
  uint64_t value;
  asm volatile("mov %%dr6, %0" : "=r"(value));
  return value;
}
void write_dr6(uint64_t value) { asm volatile("mov %0, %%dr6" ::"r"(value)); }

void note_step(Frame& frame) {
  if (steps < kMost) {
    step_rip[steps] = frame.rip;
    step_flags[steps] = frame.flags;
    step_dr6[steps] = read_dr6();
  }
  ++steps;
  write_dr6(0xffff0ff0);
}

// Runs `code` with TF set behind its beginning, and clear at its end. Steps are counted from `9:`.
#define BARE_STEP(code, ...)                                                        \
  steps = 0;                                                                        \
  catch_trap([&] {                                                                  \
    asm volatile("movq $9f, %[from]\n pushfq; orl $0x100, (%%rsp); popfq\n9: " code \
                 "; pushfq; andl $~0x100, (%%rsp); popfq\n nop"                     \
                 : [from] "=m"(stepped_from)                                        \
                 : __VA_ARGS__                                                      \
                 : "memory", "cc");                                                 \
  })

// The first offsets are `expected`; behind them are the three steps of switching TF off.
template <uint32_t N>
void check_steps_are(const char* name, const uint64_t (&expected)[N]) {
  bool good = steps == N + 3;
  for (uint32_t i = 0; i < N; ++i) good = good && step_rip[i] - stepped_from == expected[i];
  Text line = name;
  if (!good) {
    line << ": " << static_cast<int>(steps) << " steps";
    for (uint32_t i = 0; i < steps && i < kMost; ++i) line << " " << step_rip[i] - stepped_from;
  }
  check(line, good);
}

void check_single_steps() {
  static uint8_t buffer[16];
  BARE_STEP("nop; nop; nop", "a"(0));
  check_steps_are("a step for each instruction", {1, 2, 3});
  check("TF is set in each but the last",
        (step_flags[0] & step_flags[4] & kFlagTf) != 0 && (step_flags[5] & kFlagTf) == 0);
  check("DR6 says single step", (step_dr6[0] & 0xf00f) == 0x4000);
  check_equal("RF is clear in traps", step_flags[1] & kFlagRf, 0);
  BARE_STEP("jmp 1f; nop; 1: nop", "a"(0));
  check_steps_are("over a jump", {3, 4});
  BARE_STEP("call 1f; jmp 2f; 1: ret; 2: nop", "a"(0));
  check_steps_are("into a call", {7, 5, 8, 9});
  BARE_STEP("mov %%ss, %%eax; mov %%eax, %%ss; nop; nop", "a"(0));
  check_steps_are("MOV SS delays the trap by one instruction", {2, 5, 6});
  BARE_STEP("mov %%ss, %%eax; push %%rax; .byte 0x8e, 0x14, 0x24; nop; pop %%rax", "a"(0));
  check_steps_are("MOV SS from memory too", {2, 3, 7, 8});
  BARE_STEP("sti; nop; cli", "a"(0));
  check_steps_are("STI does not", {1, 2, 3});
  BARE_STEP("rep; stosb", "D"(buffer), "c"(3));
  check_steps_are("each iteration of REP STOSB", {0, 0, 2});
  check("with RF between iterations",
        (step_flags[0] & step_flags[1] & kFlagRf) != 0 && (step_flags[2] & kFlagRf) == 0);
  BARE_STEP("rep; movsb", "D"(buffer), "S"(buffer), "c"(2));
  check_steps_are("each iteration of REP MOVSB", {0, 2});
  BARE_STEP("rep; stosb", "D"(buffer), "c"(0));
  check_steps_are("REP of nothing", {2});
  BARE_STEP("cpuid; nop", "a"(0), "b"(0));
  check_steps_are("CPUID", {2, 3});
  BARE_STEP("mov %%cr0, %%rax; mov %%rax, %%cr0; nop", "a"(0));
  check_steps_are("MOV to CR0", {3, 6, 7});
  BARE_STEP("movl $0x80, %%edx; outb %%al, %%dx; nop", "a"(0));
  check_steps_are("OUT", {5, 6, 7});
  BARE_STEP("movb $0x5a, (%%rdi); nop", "D"(buffer));
  check_steps_are("a store", {3, 4});
}

void check_steps_and_exceptions() {
  // A handler runs with TF clear; IRET sets it again and the trap comes behind the next
  // instruction.
  set_handler(kBp, [](Frame&) { asm volatile("nop; nop"); });
  set_handler(0x70, [](Frame&) { asm volatile("nop; nop"); });
  BARE_STEP("int3; nop", "a"(0));
  check_steps_are("INT3 is not stepped into", {2});
  BARE_STEP("int $0x70; nop", "a"(0));
  check_steps_are("INT n is not stepped into", {3});
  set_handler(kUd, [](Frame& frame) { frame.rip += 2; });
  BARE_STEP("ud2; nop", "a"(0));
  check_steps_are("a fault has no trap", {3});
  set_handler(kBp, nullptr);
  set_handler(0x70, nullptr);
  set_handler(kUd, nullptr);
  steps = 0;
  const Trap trap = catch_trap([] {
    asm volatile("pushfq; orl $0x100, (%%rsp); popfq; ud2" ::: "memory");
  });
  check("a fault's frame has TF", trap.is(kUd) && (trap.flags & kFlagTf) != 0 && steps == 0);
  // An IRET that sets TF, by the frame of a handler.
  set_handler(kBp, [](Frame& frame) { frame.flags |= kFlagTf; });
  steps = 0;
  asm volatile("movq $9f, %[from]; int3\n9: nop; pushfq; andl $~0x100, (%%rsp); popfq; nop"
               : [from] "=m"(stepped_from)::"memory", "cc");
  check_steps_are("IRET that sets TF", {1});
  set_handler(kBp, nullptr);
}

extern "C" const char steps_syscall[], steps_user[], steps_user_syscall[], steps_user_after[];
asm(R"(
        .text
steps_syscall:
        nop
        sysretq
steps_user:
        nop
steps_user_syscall:
        syscall
steps_user_after:
        nop
        int $0x80
)");

// FMASK clears TF before the trap would come; SYSRET brings it back.
void check_steps_and_syscall() {
  write_msr(kMsrEfer, read_msr(kMsrEfer) | kEferSce);
  write_msr(kMsrStar, uint64_t{kUserCode32} << 48 | uint64_t{kCode64} << 32);
  write_msr(kMsrLstar, reinterpret_cast<uint64_t>(steps_syscall));
  write_msr(kMsrFmask, kFlagTf | kFlagIf);
  Entry entry;
  entry.cs = kUserCode64;
  entry.ss = kUserData;
  entry.rip = user_address(steps_user);
  entry.flags = 2 | kFlagTf;
  steps = 0;
  enter(entry);
  bool inside = false;
  for (uint32_t i = 0; i < steps; ++i) inside = inside || step_rip[i] < kUserAlias;
  check("SYSCALL that masks TF is not stepped into", steps >= 2 && !inside);
  check_equal("the step before it", step_rip[0], user_address(steps_user_syscall));
  write_msr(kMsrEfer, read_msr(kMsrEfer) & ~kEferSce);
}

void check_int1() {
  set_handler(kDb, nullptr);
  write_dr6(0xffff0ff0);
  Trap trap = BARE_PROBE(".byte 0xf1", "a"(0));
  check_trap("INT1 is a trap", trap, kDb, 0, trap.probe + 1);
  check_equal("INT1 does not say single step", read_dr6() & 0x4000, 0);
  idt[kDb] = make_gate(stub_address(kDb), kCode64, kInterruptGate, 0, 0);
  static const uint8_t code[] = {0xf1, 0x90};
  Entry entry;
  entry.cs = kUserCode64;
  entry.ss = kUserData;
  entry.rip = user_address(code);
  trap = enter(entry);
  check_trap("INT1 in ring 3 does not mind the gate's DPL", trap, kDb, 0, entry.rip + 1);
}

// RF that IRET sets lasts for one instruction.
void check_resume_flag() {
  set_handler(0x70, [](Frame& frame) { frame.flags |= kFlagRf; });
  const Trap trap = catch_trap([] { asm volatile("int $0x70; nop; int3"); });
  check_equal("RF is gone after an instruction", trap.flags & kFlagRf, 0);
  set_handler(0x70, nullptr);
  uint64_t flags = 0;
  asm volatile("pushq %1; popfq; pushfq; popq %0"
               : "=r"(flags)
               : "r"(2 | kFlagRf | kFlagVm)
               : "cc");
  check_equal("POPF sets neither RF nor VM", flags, 2);
}

}  // namespace

void check_steps() {
  set_handler(kDb, note_step);
  check_single_steps();
  check_steps_and_exceptions();
  check_steps_and_syscall();
  check_int1();
  check_resume_flag();
}

}  // namespace bare
