// A small reproducible random source: the same seed and index give the same case on every host and
// library.
#pragma once

#include <cstdint>

namespace husk::cpu_diff {

class Rng {
 public:
  explicit Rng(uint64_t seed, uint64_t index)
      : state_(mix(seed) ^ mix(index + 0x5851f42d4c957f2d)) {}

  uint64_t next() { return mix(state_ += 0x9e3779b97f4a7c15); }
  uint32_t below(uint32_t bound) { return static_cast<uint32_t>((next() >> 32) * bound >> 32); }
  bool chance(uint32_t percent) { return below(100) < percent; }

 private:
  static constexpr uint64_t mix(uint64_t value) {  // the finaliser of SplitMix64
    value = (value ^ value >> 30) * 0xbf58476d1ce4e5b9;
    value = (value ^ value >> 27) * 0x94d049bb133111eb;
    return value ^ value >> 31;
  }
  uint64_t state_;
};

}  // namespace husk::cpu_diff
