// Base snapshots: a machine that has booted its kernel and whose agent waits for a command, made
// once for each kind of machine and kept in the cache. `husk run` goes on from one in place of a
// boot.
#pragma once

#include <optional>
#include <string>

#include "runtime/container_machine.h"
#include "runtime/frozen_machine.h"

namespace husk::runtime {

// The base for such a machine, whatever its image; makes it where the cache has none, which takes a
// boot. The cache is the directory "base" beside the images' and keeps the kMostBases that were
// used last. Safe while others do the same.
constexpr size_t kMostBases = 8;
[[nodiscard]] Result<WarmStart> warm_start(const ContainerPlan& plan);

// The machine that was baked for the plan's image, where there is one that can be used.
[[nodiscard]] std::optional<WarmStart> baked_start(const ContainerPlan& plan);

}  // namespace husk::runtime
