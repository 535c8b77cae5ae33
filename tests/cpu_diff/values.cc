#include "cpu_diff/values.h"

#include <cstring>
#include <vector>

namespace husk::cpu_diff {
namespace {

constexpr uint64_t kIntegers[] = {0,
                                  1,
                                  2,
                                  0x7f,
                                  0x80,
                                  0xff,
                                  0x100,
                                  0x7fff,
                                  0x8000,
                                  0xffff,
                                  0x10000,
                                  0x7fffffff,
                                  0x80000000,
                                  0xffffffff,
                                  0x100000000,
                                  0x7fffffffffffffff,
                                  0x8000000000000000,
                                  0xffffffffffffffff,
                                  0xffffffff80000000,
                                  0xffffffffffff8000,
                                  0xffffffffffffff80,
                                  0xfffffffffffffffe,
                                  0x0f0f0f0f0f0f0f0f,
                                  0xaaaaaaaaaaaaaaaa};
constexpr uint64_t kDoubles[] = {
    0,
    0x8000000000000000,  // zeros
    0x3ff0000000000000,
    0xbff0000000000000,  // ones
    0x7ff0000000000000,
    0xfff0000000000000,  // infinities
    0x7ff8000000000000,
    0xfff8000000000000,  // quiet NaNs
    0x7ff0000000000001,
    0xfff4000000000000,  // signalling NaNs
    1,
    0x800fffffffffffff,  // denormals
    0x0010000000000000,
    0x7fefffffffffffff,  // smallest normal, largest
    0x41dfffffffc00000,
    0x41e0000000000000,  // around 2^31
    0x43e0000000000000,
    0xc3e0000000000000,  // 2^63
    0x3fe0000000000000,
    0x4004000000000000,  // one half, two and a half
};
constexpr uint32_t kFloats[] = {0,          0x80000000, 0x3f800000, 0xbf800000, 0x7f800000,
                                0xff800000, 0x7fc00000, 0xffc00000, 0x7f800001, 0xffa00000,
                                1,          0x807fffff, 0x00800000, 0x7f7fffff, 0x4effffff,
                                0x4f000000, 0x5f000000, 0xdf000000, 0x3f000000, 0x40200000};

template <class T, size_t size>
T pick(Rng& rng, const T (&table)[size]) {
  return table[rng.below(size)];
}

// An x87 register: a double's value widened by hand, or one of the forms that only this format has.
void fill_extended(Rng& rng, uint8_t* out) {
  uint64_t significand = rng.next();
  uint16_t exponent = static_cast<uint16_t>(rng.next());
  switch (rng.below(10)) {
    case 0:
      significand = 0, exponent &= 0x8000;
      break;  // zero
    case 1:
      significand = uint64_t{1} << 63, exponent |= 0x7fff;
      break;  // infinity
    case 2:
      exponent |= 0x7fff;
      break;  // NaN, or unsupported
    case 3:
      exponent &= 0x8000;
      break;  // denormal, pseudo-denormal
    case 4:
      significand = uint64_t{1} << 63, exponent = 0x3fff;
      break;  // one
    case 5:
      significand &= ~(uint64_t{1} << 63);
      break;  // unnormal
    default:
      significand |= uint64_t{1} << 63;
      exponent = static_cast<uint16_t>((exponent & 0x8000) | (0x3fff - 40 + exponent % 80));
      break;
  }
  if (rng.chance(30)) significand &= ~uint64_t{0} << 40;
  std::memcpy(out, &significand, 8);
  std::memcpy(out + 8, &exponent, 2);
}

uint16_t control_word(Rng& rng) {
  const uint64_t random = rng.next();
  const auto masks = static_cast<uint16_t>(rng.chance(15) ? random & 0x3f : 0x3f);
  constexpr uint16_t kPrecisions[] = {3, 3, 3, 2, 0};
  return static_cast<uint16_t>(0x40 | masks | pick(rng, kPrecisions) << 8 |
                               (random >> 32 & 3) << 10);
}

// Exceptions pend only where the summary bit says so.
uint16_t status_word(Rng& rng, uint16_t control) {
  auto status = static_cast<uint16_t>(rng.next() & 0x7f7f);
  if (!rng.chance(5)) status &= static_cast<uint16_t>(~0x3f | control);
  if ((status & ~control & 0x3f) != 0) status |= 0x8080;
  return status;
}

uint64_t any_value(Rng& rng) {
  switch (rng.below(4)) {
    case 0:
      return integer_value(rng);
    case 1:
      return double_value(rng);
    case 2:
      return uint64_t{float_value(rng)} << 32 | float_value(rng);
    default:
      return rng.next();
  }
}

// Windows are cut out of this, so that a case costs one copy.
const std::vector<uint8_t>& data_pool() {
  static const std::vector<uint8_t> pool = [] {
    std::vector<uint8_t> bytes(size_t{1} << 20);
    Rng rng(0, 0);
    size_t at = 0;
    while (at + 16 <= bytes.size()) {
      if (rng.chance(10)) {
        fill_extended(rng, &bytes[at]);
        at += 10;
      } else {
        const uint64_t value = any_value(rng);
        std::memcpy(&bytes[at], &value, 8);
        at += 8;
      }
    }
    return bytes;
  }();
  return pool;
}

}  // namespace

uint64_t integer_value(Rng& rng) {
  const uint64_t random = rng.next();
  switch (rng.below(8)) {
    case 0:
    case 1:
      return pick(rng, kIntegers);
    case 2:
      return random & 0xff;
    case 3:
      return random & 0xffffffff;
    case 4:
      return uint64_t{1} << (random & 63);
    case 5:
      return pick(rng, kIntegers) + (random & 7) - 3;
    default:
      return random;
  }
}

uint64_t double_value(Rng& rng) {
  const uint64_t random = rng.next();
  if (rng.chance(45)) return pick(rng, kDoubles);
  if (rng.chance(60))
    return (random & 0x800fffffffffffff) | (0x3e0 + (random >> 52 & 63)) << 52;  // near one
  return random;
}

uint32_t float_value(Rng& rng) {
  const auto random = static_cast<uint32_t>(rng.next());
  if (rng.chance(45)) return pick(rng, kFloats);
  if (rng.chance(60)) return (random & 0x807fffff) | (0x6f + (random >> 23 & 31)) << 23;
  return random;
}

uint32_t mxcsr_value(Rng& rng) {
  const uint64_t random = rng.next();
  uint32_t value = 0x1f80;
  if (rng.chance(15)) value = static_cast<uint32_t>(random & 0x1f80);
  value |= random >> 32 & 0x6000;                                           // rounding
  if (rng.chance(20)) value |= static_cast<uint32_t>(random >> 40 & 0x3f);  // flags
  if (rng.chance(20))
    value |= static_cast<uint32_t>(random >> 44 & 0x8040);  // flush to zero, denormals are zero
  return value;
}

void fill_fx(Rng& rng, std::span<uint8_t, 512> fx) {
  std::memset(fx.data(), 0, fx.size());
  const uint16_t control = control_word(rng);
  const uint16_t status = status_word(rng, control);
  const uint32_t mxcsr = mxcsr_value(rng);
  std::memcpy(&fx[0], &control, 2);
  std::memcpy(&fx[2], &status, 2);
  fx[4] = rng.chance(60) ? 0xff : static_cast<uint8_t>(rng.next());
  std::memcpy(&fx[24], &mxcsr, 4);
  for (size_t i = 0; i < 8; ++i) fill_extended(rng, &fx[32 + i * 16]);
  for (size_t i = 0; i < 32; ++i) {
    const uint64_t value = any_value(rng);
    std::memcpy(&fx[160 + i * 8], &value, 8);
  }
}

void fill_upper(Rng& rng, std::span<uint8_t, 256> upper) {
  for (size_t i = 0; i < upper.size(); i += 8) {
    const uint64_t value = any_value(rng);
    std::memcpy(&upper[i], &value, 8);
  }
}

void fill_data(Rng& rng, DataWindow& data) {
  const auto& pool = data_pool();
  const uint32_t start = rng.below(static_cast<uint32_t>(pool.size() - data.size()));
  std::memcpy(data.data(), &pool[start], data.size());
}

}  // namespace husk::cpu_diff
