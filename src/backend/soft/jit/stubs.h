// The ways between C++ and translated code: written once into an empty code store.
#pragma once

#include <cstdint>

#include "backend/soft/jit/code_store.h"

namespace husk::soft::jit {

// What C++ is asked for from translated code; `regs` is HotState::regs, which holds the guest's
// registers meanwhile.
struct Callbacks {
  // The interpreter executes the site's instruction. 0: leave, 2: go on behind it.
  uint64_t (*interpret)(uint64_t* regs, const Site* site);
  // The site's access at `linear` missed the TLB. 0: leave, 1: try again, 2: as above.
  uint64_t (*miss)(uint64_t* regs, const Site* site, uint64_t linear);
  // XMM registers are wanted. 0: the site's instruction and what follows it were interpreted,
  // leave; 1: go on, they are loaded.
  uint64_t (*vectors)(uint64_t* regs, const Site* site);
};

// Addresses where they are written. The three calls take the site in RCX, the second one the
// linear address in RAX; what they change of flags and scratch registers is undefined.
struct Stubs {
  // Exit* (uint64_t* regs, const uint8_t* code): runs code until it leaves, through which exit.
  const uint8_t* enter = nullptr;
  const uint8_t* exit = nullptr;       // jumped to with the Exit in RCX
  const uint8_t* interpret = nullptr;  // returns, or leaves
  const uint8_t* miss = nullptr;       // returns to try again, or 5 bytes further, or leaves
  const uint8_t* vectors = nullptr;
};

[[nodiscard]] Stubs write_stubs(fpu::CodeArena& arena, const Callbacks& callbacks);

}  // namespace husk::soft::jit
