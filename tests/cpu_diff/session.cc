#include "cpu_diff/session.h"

#include <fmt/format.h>

#include <algorithm>

#include "cpu_diff/report.h"
#include "cpu_diff/shrink.h"

namespace husk::cpu_diff {
namespace {

std::string first_word(const std::string& line) { return line.substr(0, line.find(' ')); }

// Counts `failure` with its like. False: it is the first of its kind.
bool is_known(std::vector<Failure>& failures, const Failure& failure) {
  const auto alike = std::find_if(failures.begin(), failures.end(),
                                  [&](const Failure& other) { return other.kind == failure.kind; });
  if (alike == failures.end()) return false;
  ++alike->times;
  return true;
}

class Session {
 public:
  Session(Engine& reference, Engine& subject, const SessionOptions& options)
      : reference_(reference), subject_(subject), options_(options) {}

  bool fails(const CpuCase& test) {
    reference_.run(test, expected_);
    subject_.run(test, got_);
    return !agree(test, expected_, got_, options_.compare);
  }

  Failure explain(uint64_t index, const CpuCase& test) {
    const CpuCase small =
        shrink(test, [this](const CpuCase& candidate) { return fails(candidate); });
    const bool repeats = fails(small);
    const auto lines = differences(small, expected_, got_, options_.compare);
    Failure failure;
    failure.kind =
        fmt::format("{} {}", first_mnemonic(small), lines.empty() ? "" : first_word(lines.front()));
    failure.report = fmt::format("case {}:{}: {} but {}{}\n{}", options_.generator.seed, index,
                                 reference_.name(), subject_.name(),
                                 repeats ? "" : " (not every time)", describe(small));
    for (const std::string& line : lines) failure.report += "  " + line + "\n";
    reference_.clear_code();
    subject_.clear_code();
    return failure;
  }

  [[nodiscard]] uint64_t executed(const CpuCase& test) const {
    const uint64_t reached = expected_.state.rip - test.start.rip;
    return static_cast<uint64_t>(
        std::count_if(test.insns.begin(), test.insns.begin() + test.insn_count,
                      [&](const CaseInsn& insn) { return insn.offset < reached; }));
  }
  [[nodiscard]] bool ended_by_fault() const { return expected_.vector != kVectorBreakpoint; }

 private:
  Engine& reference_;
  Engine& subject_;
  const SessionOptions& options_;
  CpuOutcome expected_, got_;
};

}  // namespace

SessionResult run_session(Engine& reference, Engine& subject, const SessionOptions& options) {
  SessionResult result;
  Session session(reference, subject, options);
  CpuCase test;
  for (uint64_t i = 0; i < options.count && result.instructions < options.instructions; ++i) {
    const uint64_t index = options.first + i;
    generate(options.generator, index, test);
    ++result.cases;
    const bool failed = session.fails(test);
    if (session.ended_by_fault()) ++result.faults;
    result.instructions += session.executed(test);
    if (!failed) continue;
    Failure failure = session.explain(index, test);
    if (is_known(result.failures, failure)) continue;
    result.failures.push_back(std::move(failure));
    if (result.failures.size() >= options.most_failures) break;
  }
  return result;
}

}  // namespace husk::cpu_diff
