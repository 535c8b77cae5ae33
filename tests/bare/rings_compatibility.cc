// 32- and 16-bit code in long mode: operand and address sizes, and segments that count again
// (Intel SDM vol. 3, 5.3 and vol. 1, 3.2.1).
#include "descriptors.h"
#include "page_table.h"
#include "rings.h"
#include "trap.h"

extern "C" const char compat_inc[], compat_push[], compat_load[], compat_store[], compat_stack[],
    compat_pusha[], compat_into[], compat_les[], compat_ds[], compat_16[];
asm(R"(
        .text
        .code32
compat_inc:
        .byte 0x40
        int $0x80
compat_push:
        push %eax
        int $0x80
compat_load:
        movl 8(%esi), %eax
        int $0x80
compat_store:
        movl %eax, (%esi)
        int $0x80
compat_stack:
        movl (%ebp), %eax
        int $0x80
compat_pusha:
        pusha
        int $0x80
compat_into:
        movl $0x7fffffff, %eax
        incl %eax
        into
        int $0x80
compat_les:
        les (%esi), %eax
        movl %es, %ecx
        int $0x80
compat_ds:
        movl %ds, %eax
        int $0x80
        .code16
compat_16:
        movl $0x11112222, %eax
        incw %ax
        pushw %ax
        int $0x80
        .code64
)");

namespace bare {
namespace {

constexpr uint16_t kNew = kFreeSelector | 3;
constexpr uint64_t kData32 = kDescPresent | kDescSegment | kDescAccessed | kDescBig | desc_dpl(3);
alignas(4096) uint32_t words[1024];
alignas(16) uint8_t user_stack[4096];

uint64_t descriptor(uint64_t base, uint64_t limit, uint64_t type) {
  return (limit & 0xffff) | (base & 0xffffff) << 16 | (limit >> 16 & 15) << 48 |
         (base >> 24 & 0xff) << 56 | type;
}

Entry entry_at(const char* code) {
  Entry entry;
  entry.cs = kUserCode32;
  entry.ss = kUserData;
  entry.rip = user_address32(code);
  entry.rsp = user_address32(user_stack + 4000);
  return entry;
}

// With DS (and ES) as given; the guarded call brings them back.
Trap run(const Entry& entry, uint16_t ds = kUserData) {
  return catch_trap([&] {
    asm volatile("movl %0, %%ds" ::"r"(uint32_t{ds}));
    bare_enter(&entry);
  });
}

// Linux's exit path: IRET from a stack far above what the code it leads to can address.
void check_way_in() {
  const Entry entry = entry_at(compat_ds);
  const Trap trap = catch_trap([&] {
    asm volatile("addq %0, %%rsp; movq %1, %%rdi; jmp bare_enter" ::"r"(kUserAlias), "r"(&entry)
                 : "rdi", "memory");
  });
  check_equal("IRETQ loads all of RSP", trap.rsp, entry.rsp);
  check_equal("and takes the RPL of null selectors away", run(entry, 3).frame.rax & 0xffff, 0);
}

void check_sizes() {
  Entry entry = entry_at(compat_inc);
  entry.rax = 41;
  check_equal("40h is INC", run(entry).frame.rax, 42);
  entry = entry_at(compat_push);
  check_equal("PUSH takes four bytes", run(entry).rsp, entry.rsp - 4);
  entry = entry_at(compat_pusha);
  check_equal("PUSHA is there", run(entry).rsp, entry.rsp - 32);
  Trap trap = run(entry_at(compat_into));
  check("and INTO", trap.is(kOf) && trap.cs == kUserCode32);
  entry = entry_at(compat_load);
  entry.rsi = 0xfffffffc;
  trap = run(entry);
  check("addresses wrap at 4 GiB", trap.is(kPf) && trap.cr2 == 4);
  gdt[kNew / 8] = descriptor(
      user_address32(compat_16), 0xffff,
      kDescPresent | kDescSegment | kDescAccessed | kDescCode | kDescWritable | desc_dpl(3));
  entry = entry_at(compat_16);
  entry.cs = kNew;
  entry.rip = 0;
  trap = run(entry);
  check("16-bit code", trap.vector == 0x80 && trap.frame.rax == 0x11112223);
  check_equal("pushes words", trap.rsp, entry.rsp - 2);
}

// A load of words[n] with the descriptor as DS.
Trap load(uint64_t segment, uint32_t offset) {
  gdt[kNew / 8] = segment;
  Entry entry = entry_at(compat_load);
  entry.rsi = offset - 8;
  return run(entry, kNew);
}

void check_segments() {
  const uint32_t base = user_address32(words);
  words[2] = 22;
  check_equal("a base is added",
              load(descriptor(base, 0xffff, kData32 | kDescWritable), 8).frame.rax, 22);
  const uint64_t small = descriptor(base, 0xf, kData32 | kDescWritable);
  check_equal("up to the limit", load(small, 12).vector, 0x80);
  Trap trap = load(small, 13);
  check("but not beyond", trap.is(kGp) && trap.error == 0);
  const uint64_t down = descriptor(base, 0xf, kData32 | kDescWritable | 1ull << 42);
  trap = load(down, 12);
  check("expand-down: not up to the limit", trap.is(kGp) && trap.error == 0);
  check_equal("but beyond", load(down, 16).vector, 0x80);
  const uint64_t execute_only = descriptor(base, 0xffff, kData32 | kDescCode);
  gdt[kNew / 8] = execute_only;
  trap = catch_trap([] { asm volatile("movl %0, %%ds" ::"r"(uint32_t{kNew})); });
  check("execute-only code is no data", trap.is(kGp) && trap.error == (kNew & ~3u));
  gdt[kNew / 8] = descriptor(base, 0xffff, kData32);
  Entry entry = entry_at(compat_store);
  entry.rsi = 0;
  trap = run(entry, kNew);
  check("read-only data is not written", trap.is(kGp) && trap.error == 0);
  entry = entry_at(compat_load);
  entry.rsi = base;
  trap = run(entry, 0);
  check("a null DS is not used", trap.is(kGp) && trap.error == 0);
  gdt[kNew / 8] = descriptor(base, 0xf, kData32 | kDescWritable);
  entry = entry_at(compat_stack);
  entry.ss = kNew;
  entry.rsp = 8;
  trap = catch_trap([&] {
    asm volatile("movq $13, %%rbp; movq %0, %%rdi; jmp bare_enter" ::"r"(&entry) : "rdi", "memory");
  });
  check("beyond SS's limit it is #SS", trap.is(kSs) && trap.error == 0);
  words[0] = 77;
  words[1] = kUserData;
  entry = entry_at(compat_les);
  entry.rsi = base;
  trap = run(entry);
  check("LES loads both", trap.frame.rax == 77 && (trap.frame.rcx & 0xffff) == kUserData);
  gdt[kNew / 8] = descriptor(base, 0xffff, (kData32 | kDescWritable) & ~kDescAccessed);
  (void)catch_trap([] { asm volatile("movl %0, %%ds; ud2" ::"r"(uint32_t{kNew})); });
  check("loading marks a segment accessed", (gdt[kNew / 8] & kDescAccessed) != 0);
}

}  // namespace

void check_compatibility() {
  check_way_in();
  check_sizes();
  check_segments();
}

}  // namespace bare
