// Numbers with a point, one at a time: SSE2 and x87. Only operations that IEEE 754 defines to the
// last bit, so that checksums agree.
#include "loads.h"

enum { kRounds = 10000 };

static uint64_t bits(double value) {
  union {
    double value;
    uint64_t bits;
  } both = {value};
  return both.bits;
}

static uint64_t scalar(void) {
  double x = 1.5, y = 0.25, z = 3.0;
  for (int i = 0; i < kRounds; ++i) {
    x = x * 0.999 + y;
    y = y / 1.0001 + z * 1e-5;
    z = z - x * 1e-6;
    __asm__ volatile("" : "+x"(x));
  }
  return bits(x) ^ bits(y) * 3 ^ bits(z) * 5;
}

static uint64_t x87(void) {
  long double x = 1.5L, y = 0.25L;
  for (int i = 0; i < kRounds; ++i) {
    x = x * 0.999L + y;
    y = y / 1.0001L + x * 1e-6L;
    __asm__ volatile("" : "+t"(x));
  }
  return bits((double)x) ^ bits((double)y) * 3;
}

const struct load float_loads[] = {
    {"float-scalar", "round of 6 double operations, one a division", kRounds, scalar},
    {"x87", "round of 5 extended operations, one a division", kRounds, x87},
    {0, 0, 0, 0}};
