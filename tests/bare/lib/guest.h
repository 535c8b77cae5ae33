// What a guest's own file provides.
#pragma once

namespace bare {

// Calls begin() first; what comes after its return is finish().
void guest_main();

}  // namespace bare
