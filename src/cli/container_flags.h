// What the machine flags mean for a container: of `run`, and of `bake`, from whose machine a run
// goes on only where they are the same.
#pragma once

#include "husk/error.h"

#include "cli/machine_flags.h"
#include "runtime/container.h"

namespace husk::cli {

// `flags` has what was not given, too, then.
[[nodiscard]] Result<void> apply(MachineFlags& flags, runtime::ContainerOptions& container);

}  // namespace husk::cli
