// Whole numbers: scalar, hashing, and SSE2 vectors of them.
#include <emmintrin.h>
#include <string.h>

#include "loads.h"

static uint64_t scalar(void) {
  uint64_t a = 1, b = 2, c = 3;
  for (int i = 0; i < 200000; ++i) {
    a += b ^ (c << 3);
    b = (b >> 5) + a * 7;
    c ^= a - b;
    OPAQUE(a);
  }
  return a ^ b ^ c;
}

static uint64_t multiply_divide(void) {
  uint64_t sum = 0, divisor = 12345;
  for (uint64_t i = 1; i < 40000; ++i) {
    OPAQUE(divisor);
    sum += (i * 0x9e3779b97f4a7c15u) / (divisor + (i & 7));
  }
  return sum;
}

// SHA-256 (FIPS 180-4), one block after the other.
static uint32_t round_constant[64];

static uint32_t rotated(uint32_t x, int n) { return x >> n | x << (32 - n); }

// Any constants do for a load; these come from a generator instead of a table.
static void fill_constants(void) {
  uint64_t state = 0x243f6a8885a308d3;
  for (int i = 0; i < 64; ++i) round_constant[i] = (uint32_t)next_random(&state);
}

static void hash_block(uint32_t state[8], const uint32_t block[16]) {
  uint32_t w[64], s[8];
  memcpy(w, block, 64);
  for (int i = 16; i < 64; ++i) {
    const uint32_t s0 = rotated(w[i - 15], 7) ^ rotated(w[i - 15], 18) ^ w[i - 15] >> 3;
    const uint32_t s1 = rotated(w[i - 2], 17) ^ rotated(w[i - 2], 19) ^ w[i - 2] >> 10;
    w[i] = w[i - 16] + s0 + w[i - 7] + s1;
  }
  memcpy(s, state, 32);
  for (int i = 0; i < 64; ++i) {
    const uint32_t s1 = rotated(s[4], 6) ^ rotated(s[4], 11) ^ rotated(s[4], 25);
    const uint32_t t1 = s[7] + s1 + ((s[4] & s[5]) ^ (~s[4] & s[6])) + round_constant[i] + w[i];
    const uint32_t s0 = rotated(s[0], 2) ^ rotated(s[0], 13) ^ rotated(s[0], 22);
    const uint32_t t2 = s0 + ((s[0] & s[1]) ^ (s[0] & s[2]) ^ (s[1] & s[2]));
    memmove(s + 1, s, 28);
    s[4] += t1;
    s[0] = t1 + t2;
  }
  for (int i = 0; i < 8; ++i) state[i] += s[i];
}

static uint64_t sha256(void) {
  uint32_t state[8] = {1, 2, 3, 4, 5, 6, 7, 8}, block[16] = {0};
  if (round_constant[0] == 0) fill_constants();
  for (uint32_t i = 0; i < 2000; ++i) {
    block[i % 16] += i;
    hash_block(state, block);
  }
  return (uint64_t)state[0] << 32 | state[7];
}

static uint64_t vector(void) {
  __m128i a = _mm_set_epi32(1, 2, 3, 4), b = _mm_set_epi32(5, 6, 7, 8);
  for (int i = 0; i < 100000; ++i) {
    a = _mm_add_epi32(a, _mm_mullo_epi16(b, a));
    b = _mm_xor_si128(_mm_shuffle_epi32(b, 0x39), _mm_slli_epi32(a, 3));
    b = _mm_sub_epi8(b, _mm_unpacklo_epi8(a, b));
  }
  uint64_t out[2];
  _mm_storeu_si128((__m128i*)out, _mm_xor_si128(a, b));
  return out[0] ^ out[1];
}

const struct load integer_loads[] = {
    {"integer", scalar}, {"mul-div", multiply_divide}, {"sha256", sha256}, {"sse-integer", vector}, {0, 0}};
