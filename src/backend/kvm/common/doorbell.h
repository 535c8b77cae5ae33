// A guest's write that KVM answers by itself, with a signal to an eventfd.
#pragma once

#include <cstdint>

#include "husk/error.h"

#include "contract/address.h"

namespace husk::kvm {

// For as long as the VM lives: KVM holds the eventfd until then, whoever else closes it (api.rst,
// KVM_IOEVENTFD).
[[nodiscard]] Result<void> ring_on_write(int vm, Gpa gpa, uint32_t size, uint64_t value,
                                         int eventfd);

}  // namespace husk::kvm
