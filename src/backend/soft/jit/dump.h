// What was translated to what, for people who look at code: with HUSK_JIT_DUMP=FILE in the
// environment each translation is a line of FILE: the guest's RIP, where its code is executed, the
// guest's bytes, the code. tools/jit_dump.py reads it. Nothing of this costs anything otherwise.
#pragma once

#include <cstdint>
#include <span>

#include "base/fd.h"

namespace husk::soft::jit {

class Dump {
 public:
  Dump();  // a file that cannot be opened is none
  void add(uint64_t rip, const void* executed_at, std::span<const uint8_t> guest,
           std::span<const uint8_t> code) const;

 private:
  base::Fd file_;
};

}  // namespace husk::soft::jit
