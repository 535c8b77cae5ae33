// SYSCALL and SYSRET (Intel SDM vol. 2; AMD64 APM vol. 3), SWAPGS and the segment bases.
#include "descriptors.h"
#include "page_table.h"
#include "rings.h"
#include "trap.h"

extern "C" const char calls_user[], calls_user_after[], calls_user_back[], calls_kernel[],
    calls_kernel_32[], calls_sysretq[], calls_sysretl[];
asm(R"(
        .text
calls_user:
        syscall
calls_user_after:
        nop
calls_user_back:
        int $0x80
calls_kernel:
        int $0x82
calls_kernel_32:
        int $0x83
calls_sysretq:
        sysretq
calls_sysretl:
        sysretl
)");

namespace bare {
namespace {

constexpr uint64_t kAllFlags = kFlagCf | kFlagPf | kFlagAf | kFlagZf | kFlagSf | kFlagIf | kFlagDf |
                               kFlagOf | kFlagIopl | kFlagAc | kFlagId | 2;
alignas(16) uint8_t user_stack[4096];

void set_up(uint64_t star) {
  write_msr(kMsrEfer, read_msr(kMsrEfer) | kEferSce);
  write_msr(kMsrStar, star);
  write_msr(kMsrLstar, reinterpret_cast<uint64_t>(calls_kernel));
  write_msr(kMsrCstar, reinterpret_cast<uint64_t>(calls_kernel_32));
  write_msr(kMsrFmask, 0);
}

constexpr uint64_t kStar = uint64_t{kUserCode32} << 48 | uint64_t{kCode64} << 32;

Entry user_entry(const char* code) {
  Entry entry;
  entry.cs = kUserCode64;
  entry.ss = kUserData;
  entry.rip = user_address(code);
  // SYSCALL does not leave the user's stack, so the trap behind it uses it.
  entry.rsp = user_address(user_stack + 4000);
  return entry;
}

void check_syscall() {
  set_up(kStar);
  Entry entry = user_entry(calls_user);
  entry.flags = kAllFlags & ~kFlagIf;
  Trap trap = enter(entry);
  check_trap("SYSCALL goes to LSTAR", trap, 0x82, 0, reinterpret_cast<uint64_t>(calls_kernel) + 2);
  check("with CS and SS of STAR", trap.cs == kCode64 && trap.ss == kData);
  check_equal("RCX is the return address", trap.frame.rcx, user_address(calls_user_after));
  check_equal("R11 are the flags", trap.frame.r11, kAllFlags & ~kFlagIf);
  check_equal("RSP stays", trap.rsp, entry.rsp);
  check_equal("FMASK of 0 clears nothing", trap.flags, kAllFlags & ~kFlagIf);
  write_msr(kMsrFmask, ~0u);
  trap = enter(entry);
  check_equal("FMASK clears flags", trap.flags, 2);
  check_equal("but not in R11", trap.frame.r11, kAllFlags & ~kFlagIf);
  write_msr(kMsrFmask, kFlagDf | kFlagIopl);
  trap = enter(entry);
  check_equal("FMASK clears some", trap.flags, kAllFlags & ~(kFlagIf | kFlagDf | kFlagIopl));
  set_up(uint64_t{0x50} << 32);
  trap = enter(entry);
  check("SYSCALL does not look into the GDT",
        trap.vector == 0x82 && trap.cs == 0x50 && trap.ss == 0x58);
  set_up(uint64_t{kCode64 | 3} << 32);
  trap = enter(entry);
  check("the RPL in STAR does not count",
        trap.vector == 0x82 && trap.cs == kCode64 && trap.ss == kData);
  set_up(kStar);
  check("SYSCALL in ring 0 too", catch_trap([] { asm volatile("syscall"); }).vector == 0x82);
}

uint64_t odd_stack() { return reinterpret_cast<uint64_t>(user_stack) + 3001; }

// From ring 0 by SYSRET to code that ends with INT 0x80.
Trap sysret(const char* how, uint64_t rip, uint64_t flags) {
  Entry entry;
  entry.cs = kCode64;
  entry.ss = kData;
  entry.rip = reinterpret_cast<uint64_t>(how);
  entry.rsp = odd_stack();  // used where SYSRET raises its fault in ring 0
  entry.rcx = rip;
  entry.r11 = flags;
  return enter(entry);
}

void check_sysret() {
  set_up(kStar);
  const uint64_t back = user_address(calls_user_back);
  Trap trap = sysret(calls_sysretq, back, kAllFlags & ~kFlagIf);
  check_trap("SYSRET goes to RCX", trap, 0x80, 0, back + 2);
  check("to 64-bit code of ring 3", trap.cs == kUserCode64 && trap.ss == kUserData);
  check_equal("with the flags of R11", trap.flags, kAllFlags & ~kFlagIf);
  check_equal("SYSRET leaves RSP", trap.rsp, odd_stack());
  trap = sysret(calls_sysretq, back, ~(kFlagTf | kFlagNt | 3ull << 19));
  check_equal("SYSRET sets neither RF, VM nor what is no flag", trap.flags, kAllFlags);
  trap = sysret(calls_sysretl, user_address32(calls_user_back), 2);
  check("SYSRET of 32 bits", trap.vector == 0x80 && trap.cs == kUserCode32 &&
                                 trap.ss == kUserData &&
                                 trap.rip == user_address32(calls_user_back) + 2);
  trap = sysret(calls_sysretl, back | 0xff00000000, 2);
  check("takes ECX",
        trap.is(kPf) && trap.cs == kUserCode32 && trap.rip == static_cast<uint32_t>(back));
  set_up(uint64_t{0x50} << 48);
  trap = sysret(calls_sysretq, back, 2);
  check("SYSRET does not look into the GDT",
        trap.vector == 0x80 && trap.cs == 0x63 && trap.ss == 0x5b);
  set_up(kStar);
  // Intel's raise it in ring 0, AMD's in ring 3.
  trap = sysret(calls_sysretq, 0x800000000000, 2);
  check("SYSRET to an address that is not canonical", trap.is(kGp) && trap.error == 0);
}

void check_compatibility_calls() {
  if (!is_amd()) {
    for (int i = 0; i < 3; ++i) skip("SYSCALL in compatibility mode", "Intel's do not have it");
    return;
  }
  set_up(kStar);
  Entry entry = user_entry(calls_user);
  entry.cs = kUserCode32;
  entry.rip = user_address32(calls_user);
  entry.rsp = user_address32(user_stack + 4000);
  const Trap trap = enter(entry);
  check_trap("SYSCALL in compatibility mode goes to CSTAR", trap, 0x83, 0,
             reinterpret_cast<uint64_t>(calls_kernel_32) + 2);
  check("in 64-bit mode", trap.cs == kCode64 && trap.ss == kData);
  check_equal("with EIP in RCX", trap.frame.rcx, user_address32(calls_user_after));
}

void check_segment_bases() {
  constexpr uint64_t kOne = 0x123456789000, kTwo = 0xffff800000001000;
  write_msr(kMsrGsBase, kOne);
  write_msr(kMsrKernelGsBase, kTwo);
  asm volatile("swapgs");
  check("SWAPGS exchanges", read_msr(kMsrGsBase) == kTwo && read_msr(kMsrKernelGsBase) == kOne);
  asm volatile("swapgs");
  check("and back", read_msr(kMsrGsBase) == kOne && read_msr(kMsrKernelGsBase) == kTwo);
  constexpr uint32_t kBases[] = {kMsrFsBase, kMsrGsBase, kMsrKernelGsBase, kMsrLstar, kMsrCstar};
  for (const uint32_t msr : kBases) {
    const uint64_t before = read_msr(msr);
    const Trap trap = BARE_PROBE("wrmsr", "c"(msr), "a"(0), "d"(0x8000));
    check_fault(Text("MSR ") << msr << " takes canonical addresses only", trap, kGp, 0);
    check_equal("and stays", read_msr(msr), before);
  }
  static uint64_t words[4] = {1, 2, 3, 4};
  write_msr(kMsrFsBase, reinterpret_cast<uint64_t>(words));
  uint64_t value = 0;
  asm volatile("movq %%fs:16, %0" : "=r"(value));
  check_equal("FS has its base", value, 3);
  write_msr(kMsrFsBase, reinterpret_cast<uint64_t>(words) - (1ull << 40));
  asm volatile("movq %%fs:(%1), %0" : "=r"(value) : "r"((1ull << 40) + 8));
  check_equal("base and offset are added", value, 2);
  // A base of the GDT has 32 bits.
  constexpr uint16_t kNew = kFreeSelector;
  const uint64_t base = reinterpret_cast<uint64_t>(words);
  gdt[kNew / 8] = kFlat | kDescPresent | kDescSegment | kDescWritable | (base & 0xffffff) << 16 |
                  base >> 24 << 56;
  write_msr(kMsrFsBase, kTwo);
  asm volatile("mov %1, %%fs; movq %%fs:0, %0; mov %2, %%fs"
               : "=r"(value)
               : "r"(uint32_t{kNew}), "r"(0));
  check_equal("loading FS takes the base of the GDT", value, 1);
  asm volatile("mov %1, %%ds; movq %%ds:8(%2), %0; mov %3, %%ds"
               : "=r"(value)
               : "r"(uint32_t{kNew}), "r"(words), "r"(uint32_t{kData}));
  check_equal("DS has no base in 64-bit mode", value, 2);
  write_cr4(read_cr4() | kCr4Fsgsbase);
  asm volatile("wrgsbase %1; rdgsbase %0" : "=r"(value) : "r"(kTwo));
  check("WRGSBASE and RDGSBASE", value == kTwo && read_msr(kMsrGsBase) == kTwo);
  asm volatile("wrfsbase %k1; rdfsbase %0" : "=r"(value) : "r"(~0ull));
  check_equal("WRFSBASE of 32 bits clears the rest", value, 0xffffffff);
  check_fault("WRGSBASE of an address that is not canonical",
              BARE_PROBE("wrgsbase %[b]", [b] "r"(1ull << 47)), kGp, 0);
  write_cr4(read_cr4() & ~kCr4Fsgsbase);
  write_msr(kMsrFsBase, 0);
  write_msr(kMsrGsBase, 0);
}

}  // namespace

void check_system_calls() {
  check_syscall();
  check_sysret();
  check_compatibility_calls();
  check_segment_bases();
  write_msr(kMsrEfer, read_msr(kMsrEfer) & ~kEferSce);
}

}  // namespace bare
