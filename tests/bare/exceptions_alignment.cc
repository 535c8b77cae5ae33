// Alignment checks (Intel SDM vol. 3, 6.15, #AC): of ring 3 only, with CR0.AM and EFLAGS.AC.
#include "descriptors.h"
#include "exceptions.h"
#include "page_table.h"
#include "trap.h"

#define BARE_ALIGNED(X)                        \
  X(read2, 2, "movw (%rdi), %ax")              \
  X(read4, 4, "movl (%rdi), %eax")             \
  X(read8, 8, "movq (%rdi), %rax")             \
  X(write2, 2, "movw %ax, (%rdi)")             \
  X(write4, 4, "movl %eax, (%rdi)")            \
  X(write8, 8, "movq %rax, (%rdi)")            \
  X(change4, 4, "addl %eax, (%rdi)")           \
  X(locked8, 8, "lock; addq %rax, (%rdi)")     \
  X(exchange8, 8, "xchgq %rax, (%rdi)")        \
  X(push, 8, "movq %rdi, %rsp; pushq %rax")    \
  X(pop, 8, "movq %rdi, %rsp; popq %rax")      \
  X(call, 8, "movq %rdi, %rsp; call 1f; 1:")   \
  X(movs4, 4, "movq %rdi, %rsi; movsl")        \
  X(stos8, 8, "stosq")                         \
  X(rep_stos8, 8, "movl $2, %ecx; rep; stosq") \
  X(fld8, 8, "fldl (%rdi)")                    \
  X(movsd, 8, "movsd (%rdi), %xmm0")           \
  X(double_shift, 8, "shldq $1, %rax, (%rdi)")
#define BARE_STUB(name, size, code) "aligned_" #name ": " code "\n int $0x80\n"
#define BARE_EXTERN(name, size, code) extern "C" const char aligned_##name[];
#define BARE_ROW(name, size, code) {code, size, aligned_##name},

asm(".text\n" BARE_ALIGNED(BARE_STUB) R"(
aligned_byte:
        movb (%rdi), %al
        int $0x80
)");
BARE_ALIGNED(BARE_EXTERN)
extern "C" const char aligned_byte[];

namespace bare {
namespace {

struct Row {
  const char* name;
  uint64_t size;
  const char* code;
};
constexpr Row kRows[] = {BARE_ALIGNED(BARE_ROW)};

alignas(64) uint8_t data[128];

Trap run(const char* code, uint64_t address, uint64_t flags) {
  Entry entry;
  entry.cs = kUserCode64;
  entry.ss = kUserData;
  entry.rip = user_address(code);
  entry.flags = flags;
  entry.rdi = address;
  return enter(entry);
}

}  // namespace

void check_alignment() {
  write_cr0(read_cr0() | kCr0Am);
  const uint64_t base = user_address(data + 64);
  asm volatile("fninit");
  for (const Row& row : kRows) {
    bool good = true;
    for (uint64_t offset = 0; offset < row.size; ++offset) {
      const Trap trap = run(row.code, base + offset, 2 | kFlagAc);
      const bool expected = offset != 0;
      good = good && (expected ? trap.is(kAc) && trap.error == 0 : trap.vector == 0x80);
      if (!good) {
        print(describe(trap).c_str());
        print("\n");
        break;
      }
    }
    check(Text("#AC: ") << row.name, good);
  }
  check("#AC: not for bytes", run(aligned_byte, base + 1, 2 | kFlagAc).vector == 0x80);
  check("#AC: not without AC", run(aligned_read8, base + 1, 2).vector == 0x80);
  const Trap trap =
      BARE_PROBE("pushfq; orl $0x40000, (%%rsp); popfq; movq 1(%[p]), %%rax", [p] "r"(data));
  check("#AC: not in ring 0", trap.vector == kNoTrap);
  write_cr0(read_cr0() & ~kCr0Am);
  check("#AC: not without CR0.AM", run(aligned_read8, base + 1, 2 | kFlagAc).vector == 0x80);
  write_cr0(read_cr0() | kCr0Am);
  check("#AC at the instruction",
        run(aligned_read4, base + 1, 2 | kFlagAc).rip == user_address(aligned_read4));
  write_cr0(read_cr0() & ~kCr0Am);
}

}  // namespace bare
