// A case for people: its instructions, the registers it starts from, and what the engines disagree
// about.
#pragma once

#include <string>
#include <vector>

#include "cpu_diff/engine.h"

namespace husk::cpu_diff {

std::string describe(const CpuCase& test);
// Of the first instruction that shrinking has left; its bytes if it is none.
std::string first_mnemonic(const CpuCase& test);

}  // namespace husk::cpu_diff
