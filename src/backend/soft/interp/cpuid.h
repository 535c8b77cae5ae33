// What the built-in CPU says it is. A feature bit here is a duty of the interpreter; what the
// host's own units carry out (SSE3 and later) is offered as far as the host has it.
#pragma once

#include <cstdint>

#include "contract/x86/cpuid.h"

namespace husk::soft::interp {

// All that it can show, without a topology.
[[nodiscard]] contract::x86::CpuidTable offered_cpuid();
// A model's table for one of `cpus` vCPUs: each of them a core with one thread, of one package.
[[nodiscard]] contract::x86::CpuidTable with_topology(contract::x86::CpuidTable model,
                                                      uint32_t apic_id, uint32_t cpus);

}  // namespace husk::soft::interp
