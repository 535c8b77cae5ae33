// Conditional jumps. An arm that holds an asm cannot become a conditional move.
#include "loads.h"

enum { kBits = 1 << 15, kSteps = 50000 };

// Random bits made once: enough of them that no predictor learns the sequence.
static unsigned char bits[kBits];

static void fill_bits(void) {
  static int filled;
  if (filled) return;
  filled = 1;
  uint64_t state = 88172645463325252u;
  for (int i = 0; i < kBits; ++i) bits[i] = next_random(&state) >> 40 & 1;
}

static uint64_t walk(const unsigned char* choices) {
  uint64_t sum = 1;
  for (int i = 0; i < kSteps; ++i) {
    if (choices[i % kBits]) {
      sum += 3;
      OPAQUE(sum);
    } else {
      sum ^= sum << 5;
      OPAQUE(sum);
    }
  }
  return sum;
}

static uint64_t unpredictable(void) {
  fill_bits();
  return walk(bits);
}

static uint64_t predictable(void) {
  static unsigned char pattern[kBits];
  if (pattern[2] == 0)
    for (int i = 0; i < kBits; ++i) pattern[i] = i % 4 == 2;
  return walk(pattern);
}

const struct load branch_loads[] = {
    {"branch-random", "two-way branch in a loop", kSteps, unpredictable},
    {"branch-regular", "two-way branch in a loop", kSteps, predictable},
    {0, 0, 0, 0}};
