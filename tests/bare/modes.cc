// Modes and the registers that choose them: see the other modes_*.cc.
#include "modes.h"

#include "guest.h"
#include "report.h"

namespace bare {

void guest_main() {
  begin("modes", 168);
  check_cpuid();
  check_debug_registers();
  check_model_specific();
  check_tour();
  check_protected();
  check_control_registers();  // last: CPUs that do not refuse are elsewhere behind it
}

}  // namespace bare
