// The initial RAM disk that carries the guest agent and the kernel modules it needs.
#pragma once

#include <cstddef>
#include <span>
#include <string>
#include <vector>

#include "husk/error.h"

namespace husk::agent {

// The guest agent's executable, which is part of this library.
[[nodiscard]] std::span<const std::byte> agent_binary();

// Names of the modules that a guest needs, less those built into the kernel.
extern const std::vector<std::string> kWantedModules;

// A "newc" archive with /init, /etc/husk/modules and the modules with everything they depend on, in
// an order that loads. `modules` is the kernel's directory, .../lib/modules/RELEASE, with
// modules.dep and modules.builtin.
[[nodiscard]] Result<std::string> build_initramfs(const std::string& modules,
                                                  const std::vector<std::string>& wanted);

}  // namespace husk::agent
