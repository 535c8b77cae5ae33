// Modes and the registers that choose them: see the other modes_*.cc.
#include "modes.h"

#include "guest.h"
#include "report.h"

namespace bare {

void guest_main() {
  begin("modes", 73);
  check_control_registers();
  check_debug_registers();
  check_model_specific();
  check_cpuid();
  check_tour();
}

}  // namespace bare
