// Memory: copies, dependent loads, fresh pages.
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "loads.h"

enum { kCopy = 1 << 20, kNodes = 1 << 18, kPages = 256, kPage = 4096 };

static uint64_t copy(void) {
  static char from[kCopy], to[kCopy];
  uint64_t sum = 0;
  for (int i = 0; i < 16; ++i) {
    from[i * 9999] = (char)(i + 1);
    memcpy(to, from, kCopy);
    for (int j = 0; j <= i; ++j) sum = sum * 31 + (uint64_t)to[j * 9999];
  }
  memset(from, 0, kCopy);
  return sum;
}

// One cycle through all nodes, in an order that no prefetcher guesses (Sattolo's shuffle).
static uint64_t chase(void) {
  static uint32_t next[kNodes];
  if (next[0] == 0) {
    uint64_t state = 7;
    for (uint32_t i = 0; i < kNodes; ++i) next[i] = i;
    for (uint32_t i = kNodes - 1; i > 0; --i) {
      const uint32_t j = (uint32_t)(next_random(&state) % i), kept = next[i];
      next[i] = next[j];
      next[j] = kept;
    }
  }
  uint32_t at = 0;
  for (int i = 0; i < 50000; ++i) at = next[at];
  return at;
}

static uint64_t page_faults(void) {
  char* pages = mmap(0, kPages * kPage, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (pages == MAP_FAILED) abort();
  uint64_t sum = 0;
  for (int i = 0; i < kPages; ++i) {
    pages[i * kPage] = (char)i;
    sum += (unsigned char)pages[i * kPage];
  }
  munmap(pages, kPages * kPage);
  return sum;
}

const struct load memory_loads[] = {{"memcpy", copy}, {"pointer-chase", chase}, {"page-faults", page_faults}, {0, 0}};
