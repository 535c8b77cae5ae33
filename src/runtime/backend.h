// What a backend brings to the list of this build: backends/NAME.cc defines `NAME_backend`, and
// CMake makes the list of those in HUSK_BACKENDS.
#pragma once

#include <memory>
#include <span>
#include <string>
#include <string_view>

#include "husk/machine.h"

namespace husk::runtime {

struct Backend {
  std::string_view name;
  // Whether this host can run it and what it is, in one line for people; an Error says why it
  // cannot.
  Result<std::string> (*probe)();
  Result<std::unique_ptr<machine::Hypervisor>> (*open)();
  // Its device, if asking takes longer than remembering; empty: it does not. See probe_memory.h.
  std::string_view device;
  // Whether its guests can be shown such a processor on this host; an Error says what is missing.
  Result<void> (*can_show)(CpuModel);
  // What they are shown when nobody says.
  CpuModel usual = CpuModel::kHost;
  // From now on what is found out about guests' code is kept for all later machines of this
  // process, or no more is. While no machine runs. Null: there is nothing to find out.
  void (*learn_code)(bool) = nullptr;
};

// The best first. May be empty.
[[nodiscard]] std::span<const Backend* const> backends();

}  // namespace husk::runtime
