// What a snapshot says of its machine besides the memory.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "husk/types.h"

namespace husk::snapshot {

// Where and when the machine was captured: what a restore compares with where it is.
struct Origin {
  std::string backend;
  std::string cpu_model;
  uint64_t monotonic_ns = 0;  // the host's clocks at the capture
  uint64_t realtime_ns = 0;
  std::map<std::string, uint64_t> guest_clocks;  // references by name, such as "tsc"
  std::map<std::string, std::string> identity;   // what it ran, such as "kernel", "config"

  bool operator==(const Origin&) const = default;
};

// State of what is neither vCPU nor device: an interrupt controller, a bus.
struct NamedState {
  std::string name;  // unique
  std::vector<std::byte> bytes;

  bool operator==(const NamedState&) const = default;
};

// A writer fills in what `machine` says of the format, the memory and the parent.
struct Contents {
  VmSnapshot machine;
  Origin origin;
  std::vector<NamedState> states;

  bool operator==(const Contents&) const = default;
};

}  // namespace husk::snapshot
