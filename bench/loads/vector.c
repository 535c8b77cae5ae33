// SSE2 vectors, of whole numbers and of floats. What the baseline of x86-64 has, no more.
#include <emmintrin.h>

#include "loads.h"

enum { kRounds = 20000 };

static uint64_t folded(__m128i value) {
  uint64_t out[2];
  _mm_storeu_si128((__m128i*)out, value);
  return out[0] ^ out[1] * 3;
}

static uint64_t integers(void) {
  __m128i a = _mm_set_epi32(1, 2, 3, 4), b = _mm_set_epi32(5, 6, 7, 8);
  const __m128i step = _mm_set_epi32(0x3c6ef372, 0x1b873593, 0x2545f491, 0x5851f42d);
  for (int i = 0; i < kRounds; ++i) {
    a = _mm_add_epi32(a, _mm_mullo_epi16(b, step));
    b = _mm_xor_si128(_mm_shuffle_epi32(b, 0x39), _mm_slli_epi32(a, 3));
    b = _mm_sub_epi8(b, _mm_unpacklo_epi8(a, step));
  }
  return folded(_mm_xor_si128(a, b));
}

static uint64_t floats(void) {
  __m128 a = _mm_set_ps(1.5f, 2.5f, 3.5f, 4.5f), b = _mm_set_ps(0.1f, 0.2f, 0.3f, 0.4f);
  const __m128 scale = _mm_set1_ps(0.998f), small = _mm_set1_ps(1e-4f), floor = _mm_set1_ps(-1.0f);
  for (int i = 0; i < kRounds; ++i) {
    a = _mm_add_ps(_mm_mul_ps(a, scale), b);
    b = _mm_sub_ps(_mm_shuffle_ps(b, b, 0x39), _mm_mul_ps(a, small));
    b = _mm_max_ps(b, floor);
  }
  return folded(_mm_castps_si128(_mm_add_ps(a, b)));
}

const struct load vector_loads[] = {
    {"sse-integer", "round of 7 operations on 16 bytes", kRounds, integers},
    {"sse-float", "round of 6 operations on 4 floats", kRounds, floats},
    {0, 0, 0, 0}};
