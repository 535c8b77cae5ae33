// Runs a thunk that may raise #XM on the host, and tells whether it did. This is the only place
// that knows how: the host's SIGFPE becomes a return value.
#pragma once

#include "backend/soft/fpu/fpu.h"

namespace husk::soft::fpu {

// The host's MXCSR holds the guest's masks when this is called. False: the instruction raised #XM;
// nothing but the flags in MXCSR has changed.
//
// The first call installs a handler of SIGFPE for the process. Signals that are not for a thunk go
// on to the handler that was there before.
[[nodiscard]] bool run_trapping(Thunk thunk, void* image, uint64_t* gpr, void* memory,
                                uint64_t* flags);

}  // namespace husk::soft::fpu
