// Which linear pages code was found in, by hashes: INVLPG elsewhere leaves what is known of code
// alone.
#pragma once

#include <array>
#include <cstdint>

namespace husk::soft::mmu {

class CodePages {
 public:
  // Code at `linear`, in a page of 1 << `shift` bytes.
  void note(uint64_t linear, uint8_t shift) {
    if (shift > kLargeShift) {
      everywhere_ = true;
    } else {
      set(shift == kLargeShift ? large_ : small_, linear >> shift);
    }
  }
  [[nodiscard]] bool may_hold(uint64_t linear) const {
    return everywhere_ || get(small_, linear >> kSmallShift) || get(large_, linear >> kLargeShift);
  }
  void clear() { *this = {}; }

 private:
  using Bits = std::array<uint64_t, 128>;
  static constexpr uint8_t kSmallShift = 12, kLargeShift = 21;
  static size_t hash(uint64_t page) { return (page ^ page >> 13) % (128 * 64); }
  static void set(Bits& bits, uint64_t page) {
    bits[hash(page) / 64] |= uint64_t{1} << hash(page) % 64;
  }
  [[nodiscard]] static bool get(const Bits& bits, uint64_t page) {
    return (bits[hash(page) / 64] >> hash(page) % 64 & 1) != 0;
  }

  Bits small_{}, large_{};
  bool everywhere_ = false;
};

}  // namespace husk::soft::mmu
