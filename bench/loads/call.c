// Calls and returns: recursion, pointers to functions, and a sort that calls back.
#include <stdlib.h>

#include "loads.h"

enum { kDepth = 18, kFibonacciCalls = 8361, kIndirect = 20000, kSorted = 2000 };

static __attribute__((noinline)) uint64_t fibonacci(uint64_t n) {
  OPAQUE(n);  // else recursion is unrolled into few calls
  return n < 2 ? n : fibonacci(n - 1) + fibonacci(n - 2);
}

static uint64_t recursion(void) { return fibonacci(kDepth); }

static uint64_t add(uint64_t x) { return x + 11; }
static uint64_t twist(uint64_t x) { return x ^ x << 7; }
static uint64_t fold(uint64_t x) { return x * 5 ^ x >> 9; }
static uint64_t less(uint64_t x) { return x - 3; }

static uint64_t indirect(void) {
  static uint64_t (*volatile const functions[])(uint64_t) = {add, twist, fold, less};
  uint64_t value = 1;
  for (int i = 0; i < kIndirect; ++i) value = functions[(value >> 4 ^ (uint64_t)i) & 3](value);
  return value;
}

static int compare(const void* a, const void* b) {
  const uint64_t x = *(const uint64_t*)a, y = *(const uint64_t*)b;
  return (x > y) - (x < y);
}

static uint64_t sort(void) {
  static uint64_t numbers[kSorted];
  uint64_t state = 99, sum = 0;
  for (int i = 0; i < kSorted; ++i) numbers[i] = next_random(&state);
  qsort(numbers, kSorted, sizeof(numbers[0]), compare);
  for (int i = 0; i < kSorted; ++i) sum = sum * 31 + numbers[i];
  return sum;
}

const struct load call_loads[] = {
    {"call-recursive", "call and return", kFibonacciCalls, recursion},
    {"call-indirect", "indirect call and return", kIndirect, indirect},
    {"sort", "element of 2000 that qsort sorts", kSorted, sort},
    {0, 0, 0, 0}};
