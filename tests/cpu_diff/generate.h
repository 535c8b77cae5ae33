// Cases from a seed and an index: the same ones everywhere.
#pragma once

#include <cstdint>
#include <string_view>

#include "cpu_diff/engine.h"

namespace husk::cpu_diff {

struct GeneratorOptions {
  uint64_t seed = 1;
  bool segment_bases = true;  // both engines have them
  std::string_view only;      // restrict to forms of this name
  // Instructions of a case, at most. With more than a few of them, branches lead to the next
  // instruction most of the time, so that a case is several blocks.
  uint32_t longest = kShort;
  static constexpr uint32_t kShort = 4;
};

void generate(const GeneratorOptions& options, uint64_t index, CpuCase& test);

}  // namespace husk::cpu_diff
