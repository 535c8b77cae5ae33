// What modes_protected.S met in 32-bit protected mode (Intel SDM vol. 3, 2.5, 10.8.5 and 6.13; vol.
// 2, the instructions' exceptions).
#include "cpu.h"
#include "descriptors.h"
#include "modes.h"
#include "report.h"
#include "trap.h"

extern "C" void modes_protected();
extern "C" const char protected_stubs[], protected_unpage[];
extern "C" uint64_t protected_idt[32];
extern "C" uint32_t protected_vectors[32], protected_errors[32], protected_results[5];

namespace bare {
namespace {

struct Expected {
  const char* name;
  uint32_t vector, error;
};
constexpr Expected kExpected[] = {
    {"32-bit CR0: paging without protection", kGp, 0},
    {"32-bit CR4: PCIDE outside of long mode", kGp, 0},
    {"32-bit CR4: a reserved bit", kGp, 0},
    {"LME before paging", kNoTrap, 0},
    {"PAE off, paging being off", kNoTrap, 0},
    {"CR0: paging with LME but no PAE", kGp, 0},
    {"PAE on", kNoTrap, 0},
    {"LME off", kNoTrap, 0},
    {"an MSR that is none", kGp, 0},
    {"RDFSBASE is for 64-bit mode", kUd, 0},
    {"and so is SWAPGS", kUd, 0},
    {"INTO", kOf, 0},
    {"BOUND beyond", kBr, 0},
    {"AAM by 0", kDe, 0},
    {"a far jump to no segment", kGp, 0},
    {"SS takes no null selector", kGp, 0},
    {"FS does", kNoTrap, 0},
    {"and is not usable", kGp, 0},
    {"an INT beyond the IDT's limit", kGp, 0x40 * 8 + 2},
    {"BOUND within", kNoTrap, 0},
    {"INT3", kBp, 0},
    {"SYSCALL without SCE", kUd, 0},
};

void check_sysenter(uint32_t vector) {
  const bool offered = (cpuid(1).edx >> 11 & 1) != 0;
  check_equal("SYSENTER is #UD, or #GP as long as IA32_SYSENTER_CS is 0", vector,
              offered ? kGp : kUd);
}

// Vol. 2, ARPL: the RPL is raised and ZF tells, or neither.
void check_arpl() {
  const uint32_t* r = protected_results;
  check_equal("ARPL raises a register's RPL", r[0], 0x12340013);
  check_equal("and sets ZF", r[1], 1);
  check_equal("it leaves a higher one", r[2], 0x5678000b);
  check_equal("and clears ZF", r[3], 0);
  check_equal("in memory it writes a word", r[4], 0x87650009);
  check_equal("BOUND is signed", protected_vectors[26], kNoTrap);
}

// 4.10.1: what PCIDE changes cannot be met without paging.
void check_pcide() {
  if (!has_pcid()) return skip("CR0: PCIDE holds paging on", "CPUID has no PCID");
  write_cr4(read_cr4() | kCr4Pcide);
  Entry entry;
  entry.rip = reinterpret_cast<uint64_t>(protected_unpage);
  entry.cs = kCode32;
  entry.ss = kData;
  entry.rsp = kernel_stack_top(0);
  entry.rax = read_cr0() & ~kCr0Pg;
  check_trap("CR0: PCIDE holds paging on", enter(entry), kGp, 0, entry.rip);
  write_cr4(read_cr4() & ~kCr4Pcide);
}

}  // namespace

void check_protected() {
  for (uint32_t i = 0; i < 32; ++i) {
    protected_vectors[i] = kNoTrap;
    protected_idt[i] = make_gate(reinterpret_cast<uint64_t>(protected_stubs) + i * 16, kCode32,
                                 kInterruptGate, 0, 0)
                           .low;
  }
  modes_protected();
  load_idt(reinterpret_cast<uint64_t>(idt), sizeof(idt) - 1);
  uint32_t i = 0;
  for (const Expected& expected : kExpected) {
    check_equal(expected.name, uint64_t{protected_errors[i]} << 32 | protected_vectors[i],
                uint64_t{expected.error} << 32 | expected.vector);
    ++i;
  }
  check_sysenter(protected_vectors[i]);
  check_arpl();
  check_pcide();
}

}  // namespace bare
