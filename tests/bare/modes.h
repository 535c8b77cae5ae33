// The parts of the `modes` guest.
#pragma once

namespace bare {

void check_tour();
void check_protected();
void check_control_registers();
void check_debug_registers();
void check_model_specific();
void check_cpuid();

}  // namespace bare
