// Whether the host's KVM is one to run guests on.
#pragma once

#include <string>

#include "husk/error.h"

namespace husk::kvm {

// Opens the device, checks what is needed, and runs a few million instructions of a guest by the
// clock, cmpxchg16b among them: a KVM without hardware behind it emulates ordinary guests one
// instruction at a time, hundreds of times slower than a processor, and knows not all of them.
// A line that says what was found; an error: why it is not to be used.
[[nodiscard]] Result<std::string> probe();

}  // namespace husk::kvm
