// Exceptions and their delivery in 64-bit mode: see the other exceptions_*.cc.
#include "exceptions.h"

#include "guest.h"
#include "page_table.h"
#include "report.h"

namespace bare {

void guest_main() {
  begin("exceptions", 313);
  map_user_alias();
  check_vectors();
  check_privileged();
  check_gates();
  check_iret();
  check_steps();
  check_alignment();
}

}  // namespace bare
