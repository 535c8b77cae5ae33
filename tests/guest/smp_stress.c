// Threads that lean on what several vCPUs must agree on: locked arithmetic, futexes, memory order
// and TLB shoot-downs. Prints OK and the counts after about three seconds, or says what broke.
// Usage: smp_stress [THREADS]
#define _GNU_SOURCE
#include <pthread.h>
#include <setjmp.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

enum { kMostThreads = 16, kSeconds = 3 };

static atomic_bool stopping;
static atomic_int broken;

static void breaks(const char* what) {
  if (atomic_exchange(&broken, 1) == 0) printf("BROKEN %s\n", what);
  atomic_store(&stopping, true);
}

// 1. Locked instructions lose nothing: each thread's own count adds up to the shared ones.
static atomic_ulong added, swapped;
static _Alignas(16) unsigned __int128 wide;

struct counts {
  unsigned long adds, swaps, wides;
};

static void add_wide(void) {
  uint64_t lo = (uint64_t)wide, hi = (uint64_t)(wide >> 64);
  unsigned char done = 0;
  while (!done) {
    uint64_t new_lo = lo + 1, new_hi = hi - 1;
    __asm__ volatile("lock cmpxchg16b %1; setz %0"
                     : "=q"(done), "+m"(wide), "+a"(lo), "+d"(hi)
                     : "b"(new_lo), "c"(new_hi)
                     : "cc", "memory");
  }
}

static void* count(void* argument) {
  struct counts* mine = argument;
  while (!atomic_load_explicit(&stopping, memory_order_relaxed)) {
    for (int i = 0; i < 1000; ++i) {
      atomic_fetch_add(&added, 3);
      mine->adds += 3;
      unsigned long seen = atomic_load(&swapped);
      while (!atomic_compare_exchange_weak(&swapped, &seen, seen + 1)) {
      }
      ++mine->swaps;
      add_wide();
      ++mine->wides;
    }
  }
  return NULL;
}

// 2. Mutex and condition (futexes): two sides hand one token to and fro and never see it twice.
static pthread_mutex_t token_lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t token_moved = PTHREAD_COND_INITIALIZER;
static unsigned long token;

static void* pass_token(void* argument) {
  const unsigned long side = (uintptr_t)argument;
  pthread_mutex_lock(&token_lock);
  while (!atomic_load(&stopping)) {
    if (token % 2 == side) {
      ++token;
      pthread_cond_signal(&token_moved);
      continue;
    }
    struct timespec until;
    clock_gettime(CLOCK_REALTIME, &until);
    until.tv_sec += 1;
    pthread_cond_timedwait(&token_moved, &token_lock, &until);
  }
  pthread_cond_broadcast(&token_moved);
  pthread_mutex_unlock(&token_lock);
  return NULL;
}

// 3. x86 memory order. A message's body is seen once its flag is; and with fences two writers
// cannot both miss each other.
static _Alignas(64) volatile unsigned long body;
static _Alignas(64) volatile unsigned long flag;
static unsigned long messages;

static void* send_messages(void* argument) {
  (void)argument;
  for (unsigned long n = 1; !atomic_load(&stopping); ++n) {
    body = n;
    __asm__ volatile("" ::: "memory");
    flag = n;
  }
  return NULL;
}

static void* receive_messages(void* argument) {
  (void)argument;
  while (!atomic_load(&stopping)) {
    const unsigned long f = flag;
    __asm__ volatile("" ::: "memory");
    const unsigned long b = body;
    if (b < f) breaks("message passing: body older than its flag");
    ++messages;
  }
  return NULL;
}

static _Alignas(64) atomic_int wants[2];
static _Alignas(64) volatile unsigned long guarded;
static unsigned long entered[2];

// Dekker's idea: say that one wants, fence, look at the other. Only store-load order keeps both out
// of the middle.
static void* enter(void* argument) {
  const int me = (int)(uintptr_t)argument;
  while (!atomic_load(&stopping)) {
    atomic_store_explicit(&wants[me], 1, memory_order_relaxed);
    __asm__ volatile("mfence" ::: "memory");
    if (atomic_load_explicit(&wants[1 - me], memory_order_relaxed) == 0) {
      ++guarded;
      ++entered[me];
    }
    atomic_store_explicit(&wants[me], 0, memory_order_release);
  }
  return NULL;
}

// 4. Shoot-downs: once mprotect(PROT_READ) has returned, no other thread's store to the page may
// land.
static volatile unsigned long* page;
static atomic_ulong write_faults;
static unsigned long protections;
static _Thread_local sigjmp_buf after_fault;

static void on_fault(int signal) {
  (void)signal;
  atomic_fetch_add(&write_faults, 1);
  siglongjmp(after_fault, 1);
}

static void* write_page(void* argument) {
  volatile unsigned long* slot = page + 1 + (uintptr_t)argument;
  sigsetjmp(after_fault, 1);
  while (!atomic_load(&stopping)) ++*slot;
  return NULL;
}

static void* protect_page(void* argument) {
  (void)argument;
  while (!atomic_load(&stopping)) {
    if (mprotect((void*)page, 4096, PROT_READ) != 0) breaks("mprotect failed");
    unsigned long before[kMostThreads];
    for (int i = 0; i < kMostThreads; ++i) before[i] = page[1 + i];
    for (volatile int spin = 0; spin < 20000; ++spin) {
    }
    for (int i = 0; i < kMostThreads; ++i)
      if (before[i] != page[1 + i]) breaks("a store landed in a read-only page");
    if (mprotect((void*)page, 4096, PROT_READ | PROT_WRITE) != 0) breaks("mprotect failed");
    ++protections;
    usleep(200);
  }
  return NULL;
}

int main(int argc, char** argv) {
  int counters = argc > 1 ? atoi(argv[1]) : 2;
  if (counters < 2) counters = 2;
  if (counters > kMostThreads) counters = kMostThreads;
  page = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  struct sigaction action = {.sa_handler = on_fault};
  sigaction(SIGSEGV, &action, NULL);

  // One kind of stress after the other, so that each has the vCPUs to itself.
  static struct counts mine[kMostThreads];
  pthread_t threads[2 * kMostThreads];
  for (int round = 0; round < 5; ++round) {
    int n = 0;
    atomic_store(&stopping, false);
    if (round == 0)
      while (n < counters) {
        pthread_create(&threads[n], NULL, count, &mine[n]);
        ++n;
      }
    for (uintptr_t side = 0; side < 2; ++side) {
      if (round == 1) pthread_create(&threads[n++], NULL, pass_token, (void*)side);
      if (round == 2)
        pthread_create(&threads[n++], NULL, side ? send_messages : receive_messages, NULL);
      if (round == 3) pthread_create(&threads[n++], NULL, enter, (void*)side);
      if (round == 4) pthread_create(&threads[n++], NULL, side ? write_page : protect_page, NULL);
    }
    usleep(kSeconds * 1000000 / 5);
    atomic_store(&stopping, true);
    for (int i = 0; i < n; ++i) pthread_join(threads[i], NULL);
  }

  struct counts all = {0, 0, 0};
  for (int i = 0; i < counters; ++i) {
    all.adds += mine[i].adds;
    all.swaps += mine[i].swaps;
    all.wides += mine[i].wides;
  }
  if (all.adds != atomic_load(&added)) breaks("lock xadd lost an addition");
  if (all.swaps != atomic_load(&swapped)) breaks("lock cmpxchg lost an addition");
  if ((uint64_t)wide != all.wides || (uint64_t)(wide >> 64) != (uint64_t)-all.wides)
    breaks("lock cmpxchg16b lost an addition");
  if (guarded != entered[0] + entered[1]) breaks("two threads were in the middle at once");
  if (token < 2 || messages == 0 || protections == 0 || all.adds == 0 ||
      entered[0] + entered[1] == 0)
    breaks("nothing happened");
  printf("adds %lu tokens %lu messages %lu entered %lu protections %lu faults %lu on %ld cpus\n",
         all.adds, token, messages, entered[0] + entered[1], protections,
         atomic_load(&write_faults), sysconf(_SC_NPROCESSORS_ONLN));
  if (!atomic_load(&broken)) puts("OK");
  return atomic_load(&broken);
}
