// The interface between cases and what executes them: a case is a few user-mode instructions with
// all the state they start from, an outcome is everything they can have changed. An engine is the
// host's processor, Husk's interpreter, or whatever comes after it.
#pragma once

#include <array>
#include <cstdint>
#include <span>
#include <string>

#include "cpu_diff/layout.h"

namespace husk::cpu_diff {

// The user-visible state. `fx` is an FXSAVE64 image (Intel SDM vol. 1, 10.5.1); `upper`, 16 bytes
// each, what YMM registers have beyond XMM, zero where the host has none.
struct CpuState {
  std::array<uint64_t, 16> gpr{};  // by encoding: rax rcx rdx rbx rsp rbp rsi rdi r8..r15
  uint64_t rip = 0;
  uint64_t rflags = 0x202;
  uint64_t fs_base = 0, gs_base = 0;
  alignas(16) std::array<uint8_t, 512> fx{};
  alignas(16) std::array<uint8_t, 256> upper{};
};

using DataWindow = std::array<uint8_t, kDataSize>;

// One instruction of a case, for masks and reports.
struct CaseInsn {
  uint8_t offset = 0;  // from the start of the code
  uint8_t length = 0;
  uint32_t undefined = 0;  // flags that it leaves undefined
  uint32_t defined = 0;    // flags that it defines, whatever they were
};

struct IgnoredRange {
  uint64_t start = 0, length = 0;
};

// How much of a fault is architecture. Of an instruction that touches many bytes, or two places,
// which one is met first is the processor's own affair.
enum class FaultCheck : uint8_t { kExact, kAny /* #SS, #GP and #PF alike */ };

// What user code may do with a page of the data window.
enum class PageAccess : uint8_t { kWrite, kRead, kNone };

struct CpuCase {
  static constexpr size_t kMaxCode = 119;
  static constexpr size_t kMaxInsns = 24;

  CpuState start;
  std::array<uint8_t, kMaxCode> code{};
  uint8_t code_length =
      0;  // int3 follows, up to the end of the code pages; what does not fit in them is not there
  std::array<CaseInsn, kMaxInsns> insns{};
  uint8_t insn_count = 0;
  // Data that engines need not agree on: what FXSAVE and FNSTENV say of the last x87 instruction.
  std::array<IgnoredRange, kMaxInsns> ignored{};
  uint8_t ignored_count = 0;
  FaultCheck fault_check = FaultCheck::kExact;
  // An MMX instruction that faults on its memory operand may have left the x87 registers in MMX
  // state or not.
  bool loose_x87_top = false;
  bool writes_code = false;  // its own, and at most the byte behind its last instruction
  std::array<PageAccess, kDataSize / kPage> access{};
  alignas(64) DataWindow data{};
};

// How it ended: always by an exception, #BP behind the last instruction at the latest.
struct CpuOutcome {
  CpuState state;
  uint8_t vector = 0;    // kNoVector: not by an exception at all; then nothing else counts
  uint32_t error = 0;    // 0 for vectors without an error code
  uint64_t address = 0;  // of a page fault
  alignas(64) DataWindow data{};
};

// Bytes behind a case's code that it may write.
constexpr size_t kCodeMargin = 8;

// How much of the code fits.
inline uint64_t code_in_window(const CpuCase& test) {
  return test.code_length < kCodeEnd - test.start.rip ? test.code_length
                                                      : kCodeEnd - test.start.rip;
}

constexpr uint8_t kVectorBreakpoint = 3, kVectorPageFault = 14, kNoVector = 0xff;

class Engine {
 public:
  virtual ~Engine() = default;
  [[nodiscard]] virtual std::string name() const = 0;
  // Whether FS and GS bases of a case count; without, cases that use them must not be run.
  [[nodiscard]] virtual bool has_segment_bases() const = 0;
  virtual void run(const CpuCase& test, CpuOutcome& outcome) = 0;
  // Undoes what a case may have written into the code window: after a failure, when engines have
  // gone apart.
  virtual void clear_code() = 0;
};

}  // namespace husk::cpu_diff
