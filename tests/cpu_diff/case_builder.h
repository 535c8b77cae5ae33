// A case while it is being generated: its start state, and what is known of each register at the
// present point.
#pragma once

#include <cstdint>
#include <span>

#include "cpu_diff/engine.h"
#include "cpu_diff/generate.h"
#include "cpu_diff/plan.h"
#include "cpu_diff/rng.h"

namespace husk::cpu_diff {

class CaseBuilder {
 public:
  CaseBuilder(CpuCase& test, Rng& random, const GeneratorOptions& options)
      : rng(random),
        has_segment_bases(options.segment_bases),
        long_cases(options.longest > GeneratorOptions::kShort),
        test_(test) {}

  // A register's value at this point; meaningful while known().
  [[nodiscard]] uint64_t value(uint8_t reg) const { return test_.start.gpr[reg]; }
  // No earlier instruction of the case may have changed it.
  [[nodiscard]] bool known(uint8_t reg) const { return (changed_ >> reg & 1) == 0; }
  [[nodiscard]] bool settable(uint8_t reg) const {
    return ((changed_ | relied_on_) >> reg & 1) == 0;
  }
  // Gives a register the start value that an instruction needs. False: it is no longer free, nor
  // has it that value.
  bool set(uint8_t reg, uint64_t value);

  // A vector register's value at the start.
  void set_vector(uint8_t reg, std::span<const uint8_t, 32> value);
  // Start contents of the data window; what is outside of it is left out.
  void patch(uint64_t address, const void* bytes, size_t size);
  [[nodiscard]] uint64_t peek(uint64_t address) const;
  void ignore(uint64_t start, uint64_t length);
  void writes_code() { test_.writes_code = true; }
  void check_faults(FaultCheck check) { test_.fault_check = check; }

  [[nodiscard]] const CpuCase& test() const { return test_; }
  [[nodiscard]] uint64_t next_address() const { return test_.start.rip + test_.code_length; }
  void append(const Plan& plan);
  // One that no form makes, as it is. `changed`: mask of registers.
  void append_bytes(std::span<const uint8_t> bytes, uint16_t changed = 0);
  void patch_code(size_t offset, const void* bytes, size_t size);
  // Whether its instructions compute the same addresses, and find no flag undefined, when executed
  // again.
  [[nodiscard]] bool repeatable() const;
  // Whether the data window has rights that are not the usual ones.
  [[nodiscard]] bool restricted() const;
  [[nodiscard]] bool full() const;
  [[nodiscard]] uint32_t undefined() const { return undefined_; }

  Rng& rng;
  bool has_segment_bases, long_cases;
  bool segment_bases_known = true;
  bool stack_trusted = true;  // RSP is as set, but for pushes and pops

 private:
  CpuCase& test_;
  uint16_t changed_ = 0;
  uint16_t relied_on_ = 0;
  uint32_t undefined_ = 0;
};

// Where an access of `bytes` bytes should go: mostly into the data window, at times across its
// pages, into the unmapped page behind it, or out of the address space.
uint64_t choose_target(Rng& rng, uint64_t bytes, bool aligned);

// An operand that reaches `target` from what the registers are or can be made to be.
MemoryRef reach(CaseBuilder& builder, uint64_t target, bool low_registers_only);

// An operand that is never accessed: any registers, any displacement.
MemoryRef any_address(Rng& rng, bool low_registers_only);

}  // namespace husk::cpu_diff
