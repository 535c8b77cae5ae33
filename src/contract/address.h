// Guest addresses as types, so that they are not mixed up with host pointers or with each other.
#pragma once

#include <compare>
#include <cstdint>

namespace husk {

// A guest-physical address.
struct Gpa {
  uint64_t value = 0;

  auto operator<=>(const Gpa&) const = default;
  // Wraps modulo 2^64; whoever dereferences the sum checks it against a region.
  friend constexpr Gpa operator+(Gpa a, uint64_t n) { return Gpa{a.value + n}; }
  friend constexpr uint64_t operator-(Gpa a, Gpa b) { return a.value - b.value; }
};

constexpr uint64_t kPageSize = 4096;
constexpr uint64_t kPageMask = ~(kPageSize - 1);

}  // namespace husk
