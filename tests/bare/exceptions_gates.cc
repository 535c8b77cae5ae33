// The way through the IDT: kinds of gates, their rights, the new stack, and faults on the way
// (Intel SDM vol. 3, 6.10 to 6.14).
#include "descriptors.h"
#include "exceptions.h"
#include "page_table.h"
#include "trap.h"

extern "C" const char gates_user_int[], gates_user_int3[], gates_user_ud2[], gates_user_push[];
asm(R"(
        .text
gates_user_int:
        int $0x70
gates_user_int3:
        int3
gates_user_ud2:
        ud2
gates_user_push:
        push %rax
        int $0x80
)");

namespace bare {
namespace {

constexpr uint8_t kVector = 0x70;
constexpr uint32_t kSoftwareError = kVector * 8 + 2, kUdError = kUd * 8 + 3;
constexpr uint64_t kCodePlain =
    kFlat | kDescPresent | kDescSegment | kDescCode | kDescWritable | kDescLong;
constexpr uint16_t kNewCode = kFreeSelector;

void set_gate(uint8_t vector, uint16_t selector, uint8_t type, uint8_t dpl = 0, uint8_t ist = 0) {
  idt[vector] = make_gate(stub_address(vector), selector, type, dpl, ist);
}

Trap software_interrupt() { return BARE_PROBE("int $0x70", "a"(0)); }
Trap undefined() { return BARE_PROBE("ud2", "a"(0)); }

Trap from_user(const char* code, uint64_t flags = 2, uint64_t rsp = 0) {
  Entry entry;
  entry.cs = kUserCode64;
  entry.ss = kUserData;
  entry.rip = user_address(code);
  entry.flags = flags;
  entry.rsp = rsp;
  return enter(entry);
}

// IF, TF, NT and RF as the handler of `vector` sees them.
uint64_t flags_seen;
void note_flags(Frame&) { flags_seen = read_flags(); }

void check_flags_in_handlers() {
  set_handler(kVector, note_flags);
  constexpr uint8_t kTypes[] = {kInterruptGate, kTrapGate};
  constexpr uint64_t kFlags[] = {0, kFlagIf};
  for (const uint8_t type : kTypes) {
    set_gate(kVector, kCode64, type);
    for (const uint64_t flag : kFlags) {
      asm volatile("pushq %0; popfq; int $0x70; cli" ::"r"(2 | flag | kFlagDf | kFlagCf | kFlagNt)
                   : "cc", "memory");
      asm volatile("pushq $2; popfq" ::: "cc");
      // The stub has cleared DF; CF is anybody's.
      check_equal(Text(type == kInterruptGate ? "interrupt" : "trap")
                      << " gate, IF was " << static_cast<int>(flag != 0),
                  flags_seen & (kFlagIf | kFlagNt | kFlagTf | kFlagRf),
                  type == kTrapGate ? flag : 0);
    }
  }
  set_handler(kVector, nullptr);
  reset_gate(kVector);
}

void check_frames() {
  // The stack is aligned to 16 before the frame; the frame says where it was.
  for (uint64_t offset = 0; offset < 16; offset += 5) {
    uint64_t sp = 0;
    const Trap trap = catch_trap([&] {
      asm volatile(
          "subq $0x100, %%rsp; andq $-16, %%rsp; subq %[o], %%rsp; movq %%rsp, %[sp]; int $0x70"
          : [sp] "=m"(sp)
          : [o] "r"(offset));
    });
    check(Text("RSP ending in ") << static_cast<int>(16 - offset),
          trap.rsp == sp && trap.stack == (sp & ~15ull));
  }
  const Trap trap = catch_trap([&] {
    asm volatile("pushq %0; popfq; ud2" ::"r"(2 | kFlagCf | kFlagZf | kFlagDf | kFlagOf |
                                              kFlagIopl | kFlagAc | kFlagId));
  });
  check_equal("a fault's flags have RF", trap.flags,
              2 | kFlagCf | kFlagZf | kFlagDf | kFlagOf | kFlagIopl | kFlagAc | kFlagId | kFlagRf);
  check("CS and SS are pushed", trap.cs == kCode64 && trap.ss == kData);
  check_equal("INT n has no RF", software_interrupt().flags & kFlagRf, 0);
  const Trap user = from_user(gates_user_ud2, 2 | kFlagSf, 0x1234567);
  check("from ring 3 the stack is RSP0",
        user.stack == kernel_stack_top(0) && user.rsp == 0x1234567);
  check("CS and SS of ring 3", user.cs == kUserCode64 && user.ss == kUserData);
  check_equal("flags of ring 3", user.flags, 2 | kFlagSf | kFlagRf);
  const uint64_t ss = [] {
    static uint64_t seen;
    set_handler(kVector, [](Frame&) { asm volatile("mov %%ss, %0" : "=r"(seen)); });
    set_gate(kVector, kCode64, kInterruptGate, 3);
    // Back from the handler the user code runs into INT3.
    from_user(gates_user_int);
    set_handler(kVector, nullptr);
    reset_gate(kVector);
    return seen;
  }();
  check_equal("SS is null in a handler of ring 3", ss, 0);
}

void check_ist() {
  tss[0].ist[3] = spare_stack_top(0) - 8;
  set_gate(kVector, kCode64, kInterruptGate, 3, 4);
  check_equal("IST without a change of ring, aligned", software_interrupt().stack,
              spare_stack_top(0) - 16);
  check_equal("IST from ring 3", from_user(gates_user_int).stack, spare_stack_top(0) - 16);
  tss[0].ist[3] = 0x800000001000;
  check_fault("IST that is not canonical", software_interrupt(), kSs, 0);
  constexpr uint64_t kHole = 0x320'0000'0000;
  const Path path = map(boot_tables(), kHole, 0, 0);
  tss[0].ist[3] = kHole + kPage;
  Trap trap = software_interrupt();
  check_fault("IST in a missing page", trap, kPf, 2);
  check_equal("CR2 is where SS would go", trap.cr2, kHole + kPage - 8);
  *path.entry[1] = reinterpret_cast<uint64_t>(new_page()) | kPresent | kUser | kWritable;
  trap = software_interrupt();
  check("a page for it", trap.vector == kVector && trap.stack == kHole + kPage);
  if (has_smap()) {
    write_cr4(read_cr4() | kCr4Smap);
    trap = BARE_PROBE("stac; movq $1f, %[probe]; 1: int $0x70", "a"(0));
    check_fault("SMAP: no frame goes to a user's page", trap, kPf, 3);
    write_cr4(read_cr4() & ~kCr4Smap);
  } else {
    skip("SMAP and frames", "no SMAP");
  }
  // The TSS ends in front of IST4 or of RSP0.
  load_task(0, 0x42);
  check_fault("a TSS too short for the IST", software_interrupt(), kTs, kTask);
  reset_gate(kVector);
  load_task(0, kTssLimit);
}

void check_rights() {
  reset_gate(kVector);
  check_trap("ring 3: INT n through a gate of DPL 0", from_user(gates_user_int), kGp,
             kSoftwareError, user_address(gates_user_int));
  set_gate(kVector, kCode64, kInterruptGate, 3);
  check_trap("ring 3: INT n through one of DPL 3", from_user(gates_user_int), kVector, 0,
             user_address(gates_user_int) + 2);
  set_gate(kVector, kCode64, kInterruptGate, 2);
  check_trap("ring 3: INT n through one of DPL 2", from_user(gates_user_int), kGp, kSoftwareError,
             user_address(gates_user_int));
  set_gate(kBp, kCode64, kInterruptGate, 0);
  check_trap("ring 3: INT3 through a gate of DPL 0", from_user(gates_user_int3), kGp, kBp * 8 + 2,
             user_address(gates_user_int3));
  reset_gate(kBp);
  check_trap("ring 3: a fault does not mind the DPL", from_user(gates_user_ud2), kUd, 0,
             user_address(gates_user_ud2));
  reset_gate(kVector);
}

// `type_and_dpl` of the gate's fifth byte.
void break_gate(uint8_t vector, uint8_t byte) {
  reset_gate(vector);
  idt[vector].low = (idt[vector].low & ~(0xffull << 40)) | uint64_t{byte} << 40;
}

void check_bad_gates() {
  break_gate(kVector, 0x0e);
  check_fault("INT n: gate not present", software_interrupt(), kNp, kSoftwareError);
  constexpr uint8_t kTypes[] = {0x80, 0x85, 0x86, 0x87, 0x89, 0x8c, 0x9e};
  for (const uint8_t type : kTypes) {
    break_gate(kVector, type);
    check_fault(Text("INT n: gate of type ") << uint64_t{type & 0x1fu}, software_interrupt(), kGp,
                kSoftwareError);
  }
  reset_gate(kVector);
  load_idt(reinterpret_cast<uint64_t>(idt), kVector * 16 + 14);
  check_fault("INT n: beyond the IDT", software_interrupt(), kGp, kSoftwareError);
  load_idt(reinterpret_cast<uint64_t>(idt), sizeof(Gate) * 256 - 1);

  break_gate(kUd, 0x0e);
  check_fault("#UD: gate not present", undefined(), kNp, kUdError);
  break_gate(kUd, 0x85);
  check_fault("#UD: a task gate", undefined(), kGp, kUdError);
  reset_gate(kUd);
}

void check_bad_code_segments() {
  struct Case {
    const char* name;
    uint64_t descriptor;
    Vector vector;
  };
  constexpr Case kCases[] = {
      {"not present", kCodePlain & ~kDescPresent, kNp},
      {"data", kCodePlain & ~kDescCode, kGp},
      {"a system segment", kCodePlain & ~kDescSegment, kGp},
      {"32-bit code", (kCodePlain & ~kDescLong) | kDescBig, kGp},
      {"L and D", kCodePlain | kDescBig, kGp},
      {"DPL 3", kCodePlain | desc_dpl(3), kGp},
      {"conforming, DPL 3", kCodePlain | kDescConforming | desc_dpl(3), kGp},
  };
  for (const Case& c : kCases) {
    gdt[kNewCode / 8] = c.descriptor;
    set_gate(kVector, kNewCode, kInterruptGate);
    check_fault(Text("INT n to ") << c.name, software_interrupt(), c.vector, kNewCode);
    set_gate(kUd, kNewCode, kInterruptGate);
    check_fault(Text("#UD to ") << c.name, undefined(), c.vector, kNewCode | 1);
    reset_gate(kUd);
  }
  constexpr uint16_t kSelectors[] = {0, 3, kGdtEntries * 8, kNewCode | 4};
  for (const uint16_t selector : kSelectors) {
    const uint32_t error = selector & 0xfffcu;
    set_gate(kVector, selector, kInterruptGate);
    check_fault(Text("INT n to selector ") << uint64_t{selector}, software_interrupt(), kGp, error);
    set_gate(kUd, selector, kInterruptGate);
    check_fault(Text("#UD to selector ") << uint64_t{selector}, undefined(), kGp, error | 1);
    reset_gate(kUd);
  }
  gdt[kNewCode / 8] = kCodePlain;
  set_gate(kVector, kNewCode | 3, kInterruptGate, 3);
  Trap trap = from_user(gates_user_int);
  uint16_t cs = 0;
  check("a gate's RPL does not matter", trap.vector == kVector);
  static uint16_t seen_cs;
  set_handler(kVector, [](Frame&) { asm volatile("mov %%cs, %0" : "=r"(seen_cs)); });
  asm volatile("int $0x70");
  cs = seen_cs;
  check_equal("CS is the gate's, with the CPL", cs, kNewCode);
  gdt[kNewCode / 8] = kCodePlain | kDescConforming;
  asm volatile("int $0x70");
  check_equal("a conforming handler keeps the CPL", seen_cs, kNewCode);
  check("its descriptor is accessed", (gdt[kNewCode / 8] & kDescAccessed) != 0);
  set_handler(kVector, nullptr);

  idt[kVector] = make_gate(0x800000000000, kCode64, kInterruptGate, 0, 0);
  trap = software_interrupt();
  check_fault("a handler's address that is not canonical", trap, kGp, 0);
  reset_gate(kVector);
}

// Faults while faults are delivered.
void check_double_faults() {
  const auto divide = [] { return BARE_PROBE("divb %%cl", "a"(1), "c"(0)); };
  break_gate(kDe, 0x0e);
  Trap trap = divide();
  check("#NP in #DE is #DF", trap.is(kDf) && trap.error == 0 && trap.rip == trap.probe);
  reset_gate(kDe);
  break_gate(kGp, 0x0e);
  trap = BARE_PROBE("mov %[s], %%ds", [s] "r"(0xfff8));
  check("#NP in #GP is #DF", trap.is(kDf) && trap.error == 0);
  reset_gate(kGp);
  break_gate(kUd, 0x0e);
  check_fault("#NP in #UD is #NP", undefined(), kNp, kUdError);
  break_gate(kNp, 0x0e);
  check("#NP in #NP in #UD is #DF", undefined().is(kDf));
  reset_gate(kNp);
  reset_gate(kUd);
  break_gate(kBp, 0x0e);
  trap = BARE_PROBE("int3", "a"(0));
  check_fault("#NP in INT3 is #NP", trap, kNp, kBp * 8 + 2);
  reset_gate(kBp);

  constexpr uint64_t kHole = 0x330'0000'0000;
  map(boot_tables(), kHole, 0, 0);
  const auto page_fault = [] { return BARE_PROBE("movb (%[p]), %%al", [p] "r"(kHole)); };
  break_gate(kPf, 0x0e);
  trap = page_fault();
  check("#NP in #PF is #DF",
        trap.is(kDf) && trap.error == 0 && trap.cr2 == kHole && trap.rip == trap.probe);
  reset_gate(kPf);
  tss[0].ist[4] = kHole + kPage;
  set_gate(kPf, kCode64, kInterruptGate, 0, 5);
  trap = page_fault();
  check("#PF in #PF is #DF", trap.is(kDf) && trap.error == 0);
  check_equal("with the second's CR2", trap.cr2, kHole + kPage - 8);
  reset_gate(kPf);
  set_gate(kDe, kCode64, kInterruptGate, 0, 5);
  trap = divide();
  check("#PF in #DE is #PF", trap.is(kPf) && trap.error == 2 && trap.rip == trap.probe);
  set_gate(kUd, kCode64, kInterruptGate, 0, 5);
  check("#PF in #UD is #PF", undefined().is(kPf));
  tss[0].ist[4] = 0x800000001000;
  trap = undefined();
  check("#SS in #UD is #SS, with EXT", trap.is(kSs) && trap.error == 1);
  check("#SS in #DE is #DF", divide().is(kDf));
  reset_gate(kDe);
  reset_gate(kUd);
  // The user's stack is no concern; RSP0 is.
  tss[0].rsp[0] = kHole + kPage;
  check("RSP0 in a missing page from ring 3 is #DF by IST", from_user(gates_user_ud2).is(kDf));
  tss[0].rsp[0] = kernel_stack_top(0);
  check("a user's bad RSP does not keep it from faulting",
        from_user(gates_user_push, 2, 0x800000001000).is(kSs));
}

}  // namespace

void check_gates() {
  check_flags_in_handlers();
  check_frames();
  check_ist();
  check_rights();
  check_bad_gates();
  check_bad_code_segments();
  check_double_faults();
}

}  // namespace bare
