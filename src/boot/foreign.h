// What a file is that is no kernel for this machine: only for the message.
#pragma once

#include <cstddef>
#include <span>
#include <string>

#include "husk/error.h"

namespace husk::boot {

[[nodiscard]] std::unexpected<Error> not_a_kernel(const std::string& name,
                                                  std::span<const std::byte> file);

}  // namespace husk::boot
