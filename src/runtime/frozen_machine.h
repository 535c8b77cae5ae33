// Machines that wait for a command, as snapshots in the cache: which one fits a plan, keeping one,
// going on from one. Two kinds are kept, a directory each: "base" (warm_start.h) and "baked"
// (bake.h).
#pragma once

#include <memory>
#include <string>

#include "husk/error.h"

#include "base/fd.h"
#include "memory/guest_memory.h"
#include "runtime/container_machine.h"
#include "runtime/machine_state.h"
#include "snapshot/store.h"

namespace husk::runtime {

// A machine to go on from.
struct WarmStart {
  MachineState state;
  std::unique_ptr<memory::GuestMemory> memory;
  std::string path;
  base::Fd held;  // its file, which is not removed meanwhile
};

enum class FrozenKind { kBase, kBaked };

class FrozenMachines {
 public:
  [[nodiscard]] static Result<FrozenMachines> open(FrozenKind kind);

  // What such a machine is kept as: the digest of everything that it depends on.
  [[nodiscard]] Result<std::string> name_for(const ContainerPlan& plan) const;
  // Nothing is pruned as long as it is there: from making one to holding it.
  [[nodiscard]] Result<base::Fd> hold_all() const;
  // kNotFound where there is none; another error: there is one that cannot be used.
  [[nodiscard]] Result<WarmStart> find(const std::string& name) const;
  // Pauses the machine and keeps it; it is of no further use. A baked one replaces another of its
  // name, a base stays. `label` is for people.
  [[nodiscard]] Result<void> keep(const std::string& name, const ContainerMachine& machine,
                                  const ContainerPlan& plan, const std::string& label) const;
  void drop(const std::string& name) const;
  // Those that were not used for longest, and are not in use, go until `most` are left.
  void trim(size_t most) const;

 private:
  FrozenMachines(FrozenKind kind, snapshot::Store store) : kind_(kind), store_(std::move(store)) {}
  FrozenKind kind_;
  snapshot::Store store_;
};

}  // namespace husk::runtime
