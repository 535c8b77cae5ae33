// Whole numbers in general registers.
#include "loads.h"

enum { kRounds = 50000, kDivisions = 5000 };

static uint64_t alu(void) {
  uint64_t a = 1, b = 2, c = 3;
  for (int i = 0; i < kRounds; ++i) {
    a += b ^ (c << 3);
    b = (b >> 5) + a * 7;
    c ^= a - b;
    OPAQUE(a);
  }
  return a ^ b ^ c;
}

static uint64_t multiply_divide(void) {
  uint64_t sum = 0, divisor = 12345;
  for (uint64_t i = 1; i <= kDivisions; ++i) {
    OPAQUE(divisor);
    sum += (i * 0x9e3779b97f4a7c15u) / (divisor + (i & 7));
  }
  return sum;
}

const struct load integer_loads[] = {
    {"integer", "round of 8 operations", kRounds, alu},
    {"mul-div", "64-bit multiplication and division", kDivisions, multiply_divide},
    {0, 0, 0, 0}};
