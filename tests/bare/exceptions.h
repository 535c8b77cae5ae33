// The parts of the exceptions guest.
#pragma once

namespace bare {

void check_vectors();     // what instructions raise, with error code and RIP
void check_privileged();  // what ring 3 may not do
void check_gates();       // the way through the IDT, and what goes wrong on it
void check_iret();
void check_steps();      // TF, INT1, INT3, RF
void check_alignment();  // #AC

}  // namespace bare
