// When an interrupt that is pending is taken (Intel SDM vol. 2, STI and HLT; vol. 3, 6.8).
#include "descriptors.h"
#include "interrupts.h"

extern "C" const char window_after_sti[], window_after_hlt[], window_copy[], window_after_copy[],
    window_after_mov_ss[], window_after_pop[], window_after_iret[];

namespace bare {
namespace {

void self_ipi(uint8_t vector) { apic(kApicIcrLow) = kIcrSelf | kIcrAssert | vector; }
volatile uint32_t shadow_broken;
void stop_timer() {
  apic(kApicInitialCount) = 0;
  apic(kApicLvtTimer) = kLvtMasked;
  open_window();  // for what it sent last
}
uint64_t address(const char* label) { return reinterpret_cast<uint64_t>(label); }

void check_sti() {
  count_vector(0x41);
  forget_counts();
  self_ipi(0x41);
  asm volatile("sti; cli" ::: "memory");
  check_equal("STI and CLI open no window", taken[0x41], 0);
  uint32_t one = 0;
  asm volatile(
      "sti\n\t"
      "incl %0\n"
      "window_after_sti: nop\n\t"
      "cli"
      : "+r"(one)::"memory");
  check("the instruction behind STI still runs",
        taken[0x41] == 1 && last_frame.rip == address(window_after_sti));
  check("and POPF needs no such grace", [] {
    forget_counts();
    self_ipi(0x41);
    write_flags(read_flags() | kFlagIf);
    disable_interrupts();
    return taken[0x41] == 1;
  }());
  check("IF is in the saved flags, and off inside",
        (last_frame.flags & kFlagIf) != 0 && (read_flags() & kFlagIf) == 0);
}

void check_hlt() {
  forget_counts();
  apic(kApicDivide) = 0xb;
  apic(kApicLvtTimer) = 0x41;
  apic(kApicInitialCount) = 100000;
  asm volatile(
      "sti\n\t"
      "hlt\n"
      "window_after_hlt: cli" ::
          : "memory");
  check("HLT waits for the interrupt, and goes on behind it",
        taken[0x41] == 1 && last_frame.rip == address(window_after_hlt));
  forget_counts();
  self_ipi(0x41);
  asm volatile("sti; hlt; cli" ::: "memory");
  check_equal("what is pending at HLT wakes it at once", taken[0x41], 1);
}

volatile uint32_t copy_interrupted;  // within the instruction, with less than all of it to do

bool copy_under_interrupts(uint32_t size) {
  uint64_t count = size, source = 16ull << 20, target = 32ull << 20;
  apic(kApicLvtTimer) = kLvtPeriodic | 0x41;
  apic(kApicInitialCount) = 20000;
  asm volatile(
      "sti\n"
      "window_copy: rep movsb\n"
      "window_after_copy: cli"
      : "+c"(count), "+S"(source), "+D"(target)::"memory");
  stop_timer();
  return count == 0 && source == (16ull << 20) + size && target == (32ull << 20) + size;
}

// A long string instruction gives way and goes on where it was.
void check_string() {
  constexpr uint32_t kSize = 8u << 20;
  auto* from = reinterpret_cast<uint8_t*>(16ull << 20);
  auto* to = reinterpret_cast<uint8_t*>(32ull << 20);
  for (uint32_t i = 0; i < kSize; i += 64) from[i] = static_cast<uint8_t>(i >> 6);
  set_handler(0x41, [](Frame& frame) {
    if (frame.rip == address(window_copy) && frame.rcx < kSize)
      copy_interrupted = copy_interrupted + 1;
    apic(kApicEoi) = 0;
  });
  bool done = true;
  // A busy host's timer may be late for one copy, but not for many.
  for (int i = 0; i < 500 && done && copy_interrupted == 0; ++i)
    done = copy_under_interrupts(kSize);
  bool same = true;
  for (uint32_t i = 0; i < kSize; i += 64) same = same && to[i] == static_cast<uint8_t>(i >> 6);
  check("REP MOVSB under interrupts copies everything", same && done);
  check("and was interrupted", copy_interrupted > 0);
  count_vector(0x41);
}

// Vol. 2, MOV: no interrupt between a load of SS and the instruction behind it.
void check_mov_ss() {
  forget_counts();
  shadow_broken = 0;
  set_handler(0x41, [](Frame& frame) {
    taken[0x41] = taken[0x41] + 1;
    if (frame.rip == address(window_after_mov_ss) || frame.rip == address(window_after_pop))
      shadow_broken = shadow_broken + 1;
    apic(kApicEoi) = 0;
  });
  apic(kApicLvtTimer) = kLvtPeriodic | 0x41;
  apic(kApicInitialCount) = 20000;
  uint32_t rounds = 200'000;
  asm volatile(
      "movl %%ss, %%eax\n\t"
      "sti\n"
      "1: movl %%eax, %%ss\n"
      "window_after_mov_ss: nop\n\t"
      "movl %%eax, %%ss\n"
      "window_after_pop: decl %0\n\t"
      "jnz 1b\n\t"
      "cli"
      : "+r"(rounds)::"rax", "cc", "memory");
  stop_timer();
  check("interrupts came among loads of SS", taken[0x41] > 0);
  check_equal("but never right behind one", shadow_broken, 0);
  count_vector(0x41);
}

// REP STOSQ and REPE CMPSB, interrupted all the time, end as they would undisturbed.
void check_more_strings() {
  constexpr uint32_t kSize = 4u << 20;
  forget_counts();
  apic(kApicLvtTimer) = kLvtPeriodic | 0x41;
  apic(kApicInitialCount) = 20000;
  uint64_t count = kSize / 8, target = 16ull << 20;
  asm volatile("sti; rep stosq; cli"
               : "+c"(count), "+D"(target)
               : "a"(0x0123456789abcdef)
               : "memory");
  check("REP STOSQ under interrupts",
        count == 0 && target == (16ull << 20) + kSize &&
            *reinterpret_cast<volatile uint64_t*>((16ull << 20) + kSize - 8) == 0x0123456789abcdef);
  count = kSize / 8;
  target = 32ull << 20;
  asm volatile("rep stosq" : "+c"(count), "+D"(target) : "a"(0x0123456789abcdef) : "memory");
  *reinterpret_cast<volatile uint8_t*>((32ull << 20) + kSize - 3) = 0;
  count = kSize;
  uint64_t source = 16ull << 20;
  target = 32ull << 20;
  bool equal = true;
  asm volatile("sti; repe cmpsb; cli"
               : "=@ccz"(equal), "+c"(count), "+S"(source), "+D"(target)::"memory");
  stop_timer();
  check("REPE CMPSB under interrupts stops behind the difference",
        !equal && count == 2 && source == (16ull << 20) + kSize - 2);
  check("and both were interrupted", taken[0x41] > 0);
}

// IRET lets interrupts in at once, where it returns to.
void check_iret() {
  forget_counts();
  self_ipi(0x41);
  asm volatile(
      "movq %%rsp, %%rax\n\t"
      "pushq %q0\n\t"
      "pushq %%rax\n\t"
      "pushfq\n\t"
      "orq $0x200, (%%rsp)\n\t"
      "pushq %q1\n\t"
      "pushq $window_after_iret\n\t"
      "iretq\n"
      "window_after_iret: cli" ::"r"(uint64_t{kData}),
      "r"(uint64_t{kCode64})
      : "rax", "memory", "cc");
  check("IRET opens a window at once",
        taken[0x41] == 1 && last_frame.rip == address(window_after_iret));
}

}  // namespace

void check_windows() {
  check_sti();
  check_mov_ss();
  check_iret();
  check_more_strings();
  check_hlt();
  check_string();
}

}  // namespace bare
