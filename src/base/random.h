// Random numbers of the host's kernel.
#pragma once

#include <cstddef>
#include <span>
#include <string>

#include "husk/error.h"

namespace husk::base {

[[nodiscard]] Result<void> fill_random(std::span<std::byte> bytes);
[[nodiscard]] Result<std::string> random_bytes(size_t count);

}  // namespace husk::base
