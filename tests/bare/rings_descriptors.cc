// LAR, LSL, VERR and VERW, which look at descriptors for a program without loading them
// (Intel SDM vol. 2).
#include "descriptors.h"
#include "rings.h"
#include "trap.h"

namespace bare {
namespace {

constexpr uint16_t kNew = kFreeSelector;

struct Answer {
  bool good;
  uint64_t value;
};

Answer lar(uint32_t selector) {
  Answer answer{false, 0x5555};
  asm volatile("larl %k2, %k0" : "+r"(answer.value), "=@ccz"(answer.good) : "r"(selector));
  return answer;
}
Answer lsl(uint32_t selector) {
  Answer answer{false, 0x5555};
  asm volatile("lsll %k2, %k0" : "+r"(answer.value), "=@ccz"(answer.good) : "r"(selector));
  return answer;
}
bool verr(uint32_t selector) {
  bool good;
  asm volatile("verr %w1" : "=@ccz"(good) : "r"(selector));
  return good;
}
bool verw(uint32_t selector) {
  bool good;
  asm volatile("verw %w1" : "=@ccz"(good) : "r"(selector));
  return good;
}

}  // namespace

void check_descriptors() {
  // Four bits of the answer are undefined.
  constexpr uint64_t kDefined = 0x00f0ff00;
  check("LAR of data: rights and flags",
        lar(kData).good && (lar(kData).value & kDefined) == 0x00c09300);
  check_equal("LAR of 64-bit code", lar(kCode64).value & kDefined, 0x00a09b00);
  check("LAR of null says no and changes nothing", !lar(0).good && lar(0).value == 0x5555);
  check("nor behind the GDT", !lar(kGdtEntries * 8).good);
  check("RPL 3 does not see ring 0",
        !lar(kData | 3).good && !lsl(kData | 3).good && !verr(kData | 3));
  check_equal("LSL in bytes, by granularity", lsl(kData).value, 0xffffffff);
  check_equal("LSL of 64 KiB", lsl(kData16).value, 0xffff);
  check("LSL and LAR of the TSS", lsl(kTask).value == kTssLimit && lar(kTask).good);
  const Gate gate = make_gate(0, kCode64, kCallGate, 3, 0);
  gdt[kNew / 8] = gate.low;
  gdt[kNew / 8 + 1] = gate.high;
  check("a call gate has rights and no limit", lar(kNew).good && !lsl(kNew).good);
  gdt[kNew / 8] = make_gate(0, kCode64, kInterruptGate, 3, 0).low;
  check("an interrupt gate has neither", !lar(kNew).good && !lsl(kNew).good);
  check("VERR and VERW of data", verr(kData) && verw(kData));
  check("code is readable and not writable", verr(kCode64) && !verw(kCode64));
  gdt[kNew / 8] = kFlat | kDescPresent | kDescSegment;
  check("read-only data", verr(kNew) && !verw(kNew));
  gdt[kNew / 8] = kFlat | kDescPresent | kDescSegment | kDescCode;
  check("execute-only code", !verr(kNew) && !verw(kNew) && lar(kNew).good);
  gdt[kNew / 8] = kFlat | kDescPresent | kDescSegment | kDescCode | kDescWritable | kDescConforming;
  check("conforming code is seen by all", verr(kNew | 3) && lar(kNew | 3).good);
  gdt[kNew / 8] = kFlat | kDescSegment | kDescWritable;
  check("what is not present is looked at all the same", lar(kNew).good && verr(kNew));
  check("a system segment is not readable", !verr(kTask) && !verw(kTask));
  gdt[kNew / 8] = gdt[kNew / 8 + 1] = 0;
}

}  // namespace bare
