// The flags that say which machine a container gets: of `run` and of `bake`, whose machine a run
// goes on from only where they are the same.
#pragma once

#include <CLI/CLI.hpp>
#include <string>

#include "husk/cpu_model.h"
#include "husk/error.h"

#include "runtime/container.h"

namespace husk::cli {

struct ContainerFlags {
  std::string memory = "512M";
  std::string cpu_model{name(CpuModel::kHost)};
  std::string cpu_mode;
};

// Both objects outlive the parsing.
void add_container_flags(CLI::App& verb, ContainerFlags& flags,
                         runtime::ContainerOptions& container);
// What they mean together. Before any thread is started.
[[nodiscard]] Result<void> resolve(const ContainerFlags& flags,
                                   runtime::ContainerOptions& container);

}  // namespace husk::cli
