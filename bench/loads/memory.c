// Mapped memory: copies, and loads that depend on each other.
#include <emmintrin.h>
#include <string.h>

#include "loads.h"

enum { kCopied = 1 << 18, kSteps = 20000, kNear = 1 << 13, kFar = 1 << 18 };

static char from[kCopied], to[kCopied];

static void copy_by_library(void) { memcpy(to, from, kCopied); }

static void copy_by_string_instruction(void) {
  const char* source = from;
  char* destination = to;
  uint64_t count = kCopied;
  __asm__ volatile("rep movsb" : "+S"(source), "+D"(destination), "+c"(count) : : "memory");
}

static void copy_by_sse(void) {
  for (int i = 0; i < kCopied; i += 16)
    _mm_storeu_si128((__m128i*)(to + i), _mm_loadu_si128((const __m128i*)(from + i)));
}

// Four copies of different contents, looked at in places.
static uint64_t copied(void (*copy)(void)) {
  uint64_t sum = 0;
  for (int round = 1; round <= 4; ++round) {
    for (int i = 0; i < kCopied; i += 9999) from[i] = (char)(i + round);
    copy();
    for (int i = 0; i < kCopied; i += 9999) sum = sum * 31 + (unsigned char)to[i];
  }
  return sum;
}

static uint64_t library_copy(void) { return copied(copy_by_library); }
static uint64_t string_copy(void) { return copied(copy_by_string_instruction); }
static uint64_t sse_copy(void) { return copied(copy_by_sse); }

struct node {
  uint32_t next;
  uint32_t padding[15];  // a cache line each
};

// One cycle through all nodes, in an order that no prefetcher guesses (Sattolo's shuffle).
static void link_nodes(struct node* nodes, uint32_t count) {
  uint64_t state = 7;
  for (uint32_t i = 0; i < count; ++i) nodes[i].next = i;
  for (uint32_t i = count - 1; i > 0; --i) {
    const uint32_t j = (uint32_t)(next_random(&state) % i), kept = nodes[i].next;
    nodes[i].next = nodes[j].next;
    nodes[j].next = kept;
  }
}

static uint64_t chase(struct node* nodes, uint32_t count) {
  if (nodes[0].next == 0) link_nodes(nodes, count);
  uint32_t at = 0;
  for (int i = 0; i < kSteps; ++i) at = nodes[at].next;
  return at;
}

static uint64_t chase_near(void) {
  static struct node nodes[kNear];
  return chase(nodes, kNear);
}

static uint64_t chase_far(void) {
  static struct node nodes[kFar];
  return chase(nodes, kFar);
}

const struct load memory_loads[] = {
    {"copy-libc", "KiB copied by memcpy", 4 * kCopied / 1024, library_copy},
    {"copy-movsb", "KiB copied by rep movsb", 4 * kCopied / 1024, string_copy},
    {"copy-sse", "KiB copied by 16 bytes", 4 * kCopied / 1024, sse_copy},
    {"chase-512k", "dependent load within 512 KiB", kSteps, chase_near},
    {"chase-16m", "dependent load within 16 MiB", kSteps, chase_far},
    {0, 0, 0, 0}};
