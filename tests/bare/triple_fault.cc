// Ends by a triple fault: an IDT without room for any gate, and an exception.
#include "descriptors.h"
#include "guest.h"
#include "report.h"

namespace bare {

void guest_main() {
  begin("triple_fault", 1);
  check("about to fault thrice", true);
  end_checks();
  load_idt(0, 0);
  asm volatile("ud2");
}

}  // namespace bare
