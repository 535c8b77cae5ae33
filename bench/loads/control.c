// Branches, calls, and a sort, which is both.
#include <stdlib.h>

#include "loads.h"

static uint64_t branches(void) {
  uint64_t state = 88172645463325252u, taken = 0;
  for (int i = 0; i < 60000; ++i) {
    const uint64_t x = next_random(&state);
    if (x & 1) taken += 3;
    else taken ^= x;
    if ((x & 6) == 6) taken <<= 1;
    if (i % 3 == 0) ++taken;
    OPAQUE(taken);
  }
  return taken;
}

static __attribute__((noinline)) uint64_t fibonacci(uint64_t n) {
  return n < 2 ? n : fibonacci(n - 1) + fibonacci(n - 2);
}

static uint64_t calls(void) { return fibonacci(23); }

static uint64_t add(uint64_t x) { return x + 11; }
static uint64_t twist(uint64_t x) { return x ^ x << 7; }
static uint64_t fold(uint64_t x) { return x * 5 ^ x >> 9; }
static uint64_t less(uint64_t x) { return x - 3; }

static uint64_t indirect_calls(void) {
  static uint64_t (*volatile const functions[])(uint64_t) = {add, twist, fold, less};
  uint64_t value = 1;
  for (int i = 0; i < 80000; ++i) value = functions[(value >> 4 ^ (uint64_t)i) & 3](value);
  return value;
}

static int compare(const void* a, const void* b) {
  const uint64_t x = *(const uint64_t*)a, y = *(const uint64_t*)b;
  return (x > y) - (x < y);
}

static uint64_t sort(void) {
  static uint64_t numbers[8000];
  uint64_t state = 99, sum = 0;
  for (int i = 0; i < 8000; ++i) numbers[i] = next_random(&state);
  qsort(numbers, 8000, sizeof(numbers[0]), compare);
  for (int i = 0; i < 8000; ++i) sum = sum * 31 + numbers[i];
  return sum;
}

const struct load control_loads[] = {
    {"branches", branches}, {"calls", calls}, {"indirect-calls", indirect_calls}, {"sort", sort}, {0, 0}};
