// What a CPU asks of its translator: host code for blocks that are entered often. Nothing here
// knows how it is made; a CPU without a translator interprets everything.
#pragma once

#include <cstdint>

#include "backend/soft/interp/op.h"

namespace husk::soft::interp {

class Cpu;

// On its vCPU's thread, between two blocks.
class Translator {
 public:
  virtual ~Translator() = default;
  // Code that executes `block`, which is current and entered at `rip`. Null: there is none, and
  // will be none. Valid until forget(), drop_stale() after the block's page was written, or a later
  // call; the CPU's jump entries and blocks forget what is there no more.
  virtual const void* translate(Cpu& cpu, const Block& block, uint64_t rip) = 0;
  // Runs `code`, that of RIP's jump entry, and what it leads to, until the run loop has to look:
  // cpu.rip is where to go on.
  virtual void run(Cpu& cpu, const void* code) = 0;
  // Code of pages that were written is gone from here on, in the CPU's jump entries too.
  virtual void drop_stale(Cpu& cpu) = 0;
  // All code is gone. The CPU has forgotten its jump entries.
  virtual void forget() = 0;
  // Memory that holds no code goes back to the host.
  virtual void release_room() = 0;
};

}  // namespace husk::soft::interp
