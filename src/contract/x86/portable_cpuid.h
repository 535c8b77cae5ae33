// The CPUID table of a portable model: the same on every host of a vendor, whatever the host has.
// Used by cpu_model.cc.
#pragma once

#include <string_view>

#include "contract/x86/cpu_features.h"
#include "contract/x86/cpuid.h"

namespace husk::contract::x86 {

// `can` has the level's features; it decides on the vendor and on what is the machine's.
[[nodiscard]] CpuidTable portable_cpuid(const CpuidTable& can, Level level, std::string_view model);

}  // namespace husk::contract::x86
