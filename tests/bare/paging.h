// The parts of the paging guest, and how many checks each makes.
#pragma once

#include <stdint.h>

namespace bare {

constexpr uint32_t kWalkChecks = 116, kTlbChecks = 54, kAddressChecks = 84;

void check_walks();      // every outcome of a walk against a model of Intel SDM vol. 3, 4.6-4.8
void check_tlb();        // what INVLPG, CR3, PGE, PCID and INVPCID must make visible
void check_addresses();  // canonical addresses, page crossings, the CPU's own accesses

}  // namespace bare
