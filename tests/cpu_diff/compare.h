// What two outcomes of one case disagree about.
#pragma once

#include <string>
#include <vector>

#include "cpu_diff/engine.h"

namespace husk::cpu_diff {

struct CompareOptions {
  bool undefined_flags = false;  // compare them too
};

// Whether they agree, quickly.
bool agree(const CpuCase& test, const CpuOutcome& a, const CpuOutcome& b,
           const CompareOptions& options);

// Each disagreement as a line: what, its start value where it has one, a's value, b's.
std::vector<std::string> differences(const CpuCase& test, const CpuOutcome& a, const CpuOutcome& b,
                                     const CompareOptions& options);

}  // namespace husk::cpu_diff
