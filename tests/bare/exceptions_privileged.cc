// What ring 3 may not do, with the exact place and error code, and that it changed nothing.
#include "descriptors.h"
#include "exceptions.h"
#include "page_table.h"
#include "trap.h"

// Instructions that are #GP(0) in ring 3. UMIP's are in a table of their own.
#define BARE_PRIVILEGED(X)           \
  X(hlt, "hlt")                      \
  X(cli, "cli")                      \
  X(sti, "sti")                      \
  X(in, "inb $0x80, %al")            \
  X(out, "outb %al, $0x80")          \
  X(ins, "insb")                     \
  X(outs, "outsb")                   \
  X(mov_from_cr0, "movq %cr0, %rax") \
  X(mov_to_cr0, "movq %rax, %cr0")   \
  X(mov_from_cr2, "movq %cr2, %rax") \
  X(mov_to_cr3, "movq %rax, %cr3")   \
  X(mov_to_cr4, "movq %rax, %cr4")   \
  X(mov_from_cr8, "movq %cr8, %rax") \
  X(mov_to_cr8, "movq %rax, %cr8")   \
  X(mov_from_dr7, "movq %dr7, %rax") \
  X(mov_to_dr0, "movq %rax, %dr0")   \
  X(lgdt, "lgdt (%rdi)")             \
  X(lidt, "lidt (%rdi)")             \
  X(lldt, "lldt %ax")                \
  X(ltr, "ltr %ax")                  \
  X(lmsw, "lmsw %ax")                \
  X(clts, "clts")                    \
  X(invlpg, "invlpg (%rdi)")         \
  X(invd, "invd")                    \
  X(wbinvd, "wbinvd")                \
  X(rdmsr, "rdmsr")                  \
  X(wrmsr, "wrmsr")                  \
  X(swapgs, "swapgs")                \
  X(sysret, "sysretq")               \
  X(rdtsc, "rdtsc")                  \
  X(rdtscp, "rdtscp")                \
  X(int_20, "int $0x20 # closed gate")
#define BARE_UMIP(X)     \
  X(sgdt, "sgdt (%rdi)") \
  X(sidt, "sidt (%rdi)") \
  X(sldt, "sldt %eax")   \
  X(str, "str %eax")     \
  X(smsw, "smsw %eax")
#define BARE_STUB(name, code) "user_" #name ": " code "\n int $0x80\n"
#define BARE_EXTERN(name, code) extern "C" const char user_##name[];
#define BARE_ROW(name, code) {code, user_##name},

asm(".text\n" BARE_PRIVILEGED(BARE_STUB) BARE_UMIP(BARE_STUB));
BARE_PRIVILEGED(BARE_EXTERN)
BARE_UMIP(BARE_EXTERN)

namespace bare {
namespace {

struct Row {
  const char* name;
  const char* code;
};

constexpr Row kPrivileged[] = {BARE_PRIVILEGED(BARE_ROW)};
constexpr Row kUmip[] = {BARE_UMIP(BARE_ROW)};

Trap run(const Row& row) {
  static uint8_t data[16];
  Entry entry;
  entry.cs = kUserCode64;
  entry.ss = kUserData;
  entry.rip = user_address(row.code);
  entry.rsp = 0x5555;
  entry.rcx = kMsrFsBase;
  entry.rdi = user_address(data);
  entry.rsi = entry.rdi;
  return enter(entry);
}

void check_row(const Row& row) {
  const Trap trap = run(row);
  const bool gate = row.code == user_int_20;
  check_trap(Text("ring 3: ") << row.name, trap, kGp, gate ? 0x20 * 8 + 2 : 0,
             user_address(row.code));
}

}  // namespace

void check_privileged() {
  const uint64_t efer = read_msr(kMsrEfer);
  write_msr(kMsrEfer, efer | kEferSce);
  write_cr4(read_cr4() | kCr4Tsd);
  for (const Row& row : kPrivileged) check_row(row);
  write_cr4(read_cr4() & ~kCr4Tsd);
  write_msr(kMsrEfer, efer);
  check("ring 3: RDTSC without CR4.TSD", run({"rdtsc", user_rdtsc}).vector == 0x80);
  bool open = true;
  for (const Row& row : kUmip) open = open && run(row).vector == 0x80;
  check("ring 3: SGDT and its kin without UMIP", open);
  if (!has_umip()) {
    for (const Row& row : kUmip) skip(row.name, "no UMIP");
    return;
  }
  write_cr4(read_cr4() | kCr4Umip);
  for (const Row& row : kUmip) check_row(row);
  write_cr4(read_cr4() & ~kCr4Umip);
}

}  // namespace bare
