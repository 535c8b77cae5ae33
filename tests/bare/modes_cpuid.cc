// What CPUID says and what the CPU does: an instruction that is offered works, one that is not is
// #UD (Intel SDM vol. 2, the instructions' exceptions; vol. 1, 20.1).
#include "cpu.h"
#include "modes.h"
#include "report.h"
#include "trap.h"

namespace bare {
namespace {

alignas(64) uint8_t scratch[512];
constexpr uint64_t kApicBaseEnabled = 1u << 11;

// `vector` is what the instruction ends with where it is offered.
void compare(const char* name, uint32_t offered, const Trap& trap, uint32_t vector = kNoTrap) {
  check_equal(Text(name) << ((offered & 1) != 0 ? ": offered" : ": not offered"), trap.vector,
              (offered & 1) != 0 ? vector : static_cast<uint32_t>(kUd));
}

#define BARE_TRY(instruction) \
  BARE_PROBE(instruction, "a"(scratch), "c"(0), "d"(0), "D"(scratch), "S"(scratch))

void check_first_leaf() {
  const CpuidRegs leaf = cpuid(1);
  compare("SSE3", leaf.ecx >> 0, BARE_TRY("addsubps %%xmm0, %%xmm0"));
  compare("PCLMULQDQ", leaf.ecx >> 1, BARE_TRY("pclmulqdq $0, %%xmm0, %%xmm0"));
  compare("MONITOR", leaf.ecx >> 3, BARE_TRY("monitor"));
  compare("SSSE3", leaf.ecx >> 9, BARE_TRY("pshufb %%xmm0, %%xmm0"));
  compare("CMPXCHG16B", leaf.ecx >> 13, BARE_TRY("cmpxchg16b (%%rdi)"));
  compare("SSE4.1", leaf.ecx >> 19, BARE_TRY("pmulld %%xmm0, %%xmm0"));
  compare("SSE4.2", leaf.ecx >> 20, BARE_TRY("pcmpgtq %%xmm0, %%xmm0; crc32b %%al, %%ecx"));
  compare("MOVBE", leaf.ecx >> 22, BARE_TRY("movbe (%%rdi), %%eax"));
  compare("POPCNT", leaf.ecx >> 23, BARE_TRY("popcnt %%eax, %%ecx"));
  compare("AES", leaf.ecx >> 25, BARE_TRY("aesenc %%xmm0, %%xmm0"));
  compare("RDRAND", leaf.ecx >> 30, BARE_TRY("rdrand %%eax"));
  compare("CMPXCHG8B", leaf.edx >> 8, BARE_TRY("cmpxchg8b (%%rdi)"));
  // AMD's has no SYSENTER in long mode; Intel's refuses IA32_SYSENTER_CS of 0.
  compare("SYSENTER", is_amd() ? 0 : leaf.edx >> 11, BARE_TRY("sysenter"), kGp);
  compare("CMOV", leaf.edx >> 15, BARE_TRY("cmovz %%eax, %%ecx"));
  compare("CLFLUSH", leaf.edx >> 19, BARE_TRY("clflush (%%rdi)"));
  compare("MMX", leaf.edx >> 23, BARE_TRY("paddb %%mm0, %%mm0; emms"));
  compare("FXSAVE", leaf.edx >> 24, BARE_TRY("fxsave (%%rdi)"));
  compare("SSE", leaf.edx >> 25, BARE_TRY("addps %%xmm0, %%xmm0"));
  compare("SSE2", leaf.edx >> 26, BARE_TRY("addpd %%xmm0, %%xmm0"));
  check_fault("AVX wants OSXSAVE", BARE_TRY("vpxor %%ymm0, %%ymm0, %%ymm0"), kUd, 0);
}

void check_seventh_leaf() {
  const CpuidRegs leaf = cpuid(7);
  const uint64_t cr4 = read_cr4();
  if ((leaf.ebx & 1) != 0) write_cr4(cr4 | kCr4Fsgsbase);
  compare("FSGSBASE", leaf.ebx, BARE_TRY("rdfsbase %%rax"));
  write_cr4(cr4);
  compare("BMI1", leaf.ebx >> 3, BARE_TRY("andn %%eax, %%ecx, %%edx"));
  compare("BMI2", leaf.ebx >> 8, BARE_TRY("rorx $1, %%eax, %%ecx"));
  const auto invpcid = [] {
    return BARE_PROBE("invpcid (%%rdi), %%rax", "a"(2ull), "D"(scratch + 448));
  };
  compare("INVPCID", leaf.ebx >> 10, invpcid());
  // Its transaction ends at once where XEND is; a CPU without RTM knows neither.
  compare("RTM", leaf.ebx >> 11,
          BARE_TRY(".byte 0xc7, 0xf8, 0, 0, 0, 0; xtest; jnz 2f; jmp 3f; 2: xend; 3:"));
  compare("RDSEED", leaf.ebx >> 18, BARE_TRY("rdseed %%eax"));
  compare("ADX", leaf.ebx >> 19, BARE_TRY("adcx %%eax, %%ecx; adox %%eax, %%ecx"));
  compare("SMAP", leaf.ebx >> 20, BARE_TRY("clac"));
  compare("CLFLUSHOPT", leaf.ebx >> 23, BARE_TRY("clflushopt (%%rdi)"));
  compare("CLWB", leaf.ebx >> 24, BARE_TRY("clwb (%%rdi)"));
  compare("SHA", leaf.ebx >> 29, BARE_TRY("sha1nexte %%xmm0, %%xmm0"));
  compare("RDPID", leaf.ecx >> 22, BARE_TRY("rdpid %%rax"));
  compare("MOVDIRI", leaf.ecx >> 27, BARE_TRY("movdiri %%eax, (%%rdi)"));
}

void check_extended_leaves() {
  const CpuidRegs leaf = cpuid(0x80000001), more = cpuid(0x80000008);
  compare("LAHF", leaf.ecx, BARE_TRY("lahf"));
  compare("LOCK MOV from CR0", leaf.ecx >> 4, BARE_TRY(".byte 0xf0, 0x0f, 0x20, 0xc0"));
  uint32_t zeroes = 0;
  asm volatile("lzcnt %1, %0" : "=r"(zeroes) : "r"(1));
  check_equal("LZCNT is BSR where it is not offered", zeroes, (leaf.ecx >> 5 & 1) != 0 ? 31 : 0);
  compare("SSE4A", leaf.ecx >> 6, BARE_TRY("extrq %%xmm0, %%xmm0"));
  if ((leaf.ecx >> 8 & 1) != 0) {
    compare("PREFETCHW", 1, BARE_TRY("prefetchw (%%rdi)"));
  } else {
    skip("PREFETCHW", "CPUs without it differ");
  }
  compare("XOP", leaf.ecx >> 11, BARE_TRY(".byte 0x8f, 0xe9, 0x78, 0xe1, 0xc0"), kUd);
  compare("TBM", leaf.ecx >> 21, BARE_TRY(".byte 0x8f, 0xe9, 0x78, 0x01, 0xc8"));
  compare("MMXEXT", leaf.edx >> 22 | cpuid(1).edx >> 25, BARE_TRY("pavgb %%mm0, %%mm0; emms"));
  compare("RDTSCP", leaf.edx >> 27, BARE_TRY("rdtscp"));
  compare("3DNow", leaf.edx >> 31, BARE_TRY("pfadd %%mm0, %%mm0; femms"));
  compare("CLZERO", more.ebx, BARE_TRY("clzero"));
}

void check_leaves() {
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
  const uint32_t linear = (cpuid(7).ecx >> 16 & 1) != 0 ? 57 : 48;
  check("linear bits as LA57 has it, and more than 36 physical",
        (widths >> 8 & 0xff) == linear && (widths & 0xff) >= 36);
  check_equal("OSXSAVE follows CR4", features.ecx >> 27 & 1, read_cr4() >> 18 & 1);
  check_equal("APIC follows IA32_APIC_BASE", features.edx >> 9 & 1,
              read_msr(kMsrApicBase) >> 11 & 1);
  uint32_t low = 0, high = 0;
  asm volatile("cpuid" : "=a"(low), "=d"(high) : "a"(0xffffffff00000000), "c"(0) : "rbx");
  check_equal("CPUID takes EAX and clears the rest", low, top.eax);
  const CpuidRegs beyond = cpuid(top.eax + 1), last = cpuid(top.eax);
  check("a leaf beyond the last: nothing by AMD, the last by Intel",
        is_amd() ? (beyond.eax | beyond.ebx | beyond.ecx | beyond.edx) == 0
                 : beyond.eax == last.eax && beyond.ebx == last.ebx);
  const uint64_t base = read_msr(kMsrApicBase);
  write_msr(kMsrApicBase, base & ~kApicBaseEnabled);
  check_equal("the APIC's bit goes with the APIC (vol. 3, 11.4.3)", cpuid(1).edx >> 9 & 1, 0);
  write_msr(kMsrApicBase, base);
  check_equal("and comes with it", cpuid(1).edx >> 9 & 1, 1);
}

}  // namespace

void check_cpuid() {
  check_leaves();
  check_first_leaf();
  check_seventh_leaf();
  check_extended_leaves();
}

}  // namespace bare
