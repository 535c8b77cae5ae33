// The ways between C++ and translated code: written once into an empty code store.
#pragma once

#include <cstdint>

#include "backend/soft/jit/code_store.h"

namespace husk::soft::jit {

// What C++ is asked for from translated code; `regs` is HotState::regs, which holds the guest's
// registers meanwhile. Answers: the code to go on with, which finds the flags also in EFLAGS, or
// null to leave.
struct Callbacks {
  // The interpreter executes the site's instruction.
  const void* (*interpret)(uint64_t* regs, const Site* site);
  // The site's access at `linear` missed the TLB.
  const void* (*miss)(uint64_t* regs, const Site* site, uint64_t linear);
  // The site's span, which begins at `linear`, did. The next code does its accesses one by one.
  const void* (*span_miss)(uint64_t* regs, const Site* site, uint64_t linear);
  // XMM, or x87, registers are wanted: they are loaded, or the site's instruction and what follows
  // it were interpreted.
  const void* (*vectors)(uint64_t* regs, const Site* site);
  const void* (*x87)(uint64_t* regs, const Site* site);
};

// Addresses where they are written. All but the first are called.
struct Stubs {
  // Exit* (uint64_t* regs, const uint8_t* code): runs code until it leaves, through which exit.
  const uint8_t* enter = nullptr;
  // An Exit follows the call. The one saves the guest's flags before.
  const uint8_t* exit = nullptr;
  const uint8_t* exit_saving = nullptr;
  // A Site follows the call, which ends as the callback says; the misses take the linear address in
  // RAX. What they change of flags and scratch registers is undefined.
  const uint8_t* interpret = nullptr;
  const uint8_t* miss = nullptr;
  const uint8_t* span_miss = nullptr;
  const uint8_t* vectors = nullptr;
  const uint8_t* x87 = nullptr;
  // The code for the RIP in RAX, to RCX; 0: there is none, or attention is asked for. Kernel code
  // looks for kernel code, whose jump entries have a key of their own. Destroys EFLAGS and RAX.
  const uint8_t* look_up = nullptr;
  const uint8_t* look_up_global = nullptr;
};

// Into an empty store.
[[nodiscard]] Stubs write_stubs(CodeStore& store, const Callbacks& callbacks);

}  // namespace husk::soft::jit
