// Whether the host's KVM is one to run guests on.
#pragma once

#include <string>

#include "husk/error.h"

namespace husk::kvm {

// Opens the device, checks what is needed, and runs some hundred thousand instructions of a guest
// by the clock: what is slower than a processor by far is emulated somewhere below.
// A line that says what was found; an error: why it is not to be used.
[[nodiscard]] Result<std::string> probe();

}  // namespace husk::kvm
