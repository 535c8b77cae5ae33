// Loads that every machine runs alike. A load does one unit of work and returns a checksum of what it
// computed: the same number on every call and on every machine. Units are sized to about a millisecond
// on bare metal.
#ifndef HUSK_BENCH_LOADS_H
#define HUSK_BENCH_LOADS_H

#include <stdint.h>

struct load {
  const char* name;
  uint64_t (*unit)(void);
};

// Each file's loads, ended by one without a name.
extern const struct load integer_loads[], control_loads[], float_loads[], memory_loads[], system_loads[];

// Keeps the compiler from knowing a value.
#define OPAQUE(value) __asm__ volatile("" : "+r"(value))

static inline uint64_t next_random(uint64_t* state) {  // xorshift64 (Marsaglia 2003)
  *state ^= *state << 13;
  *state ^= *state >> 7;
  *state ^= *state << 17;
  return *state;
}

#endif
