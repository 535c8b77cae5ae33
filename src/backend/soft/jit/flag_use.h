// Which status flags an instruction reads and writes (Intel SDM vol. 1, appendix A), for
// liveness.
#pragma once

#include <cstdint>

#include "backend/soft/decode/insn.h"

namespace husk::soft::jit {

// A bit each: CF PF AF ZF SF OF.
using FlagSet = uint8_t;
constexpr FlagSet kFlagCf = 1, kFlagPf = 2, kFlagAf = 4, kFlagZf = 8, kFlagSf = 16, kFlagOf = 32;
constexpr FlagSet kAllFlags = 63;

struct FlagUse {
  FlagSet reads = 0;
  FlagSet kills = 0;     // are written whatever they were
  bool touches = false;  // others may be written as well
  bool shows = false;    // all of them have to be known, for it may fault
};

// Of instructions that are translated; what is not known is taken to read everything.
[[nodiscard]] FlagUse flag_use(const decode::Insn& insn);

}  // namespace husk::soft::jit
