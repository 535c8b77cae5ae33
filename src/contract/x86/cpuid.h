// What CPUID answers, as plain values: a table of leaves, whoever made it.
#pragma once

#include <algorithm>
#include <array>
#include <cstdint>
#include <vector>

namespace husk::contract::x86 {

enum CpuidRegister : uint8_t { kEax, kEbx, kEcx, kEdx };

struct CpuidEntry {
  uint32_t leaf = 0;
  uint32_t subleaf = 0;
  bool indexed = false;            // ECX counts; otherwise every subleaf is this one
  std::array<uint32_t, 4> regs{};  // by CpuidRegister

  bool operator==(const CpuidEntry&) const = default;
};

// A leaf that is not in it reads as zeroes.
using CpuidTable = std::vector<CpuidEntry>;

[[nodiscard]] inline const CpuidEntry* find(const CpuidTable& table, uint32_t leaf,
                                            uint32_t subleaf = 0) {
  const auto found = std::ranges::find_if(table, [&](const CpuidEntry& entry) {
    return entry.leaf == leaf && (!entry.indexed || entry.subleaf == subleaf);
  });
  return found == table.end() ? nullptr : &*found;
}

[[nodiscard]] inline uint32_t word(const CpuidTable& table, uint32_t leaf, uint32_t subleaf,
                                   CpuidRegister reg) {
  const CpuidEntry* entry = find(table, leaf, subleaf);
  return entry == nullptr ? 0 : entry->regs[reg];
}

}  // namespace husk::contract::x86
