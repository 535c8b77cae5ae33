// What must be visible after INVLPG, a write of CR3, a change of rights, and with PCIDs. That a
// translation may stay is never relied on: no CPU promises it.
#include "descriptors.h"
#include "page_table.h"
#include "paging.h"
#include "trap.h"

namespace bare {
namespace {

constexpr uint64_t kLinear = 0x300'0000'0000;
constexpr uint64_t kAll = kPresent | kWritable | kUser;
constexpr uint64_t kFirstLarge = 0x2000000, kSecondLarge = 0x2200000;

uint64_t* page_a;
uint64_t* page_b;

uint64_t physical(const uint64_t* page) { return reinterpret_cast<uint64_t>(page); }
volatile uint64_t& at(uint64_t linear) { return *reinterpret_cast<volatile uint64_t*>(linear); }
void touch(uint64_t linear) { [[maybe_unused]] const uint64_t value = at(linear); }
void reload_cr3() { write_cr3(read_cr3()); }

// A function in a page: MOV EAX, value; RET.
void put_function(uint64_t* page, uint32_t value) {
  auto* code = reinterpret_cast<uint8_t*>(page);
  code[0] = 0xb8;
  __builtin_memcpy(code + 1, &value, 4);
  code[5] = 0xc3;
}
uint32_t call(uint64_t linear) {
  uint32_t result;
  asm volatile("call *%1" : "=a"(result) : "r"(linear) : "memory", "cc");
  return result;
}

void check_small_pages() {
  uint64_t* entry = map(boot_tables(), kLinear, physical(page_a), kAll).entry[1];
  page_a[0] = 0xa;
  page_b[0] = 0xb;
  check_equal("4K page is read", at(kLinear), 0xa);
  *entry = physical(page_b) | kAll;
  invlpg(kLinear + 0x123);
  check_equal("INVLPG shows a new frame to reads", at(kLinear), 0xb);
  at(kLinear) = 0xbb;
  check("INVLPG shows a new frame to writes", page_a[0] == 0xa && page_b[0] == 0xbb);
  *entry = physical(page_a) | kAll;
  reload_cr3();
  at(kLinear) = 0xaa;
  check("CR3 shows a new frame to writes", page_a[0] == 0xaa && page_b[0] == 0xbb);

  put_function(page_a, 1);
  put_function(page_b, 2);
  check_equal("code runs", call(kLinear), 1);
  *entry = physical(page_b) | kAll;
  invlpg(kLinear);
  check_equal("INVLPG shows new code", call(kLinear), 2);
  *entry = physical(page_a) | kAll;
  reload_cr3();
  check_equal("CR3 shows new code", call(kLinear), 1);

  *entry = 0;
  invlpg(kLinear);
  check_fault("INVLPG makes a page go", BARE_PROBE("movb (%[p]), %%al", [p] "r"(kLinear)), kPf, 0);
  check_trap("code of a page that went", BARE_PROBE("call *%[p]", [p] "r"(kLinear)), kPf, 0x10,
             kLinear);
  *entry = physical(page_b) | kAll;
  check_equal("a page that comes needs no INVLPG", call(kLinear), 2);
}

// The table above the leaf changes.
void check_upper_levels() {
  const Path path = map(boot_tables(), kLinear, physical(page_a), kAll);
  page_a[1] = 0xa;
  page_b[1] = 0xb;
  const uint64_t linear = kLinear + 8;
  uint64_t* other_pt = new_page();
  other_pt[0] = physical(page_b) | kAll;
  for (int level = 2; level <= 4; ++level) {
    const uint64_t old = *path.entry[level];
    uint64_t* table = other_pt;
    for (int at_level = 2; at_level < level; ++at_level) {
      uint64_t* above = new_page();
      above[0] = reinterpret_cast<uint64_t>(table) | kAll;
      table = above;
    }
    const uint64_t before = at(linear);
    *path.entry[level] = reinterpret_cast<uint64_t>(table) | kAll;
    invlpg(linear);
    const uint64_t after = at(linear);
    *path.entry[level] = old;
    reload_cr3();
    check(Text("a new table at level ") << level << " is walked",
          before == 0xa && after == 0xb && at(linear) == 0xa);
  }
}

void check_large_pages() {
  constexpr uint64_t kBase = kLinear + (2ull << 30), kLast = 0x1ff000;
  at(kFirstLarge) = at(kFirstLarge + kLast) = 1;
  at(kSecondLarge) = at(kSecondLarge + kLast) = 2;
  uint64_t* entry = map(boot_tables(), kBase, kFirstLarge, kAll, 2).entry[2];
  const bool before = at(kBase) == 1 && at(kBase + kLast) == 1;
  *entry = kSecondLarge | kAll | kLarge;
  invlpg(kBase + 0x100000);
  check("INVLPG anywhere in a 2M page", before && at(kBase) == 2 && at(kBase + kLast) == 2);

  if (!has_1g_pages()) return skip("INVLPG anywhere in a 1G page", "no 1G pages");
  constexpr uint64_t kHuge = kLinear + (4ull << 30);
  uint64_t* huge = map(boot_tables(), kHuge, 0, kAll, 3).entry[3];
  uint64_t* directory = new_page();
  for (uint64_t i = 0; i < 512; ++i) directory[i] = kSecondLarge | kAll | kLarge;
  const bool huge_before = at(kHuge + kFirstLarge) == 1 && at(kHuge + kFirstLarge + kLast) == 1;
  *huge = reinterpret_cast<uint64_t>(directory) | kAll;
  invlpg(kHuge + 0x3fffffff);
  check("INVLPG anywhere in a 1G page",
        huge_before && at(kHuge + kFirstLarge) == 2 && at(kHuge + kFirstLarge + kLast) == 2);
  put_function(reinterpret_cast<uint64_t*>(kFirstLarge + 0x1000), 1);
  put_function(reinterpret_cast<uint64_t*>(kSecondLarge + 0x1000), 2);
  *huge = kAll | kLarge;
  reload_cr3();
  const uint32_t first = call(kHuge + kFirstLarge + 0x1000);
  *huge = reinterpret_cast<uint64_t>(directory) | kAll;
  invlpg(kHuge);
  check("INVLPG in a 1G page shows new code",
        first == 1 && call(kHuge + kFirstLarge + 0x1000) == 2);
  // 2M page to 4K pages and back, each with other contents.
  uint64_t* table = new_page();
  for (uint64_t i = 0; i < 512; ++i) table[i] = physical(page_b) | kAll;
  page_b[2] = 0xb2;
  at(kSecondLarge + 0x5010) = 0x22;
  const uint64_t large = at(kBase + 0x5010);
  *entry = reinterpret_cast<uint64_t>(table) | kAll;
  invlpg(kBase);
  reload_cr3();
  const uint64_t small = at(kBase + 0x5010);
  *entry = kSecondLarge | kAll | kLarge;
  reload_cr3();
  check("a 2M page is split and joined",
        large == 0x22 && small == 0xb2 && at(kBase + 0x5010) == 0x22);
}

void check_dirty_bits() {
  uint64_t* entry = map(boot_tables(), kLinear, physical(page_a), kAll).entry[1];
  touch(kLinear);
  const bool clean = (*entry & (kAccessed | kDirty)) == kAccessed;
  at(kLinear) = 1;
  check("a write through a clean translation sets D", clean && (*entry & kDirty) != 0);
  *entry &= ~kDirty;
  invlpg(kLinear);
  at(kLinear) = 2;
  check("D is set again after INVLPG", (*entry & kDirty) != 0);
  *entry &= ~(kDirty | kAccessed);
  invlpg(kLinear);
  touch(kLinear);
  check("A is set again after INVLPG, without D", (*entry & (kAccessed | kDirty)) == kAccessed);
  *entry &= ~(kDirty | kAccessed);
  invlpg(kLinear);
  asm volatile("lock; xaddq %%rax, (%0)" ::"r"(kLinear), "a"(0) : "memory");
  check("a locked read-modify-write of 0 sets D", (*entry & kDirty) != 0);
  *entry &= ~(kDirty | kAccessed);
  invlpg(kLinear);
  asm volatile("cmpxchgq %%rdx, (%0)" ::"r"(kLinear), "a"(0x123456), "d"(1) : "memory", "cc");
  check("a CMPXCHG that fails sets D", (*entry & kDirty) != 0);
  *entry &= ~(kDirty | kAccessed);
  invlpg(kLinear);
  put_function(page_a, 5);
  *entry &= ~(kDirty | kAccessed);
  invlpg(kLinear);
  call(kLinear);
  check("a fetch sets A, not D", (*entry & (kAccessed | kDirty)) == kAccessed);
  uint64_t* read_only = map(boot_tables(), kLinear, physical(page_a), kPresent | kUser).entry[1];
  const Trap trap = BARE_PROBE("movb $1, (%[p])", [p] "r"(kLinear));
  check("a write that faults sets no D", trap.is(kPf) && (*read_only & kDirty) == 0);
}

extern "C" const char tlb_user_read[];
asm(R"(
        .text
tlb_user_read:
        movb (%rdi), %al
        int $0x80
)");

Trap read_as_user(uint64_t linear) {
  Entry entry;
  entry.cs = kUserCode64;
  entry.ss = kUserData;
  entry.rip = user_address(tlb_user_read);
  entry.rdi = linear;
  return enter(entry);
}

// Rights that change under cached translations.
void check_rights() {
  uint64_t* entry = map(boot_tables(), kLinear, physical(page_a), kPresent | kWritable).entry[1];
  at(kLinear) = 1;
  Trap trap = read_as_user(kLinear);
  check("the supervisor's translation is not the user's", trap.is(kPf) && trap.error == 5);
  *entry |= kUser;
  invlpg(kLinear);
  trap = read_as_user(kLinear);
  const bool could = trap.vector == 0x80;
  *entry &= ~kUser;
  invlpg(kLinear);
  trap = read_as_user(kLinear);
  check("INVLPG takes the page from the user", could && trap.is(kPf) && trap.error == 5);

  *entry = physical(page_a) | kPresent;
  invlpg(kLinear);
  write_cr0(read_cr0() & ~kCr0Wp);
  at(kLinear) = 2;
  write_cr0(read_cr0() | kCr0Wp);
  check_fault("CR0.WP counts at once", BARE_PROBE("movb $1, (%[p])", [p] "r"(kLinear)), kPf, 3);
  touch(kLinear);
  *entry |= kWritable;
  invlpg(kLinear);
  at(kLinear) = 3;
  *entry &= ~kWritable;
  invlpg(kLinear);
  check_fault("INVLPG takes the right to write", BARE_PROBE("movb $1, (%[p])", [p] "r"(kLinear)),
              kPf, 3);

  *entry = physical(page_a) | kAll;
  invlpg(kLinear);
  put_function(page_a, 7);
  bool ran = call(kLinear) == 7;
  *entry |= kNoExecute;
  invlpg(kLinear);
  check_trap("INVLPG takes the right to execute", BARE_PROBE("call *%[p]", [p] "r"(kLinear)), kPf,
             0x11, kLinear);
  *entry = physical(page_a) | kAll;
  invlpg(kLinear);
  ran = ran && call(kLinear) == 7;
  if (has_smep()) {
    write_cr4(read_cr4() | kCr4Smep);
    check_trap("SMEP counts at once", BARE_PROBE("call *%[p]", [p] "r"(kLinear)), kPf, 0x11,
               kLinear);
    write_cr4(read_cr4() & ~kCr4Smep);
    check("clearing SMEP too", ran && call(kLinear) == 7);
  } else {
    skip("SMEP counts at once", "no SMEP");
    skip("clearing SMEP too", "no SMEP");
  }
  if (!has_smap()) {
    for (int i = 0; i < 3; ++i) skip("SMAP", "no SMAP");
    return;
  }
  write_cr4(read_cr4() | kCr4Smap);
  Trap smap = BARE_PROBE(
      "stac; movb (%[p]), %%al; movb %%al, (%[p]); clac; movq $2f, %[probe]; 2: movb (%[p]), %%al",
      [p] "r"(kLinear));
  check_fault("CLAC counts at once for reads", smap, kPf, 1);
  smap = BARE_PROBE(
      "stac; movb (%[p]), %%al; movb %%al, (%[p]); clac; movq $2f, %[probe]; 2: movb %%al, (%[p])",
      [p] "r"(kLinear));
  check_fault("CLAC counts at once for writes", smap, kPf, 3);
  smap = BARE_PROBE(
      "pushfq; orq $0x40000, (%%rsp); popfq; movb (%[p]), %%al; movb %%al, (%[p])", [p] "r"(
                                                                                        kLinear));
  check("POPF of AC lifts SMAP", smap.vector == kNoTrap);
  write_cr4(read_cr4() & ~kCr4Smap);
}

void check_global_pages() {
  write_cr4(read_cr4() | kCr4Pge);
  uint64_t* entry = map(boot_tables(), kLinear, physical(page_a), kAll | kGlobal).entry[1];
  page_a[3] = 0xa;
  page_b[3] = 0xb;
  bool good = at(kLinear + 24) == 0xa;
  *entry = physical(page_b) | kAll | kGlobal;
  invlpg(kLinear);
  check("INVLPG reaches global pages", good && at(kLinear + 24) == 0xb);
  *entry = physical(page_a) | kAll | kGlobal;
  write_cr4(read_cr4() & ~kCr4Pge);
  good = at(kLinear + 24) == 0xa;
  write_cr4(read_cr4() | kCr4Pge);
  *entry = physical(page_b) | kAll | kGlobal;
  write_cr4(read_cr4() & ~kCr4Pge);
  write_cr4(read_cr4() | kCr4Pge);
  check("a change of CR4.PGE flushes global pages", good && at(kLinear + 24) == 0xb);
  *entry = physical(page_a) | kAll;
  write_cr4(read_cr4() & ~kCr4Pge);
}

// Two address spaces that differ in one page. The kernel's own part is the same.
struct Space {
  uint64_t* root;
  uint64_t* entry;
};
Space make_space(uint64_t* page) {
  Space space;
  space.root = new_page();
  for (int i = 0; i < 512; ++i) space.root[i] = boot_tables()[i];
  space.root[kLinear >> 39 & 511] = 0;
  space.entry = map(space.root, kLinear, physical(page), kAll).entry[1];
  return space;
}

constexpr uint64_t kKeep = 1ull << 63;

void check_spaces() {
  const uint64_t home = read_cr3();
  const Space a = make_space(page_a), b = make_space(page_b);
  page_a[4] = 0xa;
  page_b[4] = 0xb;
  put_function(page_a, 10);
  put_function(page_b, 11);
  bool good = true;
  for (int i = 0; i < 6; ++i) {
    write_cr3(reinterpret_cast<uint64_t>(i % 2 == 0 ? a.root : b.root));
    good = good && at(kLinear + 32) == (i % 2 == 0 ? 0xau : 0xbu) &&
           call(kLinear) == (i % 2 == 0 ? 10u : 11u);
  }
  write_cr3(home);
  check("address spaces stay apart by CR3", good);

  if (!has_pcid()) {
    for (int i = 0; i < 8; ++i) skip("PCID", "no PCID");
    return;
  }
  write_cr3(home | 1);
  check_fault("PCIDE is refused while CR3 has low bits",
              BARE_PROBE("mov %[v], %%cr4", [v] "r"(read_cr4() | kCr4Pcide)), kGp, 0);
  write_cr3(home);
  write_cr4(read_cr4() | kCr4Pcide);
  good = true;
  const uint64_t cr3_a = reinterpret_cast<uint64_t>(a.root) | 1,
                 cr3_b = reinterpret_cast<uint64_t>(b.root) | 2;
  write_cr3(cr3_a);
  write_cr3(cr3_b);
  for (int i = 0; i < 6; ++i) {
    write_cr3((i % 2 == 0 ? cr3_a : cr3_b) | kKeep);
    good = good && at(kLinear + 32) == (i % 2 == 0 ? 0xau : 0xbu) &&
           call(kLinear) == (i % 2 == 0 ? 10u : 11u);
  }
  check("PCIDs stay apart without flushes", good);
  check_equal("CR3 reads back without bit 63", read_cr3(), cr3_b);

  write_cr3(cr3_a | kKeep);
  *a.entry = physical(page_b) | kAll;
  write_cr3(cr3_a);
  check("CR3 without bit 63 flushes its PCID", at(kLinear + 32) == 0xb && call(kLinear) == 11);
  *a.entry = physical(page_a) | kAll;
  write_cr3(cr3_b | kKeep);
  write_cr3(cr3_a);
  check("and so it does from another one", at(kLinear + 32) == 0xa && call(kLinear) == 10);
  // PCID 2 now with the other tables: stale unless its PCID is flushed.
  write_cr3(reinterpret_cast<uint64_t>(a.root) | 2);
  check("a PCID's new tables count after a flush", at(kLinear + 32) == 0xa);
  *a.entry = physical(page_b) | kAll;
  invlpg(kLinear);
  check("INVLPG reaches the present PCID", at(kLinear + 32) == 0xb);
  *a.entry = physical(page_a) | kAll;
  invlpg(kLinear);
  write_cr3(home);
  check_fault("PG cannot be cleared with PCIDE",
              BARE_PROBE("mov %[v], %%cr0", [v] "r"(read_cr0() & ~kCr0Pg)), kGp, 0);
}

struct InvpcidDescriptor {
  uint64_t pcid = 0, linear = 0;
};
Trap invpcid(uint64_t type, InvpcidDescriptor descriptor) {
  return BARE_PROBE("invpcid %[d], %[t]", [d] "m"(descriptor), [t] "r"(type));
}

// PCIDE is on, as check_spaces leaves it.
void check_invpcid() {
  if (!has_pcid() || !has_invpcid()) {
    for (int i = 0; i < 9; ++i) skip("INVPCID", "no INVPCID");
    return;
  }
  const uint64_t home = read_cr3();
  const Space space = make_space(page_a);
  const uint64_t with_pcid = reinterpret_cast<uint64_t>(space.root) | 5;
  const InvpcidDescriptor descriptors[] = {{5, kLinear}, {5, 0}, {0, 0}, {0, 0}};
  for (uint64_t type = 0; type < 4; ++type) {
    *space.entry = physical(page_a) | kAll;
    write_cr3(with_pcid);
    bool good = at(kLinear + 32) == 0xa && call(kLinear) == 10;
    write_cr3(home);
    *space.entry = physical(page_b) | kAll;
    good = good && invpcid(type, descriptors[type]).vector == kNoTrap;
    write_cr3(with_pcid | kKeep);
    good = good && at(kLinear + 32) == 0xb && call(kLinear) == 11;
    write_cr3(home);
    check(Text("INVPCID type ") << static_cast<int>(type) << " reaches another PCID", good);
  }
  check_fault("INVPCID type 4", invpcid(4, {0, 0}), kGp, 0);
  check_fault("INVPCID with a PCID of 13 bits", invpcid(1, {0x1000, 0}), kGp, 0);
  check_fault("INVPCID of a non-canonical address", invpcid(0, {0, 1ull << 50}), kGp, 0);
  write_cr4(read_cr4() & ~kCr4Pcide);
  check_fault("INVPCID of a PCID while they are off", invpcid(1, {1, 0}), kGp, 0);
  check("INVPCID of PCID 0 while they are off", invpcid(1, {0, 0}).vector == kNoTrap);
}

}  // namespace

void check_tlb() {
  page_a = new_page();
  page_b = new_page();
  check_small_pages();
  check_upper_levels();
  check_large_pages();
  check_dirty_bits();
  check_rights();
  check_global_pages();
  check_spaces();
  check_invpcid();
}

}  // namespace bare
