// Long-mode paging: see the other paging_*.cc.
#include "paging.h"

#include "guest.h"
#include "page_table.h"
#include "trap.h"

namespace bare {

void guest_main() {
  begin("paging", kWalkChecks + kTlbChecks + kAddressChecks);
  map_user_alias();
  check_walks();
  check_tlb();
  check_addresses();
}

}  // namespace bare
