// Which hypervisors this build has. The only file that knows backends by name.
#pragma once

#include <memory>
#include <string_view>

#include "husk/machine.h"

namespace husk::runtime {

// "soft", the built-in CPU, or "auto", the best that works here. kInvalidArgument for another name.
[[nodiscard]] Result<std::unique_ptr<machine::Hypervisor>> open_hypervisor(
    std::string_view backend);

}  // namespace husk::runtime
