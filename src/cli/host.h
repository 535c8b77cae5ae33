// A machine in this process, or in one of its own that stays: what `husk run` and `husk restore`
// have in common.
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <variant>
#include <vector>

#include "husk/error.h"

#include "cli/detach.h"
#include "cli/hosted_machine.h"
#include "registry/record.h"
#include "runtime/container.h"

namespace husk::cli {

struct Hosting {
  registry::Record record;  // what the registry is told before there is a machine
  std::string waiting_for;  // what the user is told meanwhile
  // Makes the container, by the name and with the places that `hosted` has for it.
  std::function<Result<std::unique_ptr<runtime::Container>>(const HostedMachine& hosted,
                                                            runtime::ContainerOutput output)>
      start;
  std::vector<int> descriptors{};  // that a process of its own has from this one
};

// In a process of its own that the caller attends to. While there is one thread.
[[nodiscard]] std::variant<Detached, int> host_detached(const Hosting& hosting);

// From nothing to the machine's end, or until it runs if it is detached; returns the process's exit
// code. Before any thread is started.
[[nodiscard]] int host(const Hosting& hosting);

}  // namespace husk::cli
