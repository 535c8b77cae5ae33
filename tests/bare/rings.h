// The parts of the rings guest.
#pragma once

namespace bare {

void check_system_calls();   // SYSCALL, SYSRET, SWAPGS, FS and GS bases
void check_far_transfers();  // call gates, far calls, jumps and returns
void check_compatibility();  // 32- and 16-bit code in long mode
void check_io_rights();      // IOPL, the I/O permission bitmap, POPF
void check_descriptors();    // LAR, LSL, VERR, VERW

}  // namespace bare
