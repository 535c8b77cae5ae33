// Rings and the ways between them in long mode: see the other rings_*.cc.
#include "rings.h"

#include "guest.h"
#include "page_table.h"
#include "report.h"

namespace bare {

void guest_main() {
  begin("rings", 126);
  map_user_alias();
  check_system_calls();
  check_far_transfers();
  check_compatibility();
  check_io_rights();
  check_descriptors();
}

}  // namespace bare
