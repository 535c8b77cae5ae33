// The VM generation ID (Microsoft, "Virtual Machine Generation ID", 2012): 16 random bytes in the
// guest's memory that are others whenever the machine goes on as a copy of one that was. A guest
// that is told so makes what must not exist twice anew; Linux reseeds its random numbers
// (drivers/virt/vmgenid.c). How it is told of the place and of the interrupt: boot/acpi.h.
#pragma once

#include "husk/error.h"

#include "contract/address.h"
#include "contract/irq_line.h"
#include "memory/guest_memory.h"

namespace husk::platform {

class VmGenerationId {
 public:
  static constexpr size_t kSize = 16;

  // `changed` is edge-triggered. `memory` outlives it.
  VmGenerationId(memory::GuestMemory& memory, Gpa place, contract::IrqLine changed)
      : memory_(memory), place_(place), changed_(changed) {}

  // While no vCPU runs.
  [[nodiscard]] Result<void> set();    // for a guest that has not begun
  [[nodiscard]] Result<void> renew();  // for one that goes on: it is told

 private:
  memory::GuestMemory& memory_;
  Gpa place_;
  contract::IrqLine changed_;
};

}  // namespace husk::platform
