// The flags of the verbs that make machines: what the machine is to be, and what runs it.
#pragma once

#include <cstdint>
#include <string>

#include "husk/cpu_model.h"
#include "husk/error.h"

#include "cli/command_line.h"

namespace husk::cli {

struct MachineFlags {
  std::string memory = "512M";
  uint32_t cpus = 1;
  std::string cpu_model;  // empty: host
  std::string cpu_mode;   // empty: as HUSK_CPU_MODE says
  std::string backend = "auto";
  std::string irqchip = "split";
};

void add_machine_flags(Verb& verb, MachineFlags& flags);

// What they mean.
struct MachineChoice {
  uint64_t memory_bytes = 0;
  uint32_t vcpus = 1;
  CpuModel cpu_model = CpuModel::kHost;
  bool kernel_irqchip = false;
};

// kInvalidArgument for what makes no sense on this host, naming the flag and what it may be. The
// mode of the built-in CPU is told to this process by its environment: before any thread starts.
[[nodiscard]] Result<MachineChoice> resolve(const MachineFlags& flags, uint64_t least_memory);

}  // namespace husk::cli
