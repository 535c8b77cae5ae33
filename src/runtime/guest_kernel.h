// Which kernel a container's machine boots, and where its modules are.
#pragma once

#include <string>

#include "husk/error.h"

namespace husk::runtime {

struct GuestKernel {
  std::string path;
  std::string modules;  // .../lib/modules/RELEASE
};

// `wanted` is --kernel, or empty for the default: $HUSK_GUEST_DIR, the build's own .cache/guest
// beside the program, or /usr/share/husk/guest, each with vmlinuz and lib/modules. A kernel that
// the user names has its modules beside it or in /lib/modules.
[[nodiscard]] Result<GuestKernel> find_guest_kernel(const std::string& wanted);

}  // namespace husk::runtime
