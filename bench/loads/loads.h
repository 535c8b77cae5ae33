// Loads that every machine runs alike. A call of a load does a fixed number of units of work and
// returns a checksum of what it computed: the same number on every call and on every machine. A
// call takes well below a millisecond on bare metal, so that a slow machine still finishes one
// soon.
#ifndef HUSK_BENCH_LOADS_H
#define HUSK_BENCH_LOADS_H

#include <stdint.h>

struct load {
  const char* name;
  const char* unit;  // what one unit is
  uint32_t units;    // per call
  uint64_t (*call)(void);
};

// Each file's loads, ended by one without a name.
extern const struct load integer_loads[], branch_loads[], call_loads[], float_loads[],
    vector_loads[], hash_loads[], memory_loads[], page_loads[], kernel_loads[], process_loads[];
// For machines with more than one processor: run when they are asked for by name only.
extern const struct load parallel_loads[];

// Keeps the compiler from knowing a value, and so from dropping or foreseeing how it was computed.
#define OPAQUE(value) __asm__ volatile("" : "+r"(value))

static inline uint64_t next_random(uint64_t* state) {  // xorshift64 (Marsaglia 2003)
  *state ^= *state << 13;
  *state ^= *state >> 7;
  *state ^= *state << 17;
  return *state;
}

#endif
