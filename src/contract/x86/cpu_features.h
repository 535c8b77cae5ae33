// The features that CPUID tells of, as data: where each one's bit is, what it is called, and which
// of the models have it.
#pragma once

#include <cstdint>
#include <span>
#include <string>

#include "contract/x86/cpuid.h"

namespace husk::contract::x86 {

enum class Level : uint8_t {
  kBase,     // of every model: x86-64 itself and what the machine stands on
  kV2,       // the psABI's
  kV3,       // the psABI's
  kMachine,  // the backend's and the machine's own business: shown where it is, whatever the model
  kAbove,    // in no model but `host`; here for its name
};

// Where feature bits are.
struct FeatureWord {
  uint32_t leaf;
  uint32_t subleaf;
  CpuidRegister reg;

  bool operator==(const FeatureWord&) const = default;
};

struct Feature {
  FeatureWord word;
  uint8_t bit;
  Level level;
  const char* name;
};

// In the order in which a missing one is told: a level's own are together, the lower one's first.
[[nodiscard]] std::span<const Feature> features();
// Every register that is all feature bits, known or not.
[[nodiscard]] std::span<const FeatureWord> feature_words();

// The features of `word` that are of `level` or below, and the machine's.
[[nodiscard]] uint32_t allowed_bits(const FeatureWord& word, Level level);
// Bits that follow from the topology or that change while the guest runs: equal tables may differ.
[[nodiscard]] uint32_t changing_bits(const FeatureWord& word);
// "AVX2", or "CPUID 7.0 EDX bit 9" for one that has no name here.
[[nodiscard]] std::string feature_name(const FeatureWord& word, uint8_t bit);

}  // namespace husk::contract::x86
