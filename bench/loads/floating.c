// Numbers with a point: scalar SSE2, vectors of them, and x87. Only operations that IEEE 754 defines to
// the last bit, so that checksums agree.
#include <emmintrin.h>
#include <string.h>

#include "loads.h"

static uint64_t bits(double value) {
  uint64_t out;
  memcpy(&out, &value, sizeof(out));
  return out;
}

static uint64_t scalar(void) {
  double x = 1.5, y = 0.25, z = 3.0;
  for (int i = 0; i < 50000; ++i) {
    x = x * 0.999 + y;
    y = y / 1.0001 + z * 1e-5;
    z = z - x * 1e-6;
    __asm__ volatile("" : "+x"(x));
  }
  return bits(x) ^ bits(y) ^ bits(z);
}

static uint64_t vector(void) {
  __m128 a = _mm_set_ps(1.5f, 2.5f, 3.5f, 4.5f), b = _mm_set_ps(0.1f, 0.2f, 0.3f, 0.4f);
  const __m128 scale = _mm_set1_ps(0.998f);
  for (int i = 0; i < 60000; ++i) {
    a = _mm_add_ps(_mm_mul_ps(a, scale), b);
    b = _mm_sub_ps(_mm_shuffle_ps(b, b, 0x39), _mm_mul_ps(a, _mm_set1_ps(1e-4f)));
    b = _mm_max_ps(b, _mm_set1_ps(-1.0f));
  }
  uint64_t out[2];
  _mm_storeu_ps((float*)out, _mm_add_ps(a, b));
  return out[0] ^ out[1];
}

static uint64_t x87(void) {
  long double x = 1.5L, y = 0.25L;
  for (int i = 0; i < 30000; ++i) {
    x = x * 0.999L + y;
    y = y / 1.0001L + x * 1e-6L;
    __asm__ volatile("" : "+t"(x));
  }
  return bits((double)x) ^ bits((double)y);
}

const struct load float_loads[] = {{"sse-scalar-float", scalar}, {"sse-vector-float", vector}, {"x87", x87}, {0, 0}};
