// Canonical addresses, accesses and instructions that lie in two pages, and the accesses that the
// CPU makes by itself.
#include "descriptors.h"
#include "page_table.h"
#include "paging.h"
#include "trap.h"

namespace bare {
namespace {

constexpr uint64_t kAll = kPresent | kWritable | kUser;
constexpr uint64_t kBeyond = 0x800000000000;  // the first address that is not canonical
constexpr uint64_t kPair = 0x310'0000'0000;   // two pages side by side
constexpr uint64_t kSecond = kPair + kPage;

uint8_t* frame_of(const uint64_t* page) {
  return const_cast<uint8_t*>(reinterpret_cast<const uint8_t*>(page));
}

struct Pair {
  uint64_t* first_page = nullptr;
  uint64_t* second_page = nullptr;
  uint64_t* second_entry = nullptr;
  void set_second(uint64_t flags) const {
    *second_entry = reinterpret_cast<uint64_t>(second_page) | flags;
    invlpg(kSecond);
  }
};

// Frames that are not neighbours, so that running over the end of one is noticed.
Pair make_pair() {
  Pair pair;
  pair.second_page = new_page();
  (void)new_page();
  pair.first_page = new_page();
  map(boot_tables(), kPair, reinterpret_cast<uint64_t>(pair.first_page), kAll);
  pair.second_entry =
      map(boot_tables(), kSecond, reinterpret_cast<uint64_t>(pair.second_page), kAll).entry[1];
  return pair;
}

void check_data_addresses() {
  const uint64_t high = 0xffff7fffffffffff;
  check_fault("read beyond the canonical", BARE_PROBE("movb (%[p]), %%al", [p] "r"(kBeyond)), kGp,
              0);
  check_fault("write below the canonical", BARE_PROBE("movb %%al, (%[p])", [p] "r"(high)), kGp, 0);
  check_fault("read-modify-write", BARE_PROBE("lock; incb (%[p])", [p] "r"(kBeyond)), kGp, 0);
  check_fault(
      "by RBP",
      BARE_PROBE(
          "push %%rbp; mov %[p], %%rbp; movq $1f, %[probe]; 1: movb (%%rbp), %%al", [p] "r"(
                                                                                        kBeyond)),
      kSs, 0);
  check_fault(
      "by RBP with DS",
      BARE_PROBE(
          "mov %[p], %%rbp; movq $1f, %[probe]; 1: movb %%ds:(%%rbp), %%al", [p] "r"(kBeyond)),
      kSs, 0);
  check_fault(
      "by RBP with FS",
      BARE_PROBE(
          "mov %[p], %%rbp; movq $1f, %[probe]; 1: movb %%fs:(%%rbp), %%al", [p] "r"(kBeyond)),
      kGp, 0);
  check_fault("with SS as prefix", BARE_PROBE(".byte 0x36; movb (%[p]), %%al", [p] "r"(kBeyond)),
              kGp, 0);
  check_fault("LODSB", BARE_PROBE("lodsb", "S"(kBeyond)), kGp, 0);
  check_fault("STOSB", BARE_PROBE("stosb", "D"(kBeyond)), kGp, 0);
  check_fault("REP MOVSB", BARE_PROBE("rep; movsb", "D"(kBeyond), "S"(0x100000), "c"(1)), kGp, 0);
  check("REP MOVSB of nothing",
        BARE_PROBE("rep; movsb", "D"(kBeyond), "S"(kBeyond), "c"(0)).vector == kNoTrap);
  check(
      "PREFETCH, INVLPG and LEA do not care",
      BARE_PROBE("prefetcht0 (%[p]); invlpg (%[p]); lea (%[p]), %%rax", [p] "r"(kBeyond)).vector ==
          kNoTrap);
  const Pair last{nullptr, new_page(), nullptr};
  map(boot_tables(), kBeyond - kPage, reinterpret_cast<uint64_t>(last.second_page), kAll);
  check_fault("8 bytes over the end of the canonical",
              BARE_PROBE("movq (%[p]), %%rax", [p] "r"(kBeyond - 4)), kGp, 0);
  check("8 bytes up to it",
        BARE_PROBE("movq (%[p]), %%rax", [p] "r"(kBeyond - 8)).vector == kNoTrap);
  frame_of(last.second_page)[kPage - 1] = 0x90;
  check_trap("running over the end of the canonical", BARE_PROBE("jmp *%[p]", [p] "r"(kBeyond - 1)),
             kGp, 0, kBeyond);
}

// With RSP as the operand says; the frame's RSP must be the same.
#define BARE_STACK_PROBE(instruction, sp)                                             \
  BARE_PROBE("mov %%rsp, %%r11; mov %[p], %%rsp; movq $1f, %[probe]; 1: " instruction \
             "; mov %%r11, %%rsp",                                                    \
             [p] "r"(sp))

void check_stack(const char* name, const Trap& trap, uint64_t sp, Vector vector, uint64_t error) {
  check_fault(name, trap, vector, error);
  check_equal(Text(name) << ": RSP is as before", trap.rsp, sp);
}

// #SS needs a stack of its own: the present one is what is wrong.
void check_stack_addresses() {
  idt[kSs] = make_gate(stub_address(kSs), kCode64, kInterruptGate, 0, 1);
  idt[kGp] = make_gate(stub_address(kGp), kCode64, kInterruptGate, 0, 1);
  const uint64_t sp = kBeyond + 0x100;
  check_stack("PUSH", BARE_STACK_PROBE("push %%rax", sp), sp, kSs, 0);
  check_stack("POP", BARE_STACK_PROBE("pop %%rax", sp), sp, kSs, 0);
  check_stack("PUSHF", BARE_STACK_PROBE("pushfq", sp), sp, kSs, 0);
  check_stack("POPF", BARE_STACK_PROBE("popfq", sp), sp, kSs, 0);
  check_stack("CALL", BARE_STACK_PROBE("call 1b", sp), sp, kSs, 0);
  check_stack("RET", BARE_STACK_PROBE("ret", sp), sp, kSs, 0);
  check_stack("IRET", BARE_STACK_PROBE("iretq", sp), sp, kSs, 0);
  check_stack("far RET", BARE_STACK_PROBE("lretq", sp), sp, kSs, 0);
  check_stack("ENTER", BARE_STACK_PROBE("enter $8, $0", sp), sp, kSs, 0);
  check_stack("PUSH of FS", BARE_STACK_PROBE("push %%fs", sp), sp, kSs, 0);
  check_stack("read by RSP", BARE_STACK_PROBE("movb (%%rsp), %%al", sp), sp, kSs, 0);
  check_fault(
      "LEAVE",
      BARE_PROBE("push %%rbp; mov %[p], %%rbp; movq $1f, %[probe]; 1: leave", [p] "r"(kBeyond)),
      kSs, 0);
  reset_gate(kSs);

  uint64_t sp_before = 0;
  const Trap call = catch_trap([&] {
    asm volatile("movq %%rsp, %[sp]; movq $1f, %[probe]\n1: call *%[p]"
                 : [probe] "=m"(probe_at), [sp] "=m"(sp_before)
                 : [p] "r"(kBeyond)
                 : "memory");
  });
  check_fault("CALL to a non-canonical address", call, kGp, 0);
  check_equal("which pushes nothing", call.rsp, sp_before);
  check_fault("JMP to one", BARE_PROBE("jmp *%[p]", [p] "r"(kBeyond)), kGp, 0);
  const Trap ret = catch_trap([&] {
    asm volatile("pushq %[p]; movq %%rsp, %[sp]; movq $1f, %[probe]\n1: ret"
                 : [probe] "=m"(probe_at), [sp] "=m"(sp_before)
                 : [p] "r"(kBeyond)
                 : "memory");
  });
  check_fault("RET to one", ret, kGp, 0);
  check_equal("which pops nothing", ret.rsp, sp_before);
  reset_gate(kGp);
}

// Reads and writes of every size at every offset that crosses the middle of the pair.
template <class T>
void check_crossing(const Pair& pair, const char* name) {
  bool reads = true, writes = true, read_faults = true, write_faults = true, change_faults = true;
  for (uint64_t before = 1; before < sizeof(T); ++before) {
    const uint64_t linear = kSecond - before;
    for (uint64_t i = 0; i < sizeof(T); ++i) {
      uint8_t* frame = i < before ? frame_of(pair.first_page) + kPage : frame_of(pair.second_page);
      frame[static_cast<int64_t>(i - before)] = static_cast<uint8_t>(0x11 * (i + 1));
    }
    T expected = 0;
    for (uint64_t i = 0; i < sizeof(T); ++i)
      expected |= static_cast<T>(uint64_t{0x11} * (i + 1) << i * 8);
    auto* place = reinterpret_cast<volatile T*>(linear);
    reads = reads && *place == expected;
    *place = static_cast<T>(~expected);
    writes = writes && *place == static_cast<T>(~expected) &&
             frame_of(pair.second_page)[0] == static_cast<uint8_t>(~expected >> before * 8);
    *place = expected;

    pair.set_second(0);
    Trap trap = catch_trap([&] { asm volatile("mov (%1), %0" : "=r"(expected) : "r"(linear)); });
    read_faults = read_faults && trap.is(kPf) && trap.error == 0 && trap.cr2 == kSecond;
    trap = catch_trap([&] { *place = 0; });
    write_faults = write_faults && trap.is(kPf) && trap.error == 2 && trap.cr2 == kSecond &&
                   frame_of(pair.first_page)[kPage - 1] == 0x11 * before;
    pair.set_second(kPresent);
    trap = catch_trap([&] {
      asm volatile("add %0, (%1)" ::"r"(expected), "r"(linear) : "memory");
    });
    change_faults = change_faults && trap.is(kPf) && trap.error == 3 && trap.cr2 == kSecond &&
                    frame_of(pair.first_page)[kPage - 1] == 0x11 * before;
    trap = catch_trap([&] {
      asm volatile("lock; add %0, (%1)" ::"r"(expected), "r"(linear) : "memory");
    });
    change_faults = change_faults && trap.is(kPf) && trap.error == 3 && trap.cr2 == kSecond &&
                    frame_of(pair.first_page)[kPage - 1] == 0x11 * before;
    pair.set_second(kAll);
  }
  check(Text(name) << " over two pages are read", reads);
  check(Text(name) << " over two pages are written", writes);
  check(Text(name) << ": a read faults in the second page", read_faults);
  check(Text(name) << ": a write faults there and writes nothing", write_faults);
  check(Text(name) << ": a read-modify-write too", change_faults);
}

void check_string_faults(const Pair& pair) {
  pair.set_second(0);
  Trap trap = BARE_PROBE("rep; movsb", "D"(kSecond - 10), "S"(0x100000), "c"(100));
  check_fault("REP MOVSB into a missing page", trap, kPf, 2);
  check("stops where the page begins", trap.cr2 == kSecond && trap.frame.rdi == kSecond &&
                                           trap.frame.rsi == 0x10000a && trap.frame.rcx == 90);
  trap = BARE_PROBE("rep; stosq", "D"(kSecond - 20), "c"(10), "a"(0));
  check("REP STOSQ stops before the element that crosses", trap.is(kPf) && trap.cr2 == kSecond &&
                                                               trap.frame.rdi == kSecond - 4 &&
                                                               trap.frame.rcx == 8);
  trap = BARE_PROBE("rep; lodsb", "S"(kSecond - 3), "c"(10));
  check("REP LODSB",
        trap.is(kPf) && trap.error == 0 && trap.frame.rsi == kSecond && trap.frame.rcx == 7);
  trap = BARE_PROBE("std; rep; movsw", "D"(0x2010000), "S"(kSecond + 2), "c"(5));
  check("REP MOVSW downwards from a missing page", trap.is(kPf) && trap.cr2 == kSecond + 2 &&
                                                       trap.frame.rsi == kSecond + 2 &&
                                                       trap.frame.rcx == 5);
  pair.set_second(kAll);
  trap = BARE_PROBE("std; rep; movsb", "D"(kPair + 2), "S"(0x100010), "c"(5));
  check("REP MOVSB downwards into a missing page",
        trap.is(kPf) && trap.error == 2 && trap.cr2 == kPair - 1 && trap.frame.rdi == kPair - 1 &&
            trap.frame.rcx == 2);
  for (int i = 0; i < 10; ++i) frame_of(pair.first_page)[kPage - 10 + i] = 0xee;
  pair.set_second(0);
  trap = BARE_PROBE("repe; scasb", "D"(kSecond - 10), "c"(50), "a"(0xee));
  check("REPE SCASB", trap.is(kPf) && trap.frame.rdi == kSecond && trap.frame.rcx == 40);
  trap = BARE_PROBE("btsq %[n], (%[p])", [n] "r"(uint64_t{4096 * 8 + 5}), [p] "r"(kPair));
  check("BTS by a bit offset reaches the next page",
        trap.is(kPf) && trap.error == 2 && trap.cr2 == kSecond);
  trap = BARE_PROBE("mov %[p], %%rsp; movq $1f, %[probe]; 1: popq (%%rsp)", [p] "r"(kSecond - 8));
  check("POP to a missing page leaves RSP",
        trap.is(kPf) && trap.error == 2 && trap.rsp == kSecond - 8);
  pair.set_second(kAll);
}

// An instruction of ten bytes (MOV RAX, imm64) and RET, at every split.
void check_fetch_crossing(const Pair& pair) {
  constexpr uint64_t kValue = 0x8877665544332211;
  constexpr uint8_t kCode[] = {0x48, 0xb8, 0x11, 0x22, 0x33, 0x44, 0x55, 0x66, 0x77, 0x88, 0xc3};
  bool runs = true, faults = true, executable = true, patched = true, remapped = true;
  uint64_t* other = new_page();
  for (uint64_t before = 1; before < 10; ++before) {
    const uint64_t linear = kSecond - before;
    for (uint64_t i = 0; i < sizeof(kCode); ++i) {
      uint8_t* frame = i < before ? frame_of(pair.first_page) + kPage : frame_of(pair.second_page);
      frame[static_cast<int64_t>(i - before)] = kCode[i];
      if (i >= before) frame_of(other)[i - before] = kCode[i];
    }
    const auto call = [&] {
      uint64_t value = 0;
      asm volatile("call *%1" : "=a"(value) : "r"(linear) : "memory");
      return value;
    };
    runs = runs && call() == kValue;
    pair.set_second(0);
    Trap trap = catch_trap([&] { call(); });
    faults =
        faults && trap.is(kPf) && trap.error == 0x10 && trap.cr2 == kSecond && trap.rip == linear;
    pair.set_second(kAll | kNoExecute);
    trap = catch_trap([&] { call(); });
    executable = executable && trap.is(kPf) && trap.error == 0x11 && trap.cr2 == kSecond &&
                 trap.rip == linear;
    pair.set_second(kAll);
    runs = runs && call() == kValue;
    // The last byte of the constant lies in the second page.
    frame_of(pair.second_page)[9 - before] = 0x77;
    patched = patched && call() == ((kValue & ~(0xffull << 56)) | 0x77ull << 56);
    frame_of(pair.second_page)[9 - before] = 0x88;
    frame_of(other)[9 - before] = 0x66;
    *pair.second_entry = reinterpret_cast<uint64_t>(other) | kAll;
    invlpg(kSecond);
    remapped = remapped && call() == ((kValue & ~(0xffull << 56)) | 0x66ull << 56);
    pair.set_second(kAll);
    runs = runs && call() == kValue;
  }
  check("an instruction in two pages runs", runs);
  check("it faults when the second is missing", faults);
  check("it faults when the second is not executable", executable);
  check("it changes when the second is written", patched);
  check("it changes when the second is another", remapped);
}

extern "C" const char user_load_ds[], user_load_ds_at[];
asm(R"(
        .text
user_load_ds:
user_load_ds_at:
        movl %eax, %ds
        int $0x80
)");

Trap load_ds_as_user(uint16_t selector) {
  Entry entry;
  entry.cs = kUserCode64;
  entry.ss = kUserData;
  entry.rip = user_address(user_load_ds);
  entry.rax = selector;
  return enter(entry);
}

// A GDT of which entries from kSplit on lie in the pair's second page.
void check_own_accesses(const Pair& pair) {
  constexpr uint16_t kSplit = 0x148;
  constexpr uint64_t kTable = kSecond - kSplit;
  constexpr uint64_t kUserSegment =
      kFlat | kDescPresent | kDescSegment | kDescWritable | kDescBig | desc_dpl(3);
  for (uint32_t i = 0; i < kSplit / 8; ++i) pair.first_page[(kPage - kSplit) / 8 + i] = gdt[i];
  pair.second_page[0] = kUserSegment;
  // The entries that the fault itself needs stay the supervisor's.
  map(boot_tables(), kPair, reinterpret_cast<uint64_t>(pair.first_page), kPresent | kWritable);
  const TablePointer pointer{0x1ff, kTable};
  asm volatile("lgdt %0" ::"m"(pointer) : "memory");
  const uint16_t selector = kSplit | 3;
  const uint64_t user_rip = user_address(user_load_ds_at);

  pair.set_second(0);
  Trap trap = load_ds_as_user(selector);
  check_trap("GDT entry in a missing page, from ring 3", trap, kPf, 0, user_rip);
  check_equal("CR2 is the entry's address", trap.cr2, kSecond);
  pair.set_second(kPresent);
  trap = load_ds_as_user(selector);
  check_trap("setting the accessed bit in a read-only page", trap, kPf, 3, user_rip);
  pair.set_second(kPresent | kWritable);
  trap = load_ds_as_user(selector);
  check("ring 3 loads from a supervisor's page",
        trap.vector == 0x80 && pair.second_page[0] == (kUserSegment | kDescAccessed));
  check("and the page is dirty", (*pair.second_entry & kDirty) != 0);
  pair.set_second(kPresent);
  trap = load_ds_as_user(selector);
  check("an accessed descriptor is not written", trap.vector == 0x80);
  check_fault("LAR of a missing page",
              (pair.set_second(0), BARE_PROBE("lar %[s], %%eax", [s] "r"(uint32_t{selector}))), kPf,
              0);
  pair.set_second(kAll);
  if (has_smap()) {
    write_cr4(read_cr4() | kCr4Smap);
    trap = BARE_PROBE("stac; movq $1f, %[probe]; 1: movl %[s], %%ds", [s] "r"(uint32_t{selector}));
    check_fault("SMAP keeps the CPU from a user's GDT, AC or not", trap, kPf, 1);
    trap = load_ds_as_user(selector);
    check_trap("in ring 3 too", trap, kPf, 1, user_rip);
    write_cr4(read_cr4() & ~kCr4Smap);
  } else {
    skip("SMAP and GDT", "no SMAP");
    skip("SMAP and GDT in ring 3", "no SMAP");
  }
  load_gdt(kGdtEntries * 8 - 1);

  // The same with an IDT, vectors from 0x80 on in the second page.
  for (uint32_t i = 0; i < 0x100; ++i)
    pair.first_page[0x100 + i] = reinterpret_cast<uint64_t*>(idt)[i];
  for (uint32_t i = 0; i < 0x100; ++i)
    pair.second_page[i] = reinterpret_cast<uint64_t*>(idt)[0x100 + i];
  load_idt(kSecond - 0x800, 0xfff);
  pair.set_second(0);
  trap = BARE_PROBE("int $0x90", "a"(0));
  check_fault("an IDT entry in a missing page", trap, kPf, 0);
  check_equal("CR2 is the gate's address", trap.cr2, kSecond + 0x100);
  pair.set_second(kPresent);
  trap = BARE_PROBE("int $0x90", "a"(0));
  check("a read-only IDT will do", trap.vector == 0x90 && trap.rip == trap.probe + 2);
  load_idt(reinterpret_cast<uint64_t>(idt), sizeof(idt[0]) * 256 - 1);
  pair.set_second(kAll);
}

}  // namespace

void check_addresses() {
  const Pair pair = make_pair();
  check_data_addresses();
  check_stack_addresses();
  check_crossing<uint16_t>(pair, "2 bytes");
  check_crossing<uint32_t>(pair, "4 bytes");
  check_crossing<uint64_t>(pair, "8 bytes");
  check_string_faults(pair);
  check_fetch_crossing(pair);
  check_own_accesses(pair);
}

}  // namespace bare
