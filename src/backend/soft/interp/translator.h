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
  // will be none. Valid until forget(), or drop_stale() after the block's page was written.
  virtual const void* translate(Cpu& cpu, const Block& block, uint64_t rip) = 0;
  // Runs `code` and what it leads to, until the run loop has to look: cpu.rip is where to go on.
  virtual void run(Cpu& cpu, const void* code) = 0;
  // Code of pages that were written is gone from here on, in the CPU's jump entries too.
  virtual void drop_stale(Cpu& cpu) = 0;
  // No room: forget() before the next translation.
  [[nodiscard]] virtual bool full() const = 0;
  // All code is gone. The CPU has forgotten its jump entries.
  virtual void forget() = 0;
  // Memory that holds no code goes back to the host.
  virtual void release_room() = 0;
};

}  // namespace husk::soft::interp
