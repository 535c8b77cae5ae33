// SHA-256 (FIPS 180-4) of 4096 bytes, the i-th of which is 7 * i modulo 256; loads.py knows the
// digest too.
#include "loads.h"

enum { kBlocks = 65 };  // 64 of message, one of padding

typedef unsigned __int128 wide;

static uint32_t round_constant[64];

// The first 32 bits behind the point of the cube roots of the first 64 primes (section 4.2.2).
static uint32_t cube_root_fraction(uint32_t prime) {
  uint64_t root = 0;  // 3 bits before the point, 32 behind
  for (uint64_t bit = (uint64_t)1 << 34; bit; bit >>= 1)
    if ((wide)(root | bit) * (root | bit) * (root | bit) <= (wide)prime << 96) root |= bit;
  return (uint32_t)root;
}

static void fill_constants(void) {
  uint32_t prime = 2;
  for (int found = 0; found < 64; ++prime) {
    int divisor = 2;
    while (prime % divisor) ++divisor;
    if (divisor == (int)prime) round_constant[found++] = cube_root_fraction(prime);
  }
}

static uint32_t rotated(uint32_t x, int n) { return x >> n | x << (32 - n); }

static void schedule(uint32_t w[64]) {
  for (int i = 16; i < 64; ++i) {
    const uint32_t s0 = rotated(w[i - 15], 7) ^ rotated(w[i - 15], 18) ^ w[i - 15] >> 3;
    const uint32_t s1 = rotated(w[i - 2], 17) ^ rotated(w[i - 2], 19) ^ w[i - 2] >> 10;
    w[i] = w[i - 16] + s0 + w[i - 7] + s1;
  }
}

static void compress(uint32_t state[8], const uint32_t w[64]) {
  uint32_t a = state[0], b = state[1], c = state[2], d = state[3];
  uint32_t e = state[4], f = state[5], g = state[6], h = state[7];
  for (int i = 0; i < 64; ++i) {
    const uint32_t s1 = rotated(e, 6) ^ rotated(e, 11) ^ rotated(e, 25);
    const uint32_t t1 = h + s1 + ((e & f) ^ (~e & g)) + round_constant[i] + w[i];
    const uint32_t s0 = rotated(a, 2) ^ rotated(a, 13) ^ rotated(a, 22);
    const uint32_t t2 = s0 + ((a & b) ^ (a & c) ^ (b & c));
    h = g, g = f, f = e, e = d + t1;
    d = c, c = b, b = a, a = t1 + t2;
  }
  state[0] += a, state[1] += b, state[2] += c, state[3] += d;
  state[4] += e, state[5] += f, state[6] += g, state[7] += h;
}

// The 16 words of a block, big-endian; the last block is padding and the length in bits.
static void fill_block(uint32_t w[64], uint32_t block) {
  for (uint32_t i = 0; i < 16; ++i) {
    const uint32_t at = block * 64 + i * 4;
    w[i] = (at * 7 & 255) << 24 | ((at + 1) * 7 & 255) << 16 | ((at + 2) * 7 & 255) << 8 |
           ((at + 3) * 7 & 255);
    if (block == kBlocks - 1) w[i] = i == 0 ? 0x80000000u : i == 15 ? (kBlocks - 1) * 512 : 0;
  }
}

static uint64_t sha256(void) {
  uint32_t state[8] = {0x6a09e667, 0xbb67ae85, 0x3c6ef372, 0xa54ff53a,
                       0x510e527f, 0x9b05688c, 0x1f83d9ab, 0x5be0cd19};
  uint32_t w[64];
  if (round_constant[0] == 0) fill_constants();
  for (uint32_t block = 0; block < kBlocks; ++block) {
    fill_block(w, block);
    schedule(w);
    compress(state, w);
  }
  return (uint64_t)state[0] << 32 | state[1];
}

const struct load hash_loads[] = {{"sha256", "block of 64 bytes", kBlocks, sha256}, {0, 0, 0, 0}};
