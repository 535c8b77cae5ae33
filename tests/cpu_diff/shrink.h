// Makes a failing case smaller while it fails: fewer instructions, plainer registers.
#pragma once

#include <functional>

#include "cpu_diff/engine.h"

namespace husk::cpu_diff {

// `fails` runs the engines on a case. `test` must fail.
CpuCase shrink(const CpuCase& test, const std::function<bool(const CpuCase&)>& fails);

}  // namespace husk::cpu_diff
