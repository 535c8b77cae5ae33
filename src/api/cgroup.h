// The limits of the control groups that this process is in: version 2, version 1, or both (hybrid).
#pragma once

#include <cstdint>
#include <optional>

#include "husk/host.h"

namespace husk::api {

// Bytes; empty without a limit. See host::host_memory_size().
[[nodiscard]] std::optional<uint64_t> cgroup_memory_limit(const host::Sources& sources);

// The least number of CPUs that the process's group and those around it pay for, rounded down, at
// least 1; empty without a quota.
[[nodiscard]] std::optional<uint32_t> cgroup_cpu_limit(const host::Sources& sources);

}  // namespace husk::api
