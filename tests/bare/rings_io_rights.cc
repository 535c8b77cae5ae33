// Who may use ports and the interrupt flag: IOPL and the TSS's bitmap (Intel SDM vol. 1, 19.5).
#include "descriptors.h"
#include "page_table.h"
#include "rings.h"
#include "trap.h"

extern "C" const char io_cli[], io_popf[], io_in8[], io_in16[], io_in32[], io_insb[];
asm(R"(
        .text
io_cli: cli
        pushfq
        popq %rax
        int $0x80
io_popf:
        pushq %rcx
        popfq
        pushfq
        popq %rax
        int $0x80
io_in8: inb %dx, %al
        int $0x80
io_in16:
        inw %dx, %ax
        int $0x80
io_in32:
        inl %dx, %eax
        int $0x80
io_insb:
        insb
        int $0x80
)");

namespace bare {
namespace {

alignas(16) uint8_t user_stack[4096];
constexpr uint16_t kPort = 0xe0;

Trap run(const char* code, uint64_t flags, uint16_t port = kPort) {
  Entry entry;
  entry.cs = kUserCode64;
  entry.ss = kUserData;
  entry.rip = user_address(code);
  entry.rsp = user_address(user_stack + 4000);
  entry.flags = 2 | flags;
  entry.rcx = kFlagIf | kFlagIopl | kFlagCf | 2;
  entry.rdx = port;
  entry.rdi = user_address(user_stack);
  return enter(entry);
}

bool allowed(const char* code, uint16_t port) { return run(code, 0, port).vector == 0x80; }
bool refused(const char* code, uint16_t port) {
  const Trap trap = run(code, 0, port);
  return trap.is(kGp) && trap.error == 0 && trap.rip == user_address(code);
}

void check_flags() {
  check("CLI at IOPL 0", refused(io_cli, 0));
  check("CLI at IOPL 2", run(io_cli, 0x2000).is(kGp));
  const Trap trap = run(io_cli, kFlagIopl | kFlagIf);
  check("CLI at IOPL 3", trap.vector == 0x80 && (trap.frame.rax & kFlagIf) == 0);
  check_equal("POPF at IOPL 0 leaves IF and IOPL, silently",
              run(io_popf, 0).frame.rax & (kFlagIf | kFlagIopl | kFlagCf), kFlagCf);
  check_equal("POPF at IOPL 3 sets IF", run(io_popf, kFlagIopl).frame.rax & (kFlagIf | kFlagIopl),
              kFlagIf | kFlagIopl);
  check_equal("POPF at IOPL 1 does not raise it",
              run(io_popf, 0x1000).frame.rax & (kFlagIf | kFlagIopl), 0x1000);
  const uint64_t flags = read_flags();
  write_flags(flags | kFlagIopl);
  check_equal("POPF in ring 0 sets IOPL", read_flags() & kFlagIopl, kFlagIopl);
  write_flags(flags);
}

void check_bitmap() {
  check("IN at IOPL 3", run(io_in8, kFlagIopl).vector == 0x80);
  check("no bitmap, no port", refused(io_in8, kPort));
  constexpr uint32_t kBytes = 0x20;  // ports 0 to 0xff
  for (uint32_t i = 0; i <= kBytes; ++i) tss[0].io_bits[i] = 0xff;
  tss[0].io_bits[kPort / 8] = 0xf8;  // ports 0xe0 to 0xe2 are free
  load_task(0, kTssLimit + kBytes + 1);
  check("a port whose bit is clear", allowed(io_in8, kPort) && allowed(io_in8, kPort + 2));
  check("one whose bit is set", refused(io_in8, kPort + 3));
  check("INS asks too", refused(io_insb, kPort + 3) && allowed(io_insb, kPort));
  check("a word needs two bits", allowed(io_in16, kPort + 1) && refused(io_in16, kPort + 2));
  check("a double word four", refused(io_in32, kPort));
  tss[0].io_bits[kPort / 8] = 0;
  check("and gets them", allowed(io_in32, kPort) && allowed(io_in32, kPort + 4));
  check("but not across into what is set", refused(io_in32, kPort + 5));
  tss[0].io_bits[kBytes - 1] = 0;
  check("the last port of the map", allowed(io_in8, 0xff));
  load_task(0, kTssLimit + kBytes);
  check("needs one more byte within the limit", refused(io_in8, 0xff));
  check("ports behind the map", refused(io_in8, 0x3f8));
  tss[0].io_map = 0xffff;
  check("a map that begins behind the limit", refused(io_in8, kPort));
  tss[0].io_map = 0x68;
  load_task(0, kTssLimit);
}

}  // namespace

void check_io_rights() {
  check_flags();
  check_bitmap();
}

}  // namespace bare
