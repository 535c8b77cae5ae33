// The exceptions that instructions raise in ring 0, one by one (Intel SDM vol. 3, 6.15).
#include "descriptors.h"
#include "exceptions.h"
#include "trap.h"

namespace bare {
namespace {

void check_divide_errors() {
  check_fault("DIV by zero, 8 bits", BARE_PROBE("divb %%cl", "a"(5), "c"(0)), kDe, 0);
  check_fault("DIV by zero, 32 bits", BARE_PROBE("divl %%ecx", "a"(5), "d"(0), "c"(0)), kDe, 0);
  check_fault("DIV by zero, 64 bits", BARE_PROBE("divq %%rcx", "a"(5), "d"(0), "c"(0)), kDe, 0);
  check_fault("DIV overflow", BARE_PROBE("divl %%ecx", "a"(5), "d"(7), "c"(7)), kDe, 0);
  check_fault("IDIV of the least number by -1",
              BARE_PROBE("idivq %%rcx", "a"(1ull << 63), "d"(-1l), "c"(-1l)), kDe, 0);
  const Trap trap = BARE_PROBE("divl %%ecx", "a"(0x55), "d"(0x66), "c"(0));
  check("a divide error changes nothing", trap.frame.rax == 0x55 && trap.frame.rdx == 0x66);
}

// Bytes that are no instruction of 64-bit mode.
void check_undefined_opcodes() {
  check_fault("UD2", BARE_PROBE("ud2", "a"(0)), kUd, 0);
  check_fault("UD1", BARE_PROBE(".byte 0x0f, 0xb9, 0xc0", "a"(0)), kUd, 0);
  check_fault("UD0", BARE_PROBE(".byte 0x0f, 0xff, 0xc0", "a"(0)), kUd, 0);
#define GONE(name, bytes)                                                                          \
  check_fault(name " is gone", BARE_PROBE(".byte " bytes ", 0x90, 0x90, 0x90, 0x90", "a"(0)), kUd, \
              0)
  GONE("PUSH ES", "0x06");
  GONE("POP DS", "0x1f");
  GONE("DAA", "0x27");
  GONE("AAS", "0x3f");
  GONE("PUSHA", "0x60");
  GONE("POPA", "0x61");
  GONE("the alias of group 1", "0x82, 0xc0");
  GONE("far CALL of an immediate", "0x9a");
  GONE("INTO", "0xce");
  GONE("AAM", "0xd4");
  GONE("SALC", "0xd6");
  GONE("far JMP of an immediate", "0xea");
#undef GONE
  check_fault("LOCK NOP", BARE_PROBE(".byte 0xf0, 0x90", "a"(0)), kUd, 0);
  check_fault("LOCK ADD to a register", BARE_PROBE(".byte 0xf0, 0x01, 0xc0", "a"(0)), kUd, 0);
  check_fault("LOCK MOV", BARE_PROBE(".byte 0xf0, 0x89, 0x04, 0x24", "a"(0)), kUd, 0);
  check_fault("MOV to CS", BARE_PROBE(".byte 0x8e, 0xc8", "a"(8)), kUd, 0);
  check_fault("MOV to the seventh segment", BARE_PROBE(".byte 0x8e, 0xf0", "a"(8)), kUd, 0);
  check_fault("MOV from CR1", BARE_PROBE(".byte 0x0f, 0x20, 0xc8", "a"(8)), kUd, 0);
  check_fault("MOV to CR5", BARE_PROBE(".byte 0x0f, 0x22, 0xe8", "a"(8)), kUd, 0);
  check_fault("MOV to CR9", BARE_PROBE(".byte 0x44, 0x0f, 0x22, 0xc8", "a"(8)), kUd, 0);
  check_fault("LEA of a register", BARE_PROBE(".byte 0x8d, 0xc0", "a"(8)), kUd, 0);
  check_fault("INVLPG of a register's kin", BARE_PROBE(".byte 0x0f, 0x01, 0xff", "a"(8)), kUd, 0);
  check_fault("RSM", BARE_PROBE("rsm", "a"(8)), kUd, 0);
  check_fault("LES", BARE_PROBE(".byte 0xc4, 0x00", "a"(8)), kUd, 0);
  check_fault("SYSCALL while it is off", BARE_PROBE("syscall", "a"(0)), kUd, 0);
  check_fault("SYSRET while SYSCALL is off", BARE_PROBE("sysretq", "c"(0)), kUd, 0);
  check_fault("XGETBV without OSXSAVE", BARE_PROBE("xgetbv", "c"(0)), kUd, 0);
  check_fault("RDFSBASE without FSGSBASE", BARE_PROBE("rdfsbase %%rax", "c"(0)), kUd, 0);
  // CPUID's bit is what counts, not CR4's.
  check("STAC while CR4.SMAP is off",
        BARE_PROBE("stac; clac", "c"(0)).vector == (has_smap() ? kNoTrap : uint32_t{kUd}));
  check_fault("16 bytes of instruction", BARE_PROBE(".fill 15, 1, 0x66; nop", "a"(0)), kGp, 0);
  check("15 bytes of instruction", BARE_PROBE(".fill 14, 1, 0x66; nop", "a"(0)).vector == kNoTrap);
}

void check_traps() {
  Trap trap = BARE_PROBE("int3", "a"(0));
  check_trap("INT3", trap, kBp, 0, trap.probe + 1);
  trap = BARE_PROBE(".byte 0xcd, 3", "a"(0));
  check_trap("INT 3", trap, kBp, 0, trap.probe + 2);
  trap = BARE_PROBE("int $4", "a"(0));
  check_trap("INT 4", trap, kOf, 0, trap.probe + 2);
  trap = BARE_PROBE("int $255", "a"(0));
  check_trap("INT 255", trap, 255, 0, trap.probe + 2);
  trap = BARE_PROBE("int $32", "a"(0));
  check_trap("INT 32", trap, 32, 0, trap.probe + 2);
}

// INT n pushes no error code, whatever the vector: the stub of one that has an error code then
// takes RIP for it, and CS for RIP.
void check_software_error_codes() {
  constexpr uint8_t kVectors[] = {kGp, kPf, kDf};
  for (const uint8_t vector : kVectors) {
    Trap trap;
    if (vector == kGp) trap = BARE_PROBE("int $13", "a"(0));
    if (vector == kPf) trap = BARE_PROBE("int $14", "a"(0));
    if (vector == kDf) trap = BARE_PROBE("int $8", "a"(0));
    check(Text("INT ") << vector << " pushes no error code",
          trap.vector == vector && trap.error == trap.probe + 2 && trap.rip == kCode64);
  }
}

constexpr uint64_t kData0 = kFlat | kDescPresent | kDescSegment | kDescWritable | kDescBig;

Trap load_ds(uint16_t selector) {
  return BARE_PROBE("mov %[s], %%ds", [s] "r"(uint32_t{selector}));
}
Trap load_ss(uint16_t selector) {
  return BARE_PROBE("mov %[s], %%ss; nop", [s] "r"(uint32_t{selector}));
}
Trap load_fs(uint16_t selector) {
  const Trap trap = BARE_PROBE("mov %[s], %%fs", [s] "r"(uint32_t{selector}));
  asm volatile("mov %0, %%fs" ::"r"(0));
  return trap;
}

void check_segment_loads() {
  constexpr uint16_t kNew = kFreeSelector;
  gdt[kNew / 8] = kData0 & ~kDescPresent;
  check_fault("DS: not present", load_ds(kNew), kNp, kNew);
  check_fault("SS: not present", load_ss(kNew), kSs, kNew);
  gdt[kNew / 8] = kData0;
  check("DS: data", load_ds(kNew).vector == kNoTrap);
  check_equal("the descriptor is accessed now", gdt[kNew / 8], kData0 | kDescAccessed);
  check("DS: any RPL in ring 0 for data of ring 3", load_ds(kUserData).vector == kNoTrap);
  check_fault("DS: RPL 3 of data of ring 0", load_ds(kNew | 3), kGp, kNew);
  check_fault("SS: RPL 3", load_ss(kNew | 3), kGp, kNew);
  check_fault("SS: data of ring 3", load_ss(kUserData), kGp, kUserData & ~3u);
  check("SS: null in ring 0", load_ss(0).vector == kNoTrap);
  check_fault("SS: null with RPL 3", load_ss(3), kGp, 0);
  check("DS: null", load_ds(0).vector == kNoTrap);
  check("FS: null with RPL", load_fs(3).vector == kNoTrap);
  gdt[kNew / 8] = kData0 & ~kDescWritable;
  check("DS: read-only data", load_ds(kNew).vector == kNoTrap);
  check_fault("SS: read-only data", load_ss(kNew), kGp, kNew);
  gdt[kNew / 8] = kData0 | kDescCode;  // readable
  check("DS: readable code", load_ds(kNew).vector == kNoTrap);
  check_fault("SS: code", load_ss(kNew), kGp, kNew);
  gdt[kNew / 8] = (kData0 | kDescCode) & ~kDescWritable;
  check_fault("DS: execute-only code", load_ds(kNew), kGp, kNew);
  gdt[kNew / 8] = kData0 & ~kDescSegment;
  check_fault("DS: a system segment", load_ds(kNew), kGp, kNew);
  check_fault("DS: beyond the GDT", load_ds(kGdtEntries * 8), kGp, kGdtEntries * 8);
  check_fault("FS: beyond the GDT", load_fs(0xfff8), kGp, 0xfff8);
  check_fault("DS: no LDT", load_ds(kNew | 4), kGp, kNew | 4);
  load_gdt(kNew + 6);
  check_fault("DS: an entry that the limit cuts", load_ds(kNew), kGp, kNew);
  load_gdt(kGdtEntries * 8 - 1);
  // An LDT.
  static uint64_t ldt[4] = {0, kData0, kData0 & ~kDescPresent, 0};
  constexpr uint16_t kLdtSelector = kFreeSelector + 8;
  set_system_descriptor(kLdtSelector, reinterpret_cast<uint64_t>(ldt), sizeof(ldt) - 1, kLdt);
  asm volatile("lldt %0" ::"r"(kLdtSelector));
  check("DS: data of the LDT", load_ds(0x8 | 4).vector == kNoTrap && (ldt[1] & kDescAccessed) != 0);
  check_fault("DS: not present in the LDT", load_ds(0x10 | 4), kNp, 0x14);
  check_fault("DS: beyond the LDT", load_ds(0x20 | 4), kGp, 0x24);
  check("SLDT says which", [&] {
    uint64_t selector = ~0ull;
    asm volatile("sldt %0" : "=r"(selector));
    return selector == kLdtSelector;
  }());
  asm volatile("lldt %0" ::"r"(uint16_t{0}));
  check_fault("DS: LDT gone", load_ds(0x8 | 4), kGp, 0xc);
}

void check_system_segments() {
  constexpr uint16_t kNew = kFreeSelector;
  const auto ltr = [](uint16_t selector) { return BARE_PROBE("ltr %[s]", [s] "r"(selector)); };
  const auto lldt = [](uint16_t selector) { return BARE_PROBE("lldt %[s]", [s] "r"(selector)); };
  check_fault("LTR of null", ltr(0), kGp, 0);
  check_fault("LTR of a busy TSS", ltr(kTask), kGp, kTask);
  check_fault("LTR of data", ltr(kData), kGp, kData);
  check_fault("LTR from an LDT", ltr(kTask | 4), kGp, kTask | 4);
  set_system_descriptor(kNew, 0x1000, 0x67, kTssFree);
  gdt[kNew / 8] &= ~kDescPresent;
  check_fault("LTR of a TSS that is not present", ltr(kNew), kNp, kNew);
  set_system_descriptor(kNew, 1ull << 50, 0x67, kTssFree);
  check_fault("LTR with a base that is not canonical", ltr(kNew), kGp, kNew);
  check_fault("LLDT of a TSS", lldt(kNew), kGp, kNew);
  set_system_descriptor(kNew, 0x1000, 0x67, kLdt);
  gdt[kNew / 8] &= ~kDescPresent;
  check_fault("LLDT of an LDT that is not present", lldt(kNew), kNp, kNew);
  check_fault("LLDT from an LDT", lldt(kNew | 4), kGp, kNew | 4);
  check("LLDT of null", lldt(0).vector == kNoTrap);
  load_task(0, kTssLimit);
  check_equal("the TSS in use is busy", gdt[kTask / 8] >> 40 & 0x1f, kTssBusy);
}

// FPU and SSE: who may use them, and their own exceptions.
void check_fpu() {
  const uint64_t cr0 = read_cr0();
  write_cr0(cr0 | kCr0Ts);
  check_fault("FLD1 with CR0.TS", BARE_PROBE("fld1", "a"(0)), kNm, 0);
  check_fault("FWAIT with TS and MP", BARE_PROBE("fwait", "a"(0)), kNm, 0);
  check_fault("MOVAPS with TS", BARE_PROBE("movaps %%xmm0, %%xmm1", "a"(0)), kNm, 0);
  check_fault("EMMS with TS", BARE_PROBE("emms", "a"(0)), kNm, 0);
  alignas(16) static uint8_t area[512];
  check_fault("FXSAVE with TS", BARE_PROBE("fxsave64 (%[p])", [p] "r"(area)), kNm, 0);
  check_fault("LDMXCSR with TS", BARE_PROBE("ldmxcsr (%[p])", [p] "r"(area)), kNm, 0);
  check("integer MOVNTI, PREFETCH and LFENCE do not mind TS",
        BARE_PROBE("movnti %%rax, (%[p]); lfence; prefetchnta (%[p])", [p] "r"(area)).vector ==
            kNoTrap);
  asm volatile("clts");
  check("CLTS clears TS",
        (read_cr0() & kCr0Ts) == 0 && BARE_PROBE("fninit; fld1", "a"(0)).vector == kNoTrap);
  write_cr0((cr0 & ~kCr0Mp) | kCr0Ts);
  check("FWAIT with TS but no MP", BARE_PROBE("fwait", "a"(0)).vector == kNoTrap);
  write_cr0(cr0 | kCr0Em);
  check_fault("FLD1 with CR0.EM", BARE_PROBE("fld1", "a"(0)), kNm, 0);
  check_fault("MOVAPS with EM", BARE_PROBE("movaps %%xmm0, %%xmm1", "a"(0)), kUd, 0);
  write_cr0(cr0);
  write_cr4(read_cr4() & ~kCr4Osfxsr);
  check_fault("MOVAPS without OSFXSR", BARE_PROBE("movaps %%xmm0, %%xmm1", "a"(0)), kUd, 0);
  write_cr4(read_cr4() | kCr4Osfxsr);

  check_fault("MOVAPS of misaligned memory", BARE_PROBE("movaps 8(%[p]), %%xmm0", [p] "r"(area)),
              kGp, 0);
  check_fault("FXSAVE to misaligned memory", BARE_PROBE("fxsave64 8(%[p])", [p] "r"(area)), kGp, 0);
  check_fault("CMPXCHG16B of misaligned memory", BARE_PROBE("cmpxchg16b 8(%[p])", [p] "r"(area)),
              kGp, 0);
  static uint32_t mxcsr = 0x10000;
  check_fault("LDMXCSR of a reserved bit", BARE_PROBE("ldmxcsr (%[p])", [p] "r"(&mxcsr)), kGp, 0);

  // #MF: pending from the division on, raised by the next instruction that waits.
  static const uint16_t unmasked = 0x037b;
  const Trap mf = BARE_PROBE(
      "fninit; fldcw (%[p]); fld1; fldz; fdivrp; nop; fnstsw %%ax; movq $1f, %[probe]; 1: fld1",
      [p] "r"(&unmasked));
  check_fault("#MF at the next waiting instruction", mf, kMf, 0);
  const Trap wait = BARE_PROBE(
      "fninit; fldcw (%[p]); fld1; fldz; fdivrp; movq $1f, %[probe]; 1: fwait", [p] "r"(&unmasked));
  check_fault("#MF at FWAIT", wait, kMf, 0);
  check("FNCLEX takes it away",
        BARE_PROBE(
            "fninit; fldcw (%[p]); fld1; fldz; fdivrp; fnclex; fwait; fninit", [p] "r"(&unmasked))
                .vector == kNoTrap);
  asm volatile("fninit");

  static const uint32_t zero_divide = 0x1d80, usual = 0x1f80;
  static const float one = 1;
  const auto divide = [&] {
    return BARE_PROBE(
        "ldmxcsr (%[m]); movss (%[one]), %%xmm0; xorps %%xmm1, %%xmm1; movq $1f, %[probe]; 1: "
        "divss %%xmm1, %%xmm0",
        [m] "r"(&zero_divide), [one] "r"(&one));
  };
  check_fault("#XM of an unmasked SSE exception", divide(), kXm, 0);
  write_cr4(read_cr4() & ~kCr4Osxmmexcpt);
  check_fault("#UD instead without OSXMMEXCPT", divide(), kUd, 0);
  write_cr4(read_cr4() | kCr4Osxmmexcpt);
  uint32_t status = 0;
  asm volatile("stmxcsr %0; ldmxcsr %1" : "=m"(status) : "m"(usual));
  check("MXCSR remembers the zero divide", (status & 4) != 0);
}

}  // namespace

void check_vectors() {
  check_divide_errors();
  check_undefined_opcodes();
  check_traps();
  check_software_error_codes();
  check_segment_loads();
  check_system_segments();
  check_fpu();
}

}  // namespace bare
