// Pages that the kernel has to find: mapped, touched for the first time, unmapped.
#include <stdlib.h>
#include <sys/mman.h>

#include "loads.h"

enum { kPages = 64, kPage = 4096 };

static uint64_t faults(void) {
  volatile char* pages =
      mmap(0, kPages * kPage, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (pages == MAP_FAILED) abort();
  uint64_t sum = 0;
  for (int i = 0; i < kPages; ++i) {
    pages[i * kPage] = (char)i;
    sum = sum * 31 + (unsigned char)pages[i * kPage] + (unsigned char)pages[i * kPage + 1];
  }
  munmap((void*)pages, kPages * kPage);
  return sum;
}

const struct load page_loads[] = {
    {"page-fault", "first touch of a page, mapped by 64", kPages, faults}, {0, 0, 0, 0}};
