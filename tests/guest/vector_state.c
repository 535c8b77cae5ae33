// Two processes that keep all of YMM0 to YMM15 full while they are interrupted, switched and, by whoever tests that, captured and
// restored: each looks after its registers, and says "line N" after every round that left them as they were. Wants AVX2.
// Usage: vector_state [ROUNDS], 0 for no end
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

enum { kRegisters = 16, kBytes = 32, kSpins = 3000000 };

typedef uint8_t registers[kRegisters * kBytes] __attribute__((aligned(32)));

// Loads them all, counts, and stores them.
static void hold(const registers before, registers after) {
#define EACH(what)                                                                                                        \
  what(0) what(1) what(2) what(3) what(4) what(5) what(6) what(7) what(8) what(9) what(10) what(11) what(12) what(13)    \
      what(14) what(15)
#define LOAD(n) "vmovdqa " #n "*32(%1), %%ymm" #n "\n\t"
#define STORE(n) "vmovdqa %%ymm" #n ", " #n "*32(%2)\n\t"
#define NAME(n) "ymm" #n,
  long spins = kSpins;
  __asm__ volatile(EACH(LOAD) "1: dec %0\n\tjnz 1b\n\t" EACH(STORE) "vzeroupper"
                   : "+r"(spins)
                   : "r"(before), "r"(after)
                   : EACH(NAME) "memory", "cc");
}

static int round_of(unsigned seed) {
  static registers before, after;
  for (size_t i = 0; i < sizeof before; ++i) before[i] = (uint8_t)(seed = seed * 1103515245u + 12345u, seed >> 16);
  memset(after, 0, sizeof after);
  hold(before, after);
  return memcmp(before, after, sizeof before);
}

int main(int argc, char** argv) {
  const long rounds = argc > 1 ? atol(argv[1]) : 0;
  const pid_t child = fork();
  for (long n = 0; rounds == 0 || n < rounds; ++n) {
    if (round_of((unsigned)(n * 2 + (child != 0))) != 0) {
      printf("BROKEN in round %ld of %s\n", n, child != 0 ? "the first" : "the second");
      return 1;
    }
    if (child == 0) continue;
    printf("line %ld\n", n);
    fflush(stdout);
  }
  if (child == 0) return 0;
  int status = 0;
  waitpid(child, &status, 0);
  return status == 0 ? 0 : 1;
}
