// Exceptions and interrupts of 64-bit guests: what they bring, how a test catches them, how ring 3
// is entered.
#pragma once

#include <stdint.h>

#include "cpu.h"
#include "report.h"

namespace bare {

// What a stub leaves on the stack.
struct Frame {
  uint64_t r15, r14, r13, r12, r11, r10, r9, r8, rdi, rsi, rbp, rbx, rdx, rcx, rax;
  uint64_t vector, error;
  uint64_t rip, cs, flags, rsp, ss;
};

constexpr uint32_t kNoTrap = 256;

struct Trap {
  uint32_t vector = kNoTrap;
  uint64_t error = 0, rip = 0, cs = 0, flags = 0, rsp = 0, ss = 0, cr2 = 0;
  uint64_t probe = 0;  // where the instruction of the last BARE_PROBE is
  uint64_t stack = 0;  // where the handler's frame ended: RSP once SS was pushed is 40 below it
  Frame frame{};       // the general registers
  [[nodiscard]] bool is(Vector wanted) const { return vector == wanted; }
};

// Runs on the CPU that got the interrupt, with interrupts off; returns to where that was, as
// `frame` says then.
using Handler = void (*)(Frame& frame);
void set_handler(uint8_t vector, Handler handler);  // null: none

// Runs `body` until it returns or a trap without a handler occurs, which this returns. Registers
// that calls preserve, RSP, RFLAGS and the data segments are as before; everything else is the
// caller's.
Trap catch_trap_raw(void (*body)(void*), void* argument);
template <class Body>
Trap catch_trap(Body body) {
  return catch_trap_raw([](void* b) { (*static_cast<Body*>(b))(); }, &body);
}

// Where and how ring 3 (or any other place that IRET leads to) starts.
struct Entry {
  uint64_t rip = 0, cs = 0, flags = 2, rsp = 0, ss = 0;
  uint64_t rax = 0, rbx = 0, rcx = 0, rdx = 0, rsi = 0, rdi = 0, r11 = 0;
};
extern "C" [[noreturn]] void bare_enter(const Entry* entry);
// Enters and returns the trap that brings control back.
Trap enter(const Entry& entry);

extern uint64_t probe_at;  // see Trap::probe
// One instruction, guarded; its inputs follow. It may change every register but RSP. Gives a Trap.
#define BARE_PROBE(instruction, ...)                   \
  ::bare::catch_trap([&] {                             \
    asm volatile("movq $1f, %[probe]\n1: " instruction \
                 : [probe] "=m"(::bare::probe_at)      \
                 : __VA_ARGS__                         \
                 : "r11", "memory", "cc");             \
  })

// "vector 14, error 0x2, rip 0x..." for failures.
Text describe(const Trap& trap);
// A trap with exactly this vector, error code and RIP.
void check_trap(const Text& name, const Trap& trap, uint32_t vector, uint64_t error, uint64_t rip);
// The same, at the probed instruction.
void check_fault(const Text& name, const Trap& trap, uint32_t vector, uint64_t error);

}  // namespace bare
