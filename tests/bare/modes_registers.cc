// Control, debug and model-specific registers in ring 0: which values they refuse, and that a
// refusal changes nothing (Intel SDM vol. 3, 2.5 and 18.2; vol. 2, MOV to CR and DR, WRMSR).
#include "cpu.h"
#include "modes.h"
#include "report.h"
#include "trap.h"

namespace bare {
namespace {

void refuse_cr0(const char* name, uint64_t value) {
  const uint64_t before = read_cr0();
  check_fault(name, BARE_PROBE("movq %[v], %%cr0", [v] "r"(value)), kGp, 0);
  if (read_cr0() != before) note_failure(Text(name) << ": CR0 changed");
}
void refuse_cr4(const char* name, uint64_t value) {
  const uint64_t before = read_cr4();
  check_fault(name, BARE_PROBE("movq %[v], %%cr4", [v] "r"(value)), kGp, 0);
  if (read_cr4() != before) note_failure(Text(name) << ": CR4 changed");
}
void refuse_msr(const char* name, uint32_t msr, uint64_t value) {
  check_fault(name,
              BARE_PROBE("wrmsr", "c"(msr), "a"(static_cast<uint32_t>(value)),
                         "d"(static_cast<uint32_t>(value >> 32))),
              kGp, 0);
}

#define BARE_READ_DR(n)                                \
  [] {                                                 \
    uint64_t value;                                    \
    asm volatile("movq %%dr" #n ", %0" : "=r"(value)); \
    return value;                                      \
  }()
#define BARE_WRITE_DR(n, value) asm volatile("movq %0, %%dr" #n ::"r"(uint64_t{value}))

}  // namespace

void check_control_registers() {
  const uint64_t cr0 = read_cr0(), cr4 = read_cr4();
  refuse_cr0("CR0: paging without protection", cr0 & ~kCr0Pe);
  refuse_cr0("CR0: NW without CD", (cr0 & ~kCr0Cd) | kCr0Nw);
  refuse_cr0("CR0: the upper half", cr0 | 1ull << 32);
  refuse_cr0("CR0: no paging in 64-bit mode", cr0 & ~kCr0Pg);
  write_cr0(cr0 | kCr0Cd | kCr0Nw);
  check_equal("CR0: CD and NW together", read_cr0() & (kCr0Cd | kCr0Nw), kCr0Cd | kCr0Nw);
  write_cr0(cr0);
  write_cr0(cr0 & ~0x10ull);
  check_equal("CR0: ET is always 1", read_cr0() & 0x10, 0x10);
  write_cr0(cr0 | 1u << 6);
  check_equal("CR0: a reserved bit is ignored", read_cr0(), cr0);
  refuse_cr4("CR4: no PAE in long mode", cr4 & ~kCr4Pae);
  refuse_cr4("CR4: bit 15", cr4 | 1u << 15);
  refuse_cr4("CR4: bit 30", cr4 | 1u << 30);
  refuse_cr4("CR4: the upper half", cr4 | 1ull << 40);
  check_fault("CR1 is none", BARE_PROBE("movq %%cr1, %%rax", "i"(0)), kUd, 0);
  check_fault("nor CR5", BARE_PROBE("movq %%rax, %%cr5", "a"(0)), kUd, 0);
  check_fault("CR3: reserved bits",
              BARE_PROBE("movq %[v], %%cr3", [v] "r"(read_cr3() | 1ull << 60)), kGp, 0);
  if (has_pcid()) {
    const uint64_t cr3 = read_cr3();
    write_cr3(cr3 | 8);  // PWT's place: part of the PCID once PCIDE is set
    check("CR4: PCIDE wants PCID 0",
          BARE_PROBE("movq %[v], %%cr4", [v] "r"(cr4 | kCr4Pcide)).is(kGp));
    write_cr3(cr3);
  } else {
    skip("CR4: PCIDE wants PCID 0", "CPUID has no PCID");
  }
}

void check_debug_registers() {
  BARE_WRITE_DR(0, 0x123456789abcdef0);
  BARE_WRITE_DR(3, 0xfedcba9876543210);
  check("DR0 and DR3 keep 64 bits",
        BARE_READ_DR(0) == 0x123456789abcdef0 && BARE_READ_DR(3) == 0xfedcba9876543210);
  BARE_WRITE_DR(0, 0);
  BARE_WRITE_DR(3, 0);
  BARE_WRITE_DR(6, 0);
  check_equal("DR6: fixed ones", BARE_READ_DR(6) & 0xffff1ff0, 0xffff0ff0);
  BARE_WRITE_DR(7, 0);
  check_equal("DR7: bit 10", BARE_READ_DR(7), 0x400);
  check_fault("DR7: the upper half", BARE_PROBE("movq %[v], %%dr7", [v] "r"(1ull << 32)), kGp, 0);
  check_fault("DR6: the upper half", BARE_PROBE("movq %[v], %%dr6", [v] "r"(1ull << 32)), kGp, 0);
  BARE_WRITE_DR(4, 0);
  check_equal("DR4 is DR6 without CR4.DE", BARE_READ_DR(4), BARE_READ_DR(6));
  write_cr4(read_cr4() | kCr4De);
  check_fault("and none with it", BARE_PROBE("movq %%dr4, %%rax", "i"(0)), kUd, 0);
  check_fault("nor is DR5", BARE_PROBE("movq %%dr5, %%rax", "i"(0)), kUd, 0);
  write_cr4(read_cr4() & ~kCr4De);
  BARE_WRITE_DR(7, 0x2400);
  const Trap trap = BARE_PROBE("movq %%dr0, %%rax", "i"(0));
  check("DR7.GD guards the debug registers", trap.is(kDb) && trap.rip == trap.probe);
  check_equal("which DR6.BD says", BARE_READ_DR(6) & 0x2000, 0x2000);
  check_equal("and GD is off inside", BARE_READ_DR(7), 0x400);
  BARE_WRITE_DR(6, 0);
}

void check_model_specific() {
  const uint64_t efer = read_msr(kMsrEfer);
  refuse_msr("EFER: bit 1", kMsrEfer, efer | 2);
  refuse_msr("EFER: the upper half", kMsrEfer, efer | 1ull << 33);
  refuse_msr("EFER: LME while paging", kMsrEfer, efer & ~kEferLme);
  check_equal("EFER as before", read_msr(kMsrEfer), efer);
  write_msr(kMsrEfer, efer & ~kEferLma);
  check_equal("EFER.LMA cannot be written", read_msr(kMsrEfer), efer);
  write_msr(kMsrEfer, efer ^ kEferSce);
  check_equal("EFER.SCE can", read_msr(kMsrEfer), efer ^ kEferSce);
  write_msr(kMsrEfer, efer);
  constexpr uint32_t kNone = 0x12345678;
  refuse_msr("an MSR that is none", kNone, 0);
  check_fault("nor can it be read", BARE_PROBE("rdmsr", "c"(kNone)), kGp, 0);
  write_msr(0x277, 0x0007040600070406);
  check_equal("PAT", read_msr(0x277), 0x0007040600070406);
  refuse_msr("PAT: type 2", 0x277, 0x0007040600070402);
  refuse_msr("APIC base beyond the address width", kMsrApicBase,
             read_msr(kMsrApicBase) | 1ull << 60);
  const uint64_t tsc = read_msr(0x10);
  check("the TSC counts", read_msr(0x10) > tsc && rdtsc() > tsc);
  write_msr(0x10, 1ull << 50);
  check("and can be set", rdtsc() >= 1ull << 50 && rdtsc() < (1ull << 50) + (1ull << 40));
  uint32_t aux = 0;
  write_msr(0xc0000103, 77);
  asm volatile("rdtscp" : "=c"(aux)::"rax", "rdx");
  check_equal("RDTSCP tells TSC_AUX", aux, 77);
  check_fault("XSETBV without OSXSAVE", BARE_PROBE("xsetbv", "c"(0), "a"(1), "d"(0)),
              (read_cr4() >> 18 & 1) != 0 ? kNoTrap : static_cast<uint32_t>(kUd), 0);
  asm volatile("wbinvd" ::: "memory");
  check("WBINVD does no harm", true);
}

void check_cpuid() {
  const CpuidRegs top = cpuid(0), extended = cpuid(0x80000000), features = cpuid(1);
  check("standard leaves", top.eax >= 7 && top.eax < 0x100);
  check("extended leaves", extended.eax >= 0x80000008 && extended.eax < 0x80000100);
  const CpuidRegs base_line = {features.eax, features.ebx, features.ecx, features.edx};
  constexpr uint32_t kNeeded = 1 | 1u << 4 | 1u << 5 | 1u << 6 | 1u << 8 | 1u << 9 | 1u << 13 |
                               1u << 15 | 1u << 23 | 1u << 24 | 1u << 25 | 1u << 26;
  check_equal("FPU TSC MSR PAE CX8 APIC PGE CMOV MMX FXSR SSE SSE2", base_line.edx & kNeeded,
              kNeeded);
  check("long mode, NX, SYSCALL", (cpuid(0x80000001).edx & (1u << 29 | 1u << 20 | 1u << 11)) ==
                                      (1u << 29 | 1u << 20 | 1u << 11));
  const uint32_t widths = cpuid(0x80000008).eax;
  check("48 linear bits and more than 36 physical",
        (widths >> 8 & 0xff) == 48 && (widths & 0xff) >= 36);
  check_equal("OSXSAVE follows CR4", features.ecx >> 27 & 1, read_cr4() >> 18 & 1);
  check_equal("APIC follows IA32_APIC_BASE", features.edx >> 9 & 1,
              read_msr(kMsrApicBase) >> 11 & 1);
  uint32_t low = 0, high = 0;
  asm volatile("cpuid" : "=a"(low), "=d"(high) : "a"(0xffffffff00000000), "c"(0) : "rbx");
  check_equal("CPUID takes EAX and clears the rest", low, top.eax);
}

}  // namespace bare
