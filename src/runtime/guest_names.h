// What a guest is called, where somebody wants it to be something else: hostname(7), machine-id(5).
#pragma once

#include <string>
#include <string_view>

#include "husk/error.h"

namespace husk::runtime {

constexpr std::string_view kNewMachineId = "new";

// "new": one of random bits, in the form of a version 4 UUID (RFC 4122, 4.4), as systemd makes
// them. Otherwise `wanted` itself: 32 lower-case hexadecimal digits that are not all zero, or
// empty: the guest is to keep what it has. kInvalidArgument: something else.
[[nodiscard]] Result<std::string> resolve_machine_id(std::string_view wanted);

// Empty is right: the guest is to keep the name that it has. kInvalidArgument: it is none that
// Linux and DNS would take.
[[nodiscard]] Result<void> check_hostname(std::string_view wanted);

}  // namespace husk::runtime
