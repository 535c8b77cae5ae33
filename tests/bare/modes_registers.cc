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
  refuse_cr0("CR0: NW without CD", (cr0 & ~kCr0Cd) | kCr0Nw);
  refuse_cr0("CR0: the upper half", cr0 | 1ull << 32);
  refuse_cr0("CR0: paging without protection", cr0 & ~kCr0Pe);
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
  const uint64_t before = read_cr0();
  asm volatile("lmsw %w0" ::"r"(0x30));
  check_equal("LMSW does not clear PE", read_cr0() & 0xf, kCr0Pe);
  write_cr0(before);
  if ((cpuid(7).ecx >> 16 & 1) == 0) {
    refuse_cr4("CR4: LA57 that CPUID has not", cr4 | 1u << 12);
  } else {
    refuse_cr4("CR4: LA57 in long mode", cr4 | 1u << 12);
  }
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
  BARE_WRITE_DR(7, 0xffff1400);
  check_equal("DR7: reserved bits are fixed", BARE_READ_DR(7), 0xffff0400);
  BARE_WRITE_DR(7, 0);
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

namespace {

// The MTRRs: types 2, 3 and from 7 on are none (12.11.2).
void check_memory_types() {
  if ((cpuid(1).edx >> 12 & 1) == 0) {
    for (int i = 0; i < 8; ++i) skip("MTRRs", "CPUID has them not");
    return;
  }
  constexpr uint32_t kBase0 = 0x200, kMask0 = 0x201, kFix64k = 0x250, kDefault = 0x2ff;
  const uint64_t fixed = read_msr(kFix64k), base = read_msr(kBase0), mask = read_msr(kMask0);
  refuse_msr("MTRRs: capabilities are read-only", 0xfe, 0);
  refuse_msr("MTRRs: a fixed range of type 2", kFix64k, 0x0606060606060602);
  check_equal("which changes nothing", read_msr(kFix64k), fixed);
  refuse_msr("MTRRs: a variable range of type 7", kBase0, 0x80000007);
  refuse_msr("MTRRs: bits between type and base", kBase0, 0x80000106);
  refuse_msr("MTRRs: a mask beyond the address width", kMask0, 1ull << 60 | 0x800);
  refuse_msr("MTRRs: reserved bits of the default", kDefault, 0x1006);
  write_msr(kBase0, 0x80000001);
  write_msr(kMask0, 0xfff80000800);
  check("MTRRs: a range is kept",
        read_msr(kBase0) == 0x80000001 && read_msr(kMask0) == 0xfff80000800);
  write_msr(kMask0, mask);
  write_msr(kBase0, base);
}

// XSETBV (vol. 1, 13.3): the x87's bit stays, AVX wants SSE, and there is XCR0 only.
void check_xcr0() {
  if ((cpuid(1).ecx >> 26 & 1) == 0) {
    refuse_cr4("CR4: OSXSAVE without XSAVE", read_cr4() | 1u << 18);
    check_fault("XSETBV without XSAVE", BARE_PROBE("xsetbv", "c"(0), "a"(1), "d"(0)), kUd, 0);
    check_fault("XGETBV without XSAVE", BARE_PROBE("xgetbv", "c"(0)), kUd, 0);
    for (int i = 0; i < 4; ++i) skip("XCR0", "CPUID has no XSAVE");
    return;
  }
  const auto refuse = [](const char* name, uint32_t index, uint32_t low, uint32_t high) {
    check_fault(name, BARE_PROBE("xsetbv", "c"(index), "a"(low), "d"(high)), kGp, 0);
  };
  check_fault("XSETBV without OSXSAVE", BARE_PROBE("xsetbv", "c"(0), "a"(1), "d"(0)), kUd, 0);
  write_cr4(read_cr4() | 1u << 18);
  check_equal("OSXSAVE follows CR4", cpuid(1).ecx >> 27 & 1, 1);
  refuse("XCR0: x87 must be on", 0, 2, 0);
  refuse("XCR0: AVX without SSE", 0, 5, 0);
  refuse("XCR0: reserved bits", 0, 1, 1u << 31);
  refuse("XCR5", 5, 1, 0);
  check("XCR0: x87 alone", BARE_PROBE("xsetbv", "c"(0), "a"(1), "d"(0)).vector == kNoTrap);
  write_cr4(read_cr4() & ~(1ull << 18));
}

}  // namespace

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
  volatile uint32_t kept = 77;
  asm volatile("wbinvd" ::: "memory");
  check_equal("WBINVD does no harm", kept, 77);
  check_memory_types();
  check_xcr0();
}

}  // namespace bare
