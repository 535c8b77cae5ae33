#include "cpu_diff/shrink.h"

#include <algorithm>
#include <cstring>

namespace husk::cpu_diff {
namespace {

constexpr uint8_t kNop = 0x90;

// NOPs keep the addresses, and so what is relative to them, as they were.
CpuCase without_instruction(CpuCase test, uint8_t index) {
  CaseInsn& insn = test.insns[index];
  std::fill_n(test.code.begin() + insn.offset, insn.length, kNop);
  insn.undefined = insn.defined = 0;
  return test;
}

template <class Change>
void attempt(CpuCase& best, const std::function<bool(const CpuCase&)>& fails, Change change) {
  CpuCase smaller = best;
  change(smaller);
  if (fails(smaller)) best = smaller;
}

}  // namespace

CpuCase shrink(const CpuCase& test, const std::function<bool(const CpuCase&)>& fails) {
  CpuCase best = test;
  for (uint8_t i = 0; i < test.insn_count; ++i) {
    attempt(best, fails, [&](CpuCase& smaller) { smaller = without_instruction(best, i); });
  }
  for (size_t reg = 0; reg < 16; ++reg) {
    attempt(best, fails, [&](CpuCase& smaller) { smaller.start.gpr[reg] = 0; });
  }
  for (size_t at = 32; at < 416; at += 16) {  // x87 and XMM registers
    attempt(best, fails, [&](CpuCase& smaller) { std::memset(&smaller.start.fx[at], 0, 16); });
  }
  attempt(best, fails, [](CpuCase& smaller) { smaller.access = {}; });
  attempt(best, fails, [](CpuCase& smaller) { smaller.start.rflags = 0x202; });
  return best;
}

}  // namespace husk::cpu_diff
