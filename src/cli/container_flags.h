// What the machine flags mean for a container: of `run`, and of `bake`, from whose machine a run
// goes on only where they are the same.
#pragma once

#include "husk/error.h"

#include "cli/machine_flags.h"
#include "runtime/container.h"

namespace husk::cli {

[[nodiscard]] Result<void> apply(const MachineFlags& flags, runtime::ContainerOptions& container);

}  // namespace husk::cli
