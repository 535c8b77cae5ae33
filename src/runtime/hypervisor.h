// Opens the hypervisors that this build has, by their names.
#pragma once

#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "husk/machine.h"

namespace husk::runtime {

// A backend of this build, or "auto", the best that works here. kInvalidArgument for another name,
// kUnsupported when none works.
[[nodiscard]] Result<std::unique_ptr<machine::Hypervisor>> open_hypervisor(
    std::string_view backend);

// The backend that a name stands for: "auto" for the best that works here. Errors as above.
[[nodiscard]] Result<std::string> resolve_backend(std::string_view backend);

// The processor that a backend's guests are shown when nobody says. Errors as above.
[[nodiscard]] Result<CpuModel> usual_cpu_model(std::string_view backend);

// What open_hypervisor() knows: "auto", then the backends, the best first.
[[nodiscard]] std::vector<std::string> backend_names();

// Backend::learn_code() of all of them.
void learn_code(bool on);

}  // namespace husk::runtime
