// A vCPU's registers as GDB knows them: what it is told of them (the target description), and their
// places in the canonical state.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "gdb/hex.h"

namespace husk::gdb {

// One register. A `place` that is shorter than the register is its low end, the rest is zero; an
// empty one cannot be written, and reads as `computed`.
struct Register {
  std::string name;
  uint16_t bits = 64;
  std::string_view type{};   // empty: an integer
  std::string_view group{};  // empty: GDB's own choice
  std::span<std::byte> place{};
  uint64_t computed = 0;

  [[nodiscard]] size_t size() const { return bits / 8; }
};

// Registers that GDB has a name for, with the types that they need (XML).
struct Feature {
  std::string_view name;
  std::string_view types{};
  std::vector<Register> registers{};
};

// What is the same for all vCPUs of an architecture.
struct Architecture {
  std::string description;            // target.xml
  std::vector<size_t> offsets{};      // of each register, in bytes; then the end
  std::vector<std::byte> breakpoint;  // the instruction
  uint32_t pc = 0;                    // the program counter's number

  [[nodiscard]] size_t registers() const { return offsets.size() - 1; }
};

[[nodiscard]] Architecture describe(std::string_view name, std::span<const Feature> features,
                                    std::vector<std::byte> breakpoint, std::string_view pc);

// All registers, in their order, and back; `bytes` has as many as there are.
[[nodiscard]] Bytes read_all(std::span<const Feature> features);
void write_all(std::span<Feature> features, std::span<const std::byte> bytes);

}  // namespace husk::gdb
