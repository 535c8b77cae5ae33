// A run of many cases over two engines: generates, compares, shrinks and reports.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "cpu_diff/compare.h"
#include "cpu_diff/engine.h"
#include "cpu_diff/generate.h"

namespace husk::cpu_diff {

struct SessionOptions {
  GeneratorOptions generator;
  CompareOptions compare;
  uint64_t first = 0;
  uint64_t count = 200'000;
  uint64_t instructions = ~uint64_t{0};  // stop once so many were executed
  uint32_t most_failures = 20;  // stop after that many different ones
};

// The first of the failures that look alike: the same instruction, and the same thing that differs
// first.
struct Failure {
  std::string kind;
  std::string report;  // many lines
  uint64_t times = 1;
};

struct SessionResult {
  uint64_t cases = 0;
  uint64_t instructions = 0;  // that were executed; those of a loop once
  uint64_t faults = 0;        // cases that ended by another exception than the final #BP
  std::vector<Failure> failures;
};

SessionResult run_session(Engine& reference, Engine& subject, const SessionOptions& options);

}  // namespace husk::cpu_diff
