// The ways between C++ and translated code: written once into an empty code store.
#pragma once

#include <cstdint>

#include "backend/soft/jit/code_store.h"

namespace husk::soft::jit {

// What C++ is asked for from translated code; `regs` is HotState::regs, which holds the guest's
// registers meanwhile. Answers: 0 to leave, 1 to try again, 2 to go on behind the instruction, or
// the address of other code to go on with.
struct Callbacks {
  // The interpreter executes the site's instruction.
  uint64_t (*interpret)(uint64_t* regs, const Site* site);
  // The site's access at `linear` missed the TLB.
  uint64_t (*miss)(uint64_t* regs, const Site* site, uint64_t linear);
  // The site's span, which begins at `linear`, did; 2: its accesses have to be done one by one.
  uint64_t (*span_miss)(uint64_t* regs, const Site* site, uint64_t linear);
  // XMM, or x87, registers are wanted. 1: they are loaded; else the site's instruction and what
  // follows it were interpreted.
  uint64_t (*vectors)(uint64_t* regs, const Site* site);
  uint64_t (*x87)(uint64_t* regs, const Site* site);
};

// Addresses where they are written. The calls take the site in RCX, the misses the
// linear address in RAX; what they change of flags and scratch registers is undefined.
struct Stubs {
  // Exit* (uint64_t* regs, const uint8_t* code): runs code until it leaves, through which exit.
  const uint8_t* enter = nullptr;
  const uint8_t* exit = nullptr;       // jumped to with the Exit in RCX
  const uint8_t* interpret = nullptr;  // returns, or leaves
  const uint8_t* miss = nullptr;       // returns to try again, or 5 bytes further, or leaves
  const uint8_t* span_miss = nullptr;
  const uint8_t* vectors = nullptr;
  const uint8_t* x87 = nullptr;
};

[[nodiscard]] Stubs write_stubs(fpu::CodeArena& arena, const Callbacks& callbacks);

}  // namespace husk::soft::jit
