// Options that every verb has that starts a machine.
#pragma once

#include <CLI/CLI.hpp>

namespace husk::cli {

// --kernel-irqchip on|split; split is what there is without it.
inline void add_kernel_irqchip(CLI::App& verb, bool& on) {
  verb.add_option_function<std::string>(
          "--kernel-irqchip", [&on](const std::string& choice) { on = choice == "on"; },
          "Interrupt controllers and timer in the kernel: on, or split (KVM on x86-64)")
      ->check(CLI::IsMember({"on", "split"}))
      ->default_str("split");
}

}  // namespace husk::cli
