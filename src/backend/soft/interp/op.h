// A predecoded instruction and the block that holds it. Blocks are position-independent: the same
// physical code serves every linear address that it is mapped at.
#pragma once

#include <atomic>
#include <cstdint>

namespace husk::soft::fpu {
struct CompiledInsn;
}

namespace husk::soft::interp {

class Cpu;
struct Op;

// Executes one op and returns the next one, or null to go back to the run loop. In optimised builds
// a handler calls its successor itself as a tail call (see HUSK_NEXT), so that each handler has an
// indirect branch of its own.
using Handler = const Op* (*)(Cpu&, const Op*);

// Register operands are byte offsets into Cpu::regs, so that AH is a register like any other.
struct Op {
  Handler fn = nullptr;
  int64_t imm = 0;   // an immediate, a branch's displacement from the block's start, or a pointer
  int32_t disp = 0;  // of the memory operand
  uint16_t offset = 0;  // of the instruction from the block's start
  uint8_t length = 0;   // of the instruction
  uint8_t dst = 0, src = 0;
  uint8_t base = 0, index = 0, scale = 0, segment = 0;  // of the memory operand
  uint8_t size = 0;                                     // operand size in bytes
  uint8_t aux = 0;                                      // the handler's own
};
static_assert(sizeof(Op) == 32);

constexpr uint8_t kCountsZeros = 1;  // Op::aux of TZCNT and LZCNT, which are BSF and BSR to others

// A straight run of code within one page (or one instruction that straddles two), with ways out in
// its middle.
struct Block {
  uint64_t key = 0;
  const std::atomic<uint32_t>* generation_now = nullptr;  // of the page that holds the code
  const std::atomic<uint32_t>* generation_now2 =
      nullptr;  // of the second page of a straddling instruction
  uint32_t generation = 0;
  uint32_t generation2 = 0;
  uint32_t op_count = 0;
  // Entries until it is worth a translation; see Cpu::code_of().
  mutable int32_t heat = 0;
  // Its translation at `code_rip`, if that was made since code was forgotten for the last time.
  mutable uint32_t code_age = 0;
  mutable uint64_t code_rip = 0;
  mutable const void* code = nullptr;
  const Op* ops = nullptr;  // the last one does not fall through

  [[nodiscard]] bool current() const {
    return generation_now->load(std::memory_order_acquire) == generation &&
           (generation_now2 == nullptr ||
            generation_now2->load(std::memory_order_acquire) == generation2);
  }
};

// HUSK_NEXT ends a handler with its successor's call. It is for handlers whose locals stay in
// registers: one whose locals have addresses would not be left before the next one runs, and the
// stack would grow. Those return op + 1.
#if defined(__OPTIMIZE__) && !defined(__SANITIZE_ADDRESS__) && !defined(__SANITIZE_THREAD__) && \
    !defined(__clang__)
#define HUSK_NEXT(cpu, op) return (op)[1].fn((cpu), (op) + 1)
#else
#define HUSK_NEXT(cpu, op) return (op) + 1
#endif

}  // namespace husk::soft::interp
