// IRET: to every ring, what it checks, what it changes (Intel SDM vol. 2, IRET).
#include "descriptors.h"
#include "exceptions.h"
#include "page_table.h"
#include "trap.h"

extern "C" const char bare_enter_iret[], iret_user_back[], iret_user_segments[], iret_user_flags[],
    iret_user_flags_at[];
asm(R"(
        .text
iret_user_back:
        int $0x80
iret_user_segments:
        movl %ds, %eax
        movl %es, %ebx
        movl %fs, %ecx
        movl %gs, %edx
        int $0x80
# An IRET in ring 3, to what follows, with the flags in RAX.
iret_user_flags:
        movq %rsp, %rbx
        movl %ss, %ecx
        pushq %rcx
        pushq %rbx
        pushq %rax
        movl %cs, %ecx
        pushq %rcx
        leaq 1f(%rip), %rcx
        pushq %rcx
iret_user_flags_at:
        iretq
1:      int $0x80
)");

namespace bare {
namespace {

constexpr uint16_t kNew = kFreeSelector;
constexpr uint64_t kCodePlain =
    kFlat | kDescPresent | kDescSegment | kDescCode | kDescWritable | kDescLong;
constexpr uint64_t kDataPlain = kFlat | kDescPresent | kDescSegment | kDescWritable | kDescBig;
const uint64_t iret_at = reinterpret_cast<uint64_t>(bare_enter_iret);

Entry to_ring(uint64_t level) {
  Entry entry;
  if (level == 3) {
    entry.cs = kUserCode64;
    entry.ss = kUserData;
    entry.rip = user_address(iret_user_back);
  } else {
    gdt[kNew / 8] = kCodePlain | desc_dpl(level);
    gdt[kNew / 8 + 1] = kDataPlain | desc_dpl(level);
    entry.cs = kNew | level;
    entry.ss = (kNew + 8) | level;
    entry.rip = reinterpret_cast<uint64_t>(iret_user_back);
  }
  entry.rsp = 0x1122334455667;
  return entry;
}

void check_rings() {
  for (uint64_t level = 1; level < 4; ++level) {
    tss[0].rsp[0] = kernel_stack_top(0);
    const Entry entry = to_ring(level);
    const Trap trap = enter(entry);
    check(Text("IRET to ring ") << static_cast<int>(level),
          trap.vector == 0x80 && trap.cs == entry.cs && trap.ss == entry.ss &&
              trap.rsp == entry.rsp && trap.stack == kernel_stack_top(0));
  }
  Entry same = to_ring(0);
  same.ss = kData;
  same.rsp = spare_stack_top(0);
  const Trap trap = enter(same);
  check("IRET to the same ring takes RSP and SS too",
        trap.vector == 0x80 && trap.rsp == same.rsp && trap.ss == kData);
  same.ss = 0;
  check("with a null SS", enter(same).vector == 0x80);
}

void check_flags() {
  Entry entry = to_ring(3);
  constexpr uint64_t kAll = kFlagCf | kFlagPf | kFlagAf | kFlagZf | kFlagSf | kFlagDf | kFlagOf |
                            kFlagIopl | kFlagAc | kFlagId | 2;
  entry.flags = kAll;
  check_equal("IRET to ring 3 takes all flags", enter(entry).flags, kAll);
  entry.flags = ~(kFlagTf | kFlagIf | kFlagNt | kFlagVm | kFlagRf | 3ull << 19);
  check_equal("bits that are no flags stay 0, bit 1 is 1", enter(entry).flags, kAll);
  entry.flags = 2;
  check_equal("and clears them", enter(entry).flags, 2);

  // IRET in ring 3 changes neither IOPL nor, with IOPL 0, IF.
  static uint64_t user_stack[64];
  entry = to_ring(3);
  entry.rip = user_address(iret_user_flags);
  entry.rsp = user_address(user_stack + 60);
  entry.rax = 2 | kFlagIf | kFlagIopl | kFlagCf | kFlagAc;
  Trap trap = enter(entry);
  check_equal("IRET in ring 3 keeps IOPL and IF", trap.vector == 0x80 ? trap.flags : 0,
              2 | kFlagCf | kFlagAc);
  entry.flags = 2 | kFlagIopl;
  trap = enter(entry);
  check_equal("with IOPL 3 it changes IF", trap.vector == 0x80 ? trap.flags : 0,
              2 | kFlagIopl | kFlagIf | kFlagCf | kFlagAc);
  entry.flags = 2 | kFlagNt;
  check_trap("IRET with NT", enter(entry), kGp, 0, user_address(iret_user_flags_at));
}

void check_data_segments() {
  Entry entry = to_ring(3);
  entry.rip = user_address(iret_user_segments);
  const Trap trap = catch_trap([&] {
    asm volatile("mov %0, %%ds; mov %1, %%es; mov %0, %%fs; mov %1, %%gs" ::"r"(uint32_t{kData}),
                 "r"(uint32_t{kUserData}));
    bare_enter(&entry);
  });
  check("data segments of ring 0 are gone in ring 3",
        (trap.frame.rax & 0xffff) == 0 && (trap.frame.rcx & 0xffff) == 0);
  check("those of ring 3 are not",
        (trap.frame.rbx & 0xffff) == kUserData && (trap.frame.rdx & 0xffff) == kUserData);
  asm volatile("mov %0, %%fs; mov %0, %%gs" ::"r"(0));
}

void check_refusals() {
  const auto refused = [](const char* name, const Entry& entry, Vector vector, uint64_t error) {
    check_trap(Text("IRET: ") << name, enter(entry), vector, error, iret_at);
  };
  Entry entry = to_ring(3);
  entry.cs = 0;
  refused("CS null", entry, kGp, 0);
  entry.cs = 3;
  refused("CS null with RPL 3", entry, kGp, 0);
  entry.cs = kUserData;
  refused("CS is data", entry, kGp, kUserData & ~3u);
  entry.cs = kGdtEntries * 8 | 3;
  refused("CS beyond the GDT", entry, kGp, kGdtEntries * 8);
  entry.cs = kCode64 | 3;
  refused("CS of ring 0 with RPL 3", entry, kGp, kCode64);
  entry.cs = kUserCode64 & ~3u;
  refused("CS of ring 3 with RPL 0", entry, kGp, kUserCode64 & ~3u);
  entry = to_ring(3);
  gdt[kNew / 8] = (kCodePlain | desc_dpl(3)) & ~kDescPresent;
  entry.cs = kNew | 3;
  refused("CS not present", entry, kNp, kNew);
  gdt[kNew / 8] = kCodePlain | desc_dpl(3) | kDescBig;
  refused("CS with L and D", entry, kGp, kNew);
  gdt[kNew / 8] = kCodePlain | desc_dpl(3) | kDescConforming;
  check("IRET to conforming code of DPL 3", enter(entry).cs == entry.cs);
  gdt[kNew / 8] = kCodePlain | kDescConforming;
  check("IRET to conforming code of DPL 0 with RPL 3", enter(entry).cs == entry.cs);

  entry = to_ring(3);
  entry.ss = 3;
  refused("SS null to ring 3", entry, kGp, 0);
  entry.ss = kUserData & ~3u;
  refused("SS with another RPL", entry, kGp, kUserData & ~3u);
  entry.ss = kData | 3;
  refused("SS of ring 0", entry, kGp, kData);
  entry.ss = kUserCode64;
  refused("SS is code", entry, kGp, kUserCode64 & ~3u);
  entry.ss = kNew | 3;
  gdt[kNew / 8] = (kDataPlain & ~kDescWritable) | desc_dpl(3);
  refused("SS read-only", entry, kGp, kNew);
  gdt[kNew / 8] = (kDataPlain & ~kDescPresent) | desc_dpl(3);
  refused("SS not present", entry, kSs, kNew);
  entry.ss = kGdtEntries * 8 | 3;
  refused("SS beyond the GDT", entry, kGp, kGdtEntries * 8);

  entry = to_ring(3);
  entry.rip = 0x800000000000;
  refused("RIP that is not canonical", entry, kGp, 0);
  gdt[kNew / 8] =
      (kDescPresent | kDescSegment | kDescCode | kDescWritable | kDescBig | desc_dpl(3)) | 0xfff;
  entry.cs = kNew | 3;
  entry.rip = 0x1000;
  refused("EIP beyond a 32-bit segment", entry, kGp, 0);
  const Trap nt = catch_trap([] {
    asm volatile("pushq $0x4002; popfq; movq $1f, %0\n1: iretq" : "=m"(probe_at));
  });
  check_fault("IRET: NT in long mode", nt, kGp, 0);
}

// The other operand sizes pop five smaller words.
void check_sizes() {
  static uint32_t frame32[8];
  frame32[0] = static_cast<uint32_t>(reinterpret_cast<uint64_t>(iret_user_back));
  frame32[1] = kCode64;
  frame32[2] = 2 | kFlagCf;
  frame32[3] = 0x12345678;
  frame32[4] = kData;
  Trap trap = catch_trap([] { asm volatile("movq %0, %%rsp; iretl" ::"r"(frame32)); });
  // What the handler's frame then overwrites is nobody's: IST keeps it off the address.
  check("IRETL pops SS and ESP too",
        trap.vector == 0x80 && trap.rsp == 0x12345678 && (trap.flags & kFlagCf) != 0);
}

}  // namespace

void check_iret() {
  idt[0x80] = make_gate(stub_address(0x80), kCode64, kInterruptGate, 3, 0);
  check_rings();
  check_flags();
  check_data_segments();
  check_refusals();
  idt[0x80] = make_gate(stub_address(0x80), kCode64, kInterruptGate, 3, 1);
  check_sizes();
  reset_gate(0x80);
}

}  // namespace bare
