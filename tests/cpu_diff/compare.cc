#include "cpu_diff/compare.h"

#include <fmt/format.h>

#include <algorithm>
#include <cstring>
#include <string_view>

namespace husk::cpu_diff {
namespace {

constexpr std::string_view kRegisters[16] = {"rax", "rcx", "rdx", "rbx", "rsp", "rbp",
                                             "rsi", "rdi", "r8",  "r9",  "r10", "r11",
                                             "r12", "r13", "r14", "r15"};

// A field of the FXSAVE image. The last instruction's opcode and pointers (bytes 6 to 23) are not
// compared, nor is what the format reserves.
struct FxField {
  size_t offset, size;
};
constexpr FxField kFxHead[] = {{0, 2}, {2, 2}, {4, 1}, {24, 4}};
constexpr std::string_view kFxNames[] = {"fcw", "fsw", "ftw", "mxcsr"};

bool same_field(const CpuState& a, const CpuState& b, FxField field) {
  return std::memcmp(&a.fx[field.offset], &b.fx[field.offset], field.size) == 0;
}

// The flags that were undefined where the outcome stopped: those that the instructions before it
// left so.
uint32_t undefined_flags(const CpuCase& test, const CpuOutcome& outcome) {
  uint32_t undefined = 0;
  for (uint8_t i = 0; i < test.insn_count; ++i) {
    const CaseInsn& insn = test.insns[i];
    // A jump may have led into the middle of it.
    const bool stopped = outcome.state.rip - test.start.rip - insn.offset < insn.length;
    if (stopped && outcome.vector != kVectorBreakpoint) return undefined;
    undefined = (undefined & ~insn.defined) | insn.undefined;
  }
  return undefined;
}

uint64_t flag_mask(const CpuCase& test, const CpuOutcome& outcome, const CompareOptions& options) {
  if (options.undefined_flags) return ~uint64_t{0};
  return ~uint64_t{undefined_flags(test, outcome)};
}

bool is_access_fault(const CpuOutcome& outcome) {
  return outcome.vector >= 12 && outcome.vector <= 14;
}

bool same_fault(const CpuCase& test, const CpuOutcome& a, const CpuOutcome& b) {
  if (is_access_fault(a) && is_access_fault(b) && test.fault_check == FaultCheck::kAny) return true;
  return a.vector == b.vector && a.error == b.error && a.address == b.address;
}

bool is_ignored(const CpuCase& test, uint64_t address) {
  for (uint8_t i = 0; i < test.ignored_count; ++i) {
    if (address - test.ignored[i].start < test.ignored[i].length) return true;
  }
  return false;
}

bool same_data(const CpuCase& test, const CpuOutcome& a, const CpuOutcome& b) {
  if (std::memcmp(a.data.data(), b.data.data(), kDataSize) == 0) return true;
  if (test.ignored_count == 0) return false;
  for (size_t i = 0; i < kDataSize; ++i) {
    if (a.data[i] != b.data[i] && !is_ignored(test, kData + i)) return false;
  }
  return true;
}

// Whether the top of the x87 stack counts, and with it the tags and which register is which.
bool x87_top_counts(const CpuCase& test, const CpuOutcome& outcome) {
  return !test.loose_x87_top || outcome.vector == kVectorBreakpoint;
}

bool same_head(const CpuState& a, const CpuState& b, bool with_top) {
  constexpr uint8_t kTopBits = 0x38;  // of the status word's upper byte
  if (with_top)
    return std::ranges::all_of(kFxHead, [&](FxField field) { return same_field(a, b, field); });
  return same_field(a, b, {0, 3}) && ((a.fx[3] ^ b.fx[3]) & ~kTopBits) == 0 &&
         same_field(a, b, {24, 4});
}

bool same_fx(const CpuCase& test, const CpuOutcome& x, const CpuOutcome& y) {
  const CpuState& a = x.state;
  const CpuState& b = y.state;
  const bool with_top = x87_top_counts(test, x);
  if (!same_head(a, b, with_top)) return false;
  for (size_t i = 0; i < 8 && with_top; ++i) {
    if (!same_field(a, b, {32 + i * 16, 10})) return false;
  }
  return same_field(a, b, {160, 256}) && a.upper == b.upper;
}

std::string bytes_at(const uint8_t* bytes, size_t size) {
  std::string text;
  for (size_t i = size; i-- > 0;) text += fmt::format("{:02x}", bytes[i]);
  return text;
}

class Lister {
 public:
  explicit Lister(const CpuCase& test) : test_(test) {}
  void number(std::string_view name, uint64_t start, uint64_t a, uint64_t b) {
    if (a != b) lines.push_back(fmt::format("{:<9} was {:#x}: {:#x} but {:#x}", name, start, a, b));
  }
  void plain(std::string_view name, uint64_t a, uint64_t b) {
    if (a != b) lines.push_back(fmt::format("{:<9} {:#x} but {:#x}", name, a, b));
  }
  void field(const std::string& name, const CpuState& a, const CpuState& b, FxField f) {
    if (same_field(a, b, f)) return;
    lines.push_back(
        fmt::format("{:<9} was {}: {} but {}", name, bytes_at(&test_.start.fx[f.offset], f.size),
                    bytes_at(&a.fx[f.offset], f.size), bytes_at(&b.fx[f.offset], f.size)));
  }
  void upper(size_t reg, const CpuState& a, const CpuState& b) {
    const size_t at = reg * 16;
    if (std::memcmp(&a.upper[at], &b.upper[at], 16) == 0) return;
    lines.push_back(fmt::format("ymm{:<6} was {}: {} but {}", reg,
                                bytes_at(&test_.start.upper[at], 16), bytes_at(&a.upper[at], 16),
                                bytes_at(&b.upper[at], 16)));
  }
  void data(const DataWindow& a, const DataWindow& b) {
    constexpr size_t kMost = 8;
    size_t listed = 0;
    for (size_t i = 0; i < kDataSize && listed < kMost; i += 8) {
      if (std::memcmp(&a[i], &b[i], 8) == 0 || is_ignored(test_, kData + i)) continue;
      ++listed;
      lines.push_back(fmt::format("[{:#x}] was {}: {} but {}", kData + i,
                                  bytes_at(&test_.data[i], 8), bytes_at(&a[i], 8),
                                  bytes_at(&b[i], 8)));
    }
  }

  std::vector<std::string> lines;

 private:
  const CpuCase& test_;
};

}  // namespace

bool agree(const CpuCase& test, const CpuOutcome& a, const CpuOutcome& b,
           const CompareOptions& options) {
  const CpuState& x = a.state;
  const CpuState& y = b.state;
  return same_fault(test, a, b) && x.gpr == y.gpr && x.rip == y.rip &&
         ((x.rflags ^ y.rflags) & flag_mask(test, a, options)) == 0 && x.fs_base == y.fs_base &&
         x.gs_base == y.gs_base && same_fx(test, a, b) && same_data(test, a, b);
}

std::vector<std::string> differences(const CpuCase& test, const CpuOutcome& a, const CpuOutcome& b,
                                     const CompareOptions& options) {
  Lister list(test);
  const CpuState& x = a.state;
  const CpuState& y = b.state;
  if (!same_fault(test, a, b)) {
    list.plain("vector", a.vector, b.vector);
    if (a.vector == kNoVector || b.vector == kNoVector) return list.lines;
    list.plain("error", a.error, b.error);
    list.plain("address", a.address, b.address);
  }
  list.number("rip", test.start.rip, x.rip, y.rip);
  const uint64_t mask = flag_mask(test, a, options);
  list.number("rflags", test.start.rflags, x.rflags & mask, y.rflags & mask);
  for (size_t i = 0; i < 16; ++i) list.number(kRegisters[i], test.start.gpr[i], x.gpr[i], y.gpr[i]);
  list.number("fs base", test.start.fs_base, x.fs_base, y.fs_base);
  list.number("gs base", test.start.gs_base, x.gs_base, y.gs_base);
  for (size_t i = 0; i < std::size(kFxHead); ++i)
    list.field(std::string(kFxNames[i]), x, y, kFxHead[i]);
  for (size_t i = 0; i < 8; ++i) list.field(fmt::format("st{}", i), x, y, {32 + i * 16, 10});
  for (size_t i = 0; i < 16; ++i) list.field(fmt::format("xmm{}", i), x, y, {160 + i * 16, 16});
  for (size_t i = 0; i < 16; ++i) list.upper(i, x, y);
  list.data(a.data, b.data);
  return list.lines;
}

}  // namespace husk::cpu_diff
