// The process that runs a machine, told apart from all others that ever had its pid: by its start
// time, and the boot that it is counted from.
#pragma once

#include <optional>
#include <string>

#include "husk/error.h"
#include "husk/lifecycle.h"

#include "base/fd.h"

namespace husk::registry {

struct Owner {
  lifecycle::VmmProcess process{0, std::nullopt};
  std::string boot_id;  // /proc/sys/kernel/random/boot_id

  bool operator==(const Owner&) const = default;
};

[[nodiscard]] Result<Owner> this_process();
[[nodiscard]] bool is_alive(const Owner& owner);

// A pidfd (pidfd_open(2)) of that very process, which is readable once it has ended; invalid: it is
// no more.
[[nodiscard]] base::Fd open_process(const Owner& owner);
// Sends it `signal`; false: it is no more, or may not be sent one.
bool send_signal(const base::Fd& process, int signal);
// False: it has not ended within `limit_ns`; nothing: however long it takes.
bool wait_for_end(const base::Fd& process, std::optional<uint64_t> limit_ns = std::nullopt);

}  // namespace husk::registry
