// Two workers side by side, each with the same share of work of another load: a machine with two
// processors needs half the time of one that has one.
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include "loads.h"

enum { kWorkers = 2 };

// Each worker is a process that does `share` calls of a load.
static uint64_t side_by_side(uint64_t (*call)(void), int share) {
  static uint64_t* sums;  // where the workers leave theirs
  if (!sums)
    sums =
        mmap(0, sizeof *sums * kWorkers, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
  if (sums == MAP_FAILED) abort();
  for (int worker = 0; worker < kWorkers; ++worker) {
    const pid_t child = fork();
    if (child < 0) abort();
    if (child != 0) continue;
    uint64_t sum = 0;
    for (int i = 0; i < share; ++i) sum = sum * 31 + call();
    sums[worker] = sum;
    _exit(0);
  }
  for (int worker = 0; worker < kWorkers; ++worker) {
    int status = 0;
    if (wait(&status) < 0 || !WIFEXITED(status) || WEXITSTATUS(status) != 0) abort();
  }
  return sums[0] ^ sums[1] * 3;
}

static uint64_t hashes(void) { return side_by_side(hash_loads[0].call, 200); }
static uint64_t branches(void) { return side_by_side(branch_loads[0].call, 200); }
static uint64_t system_calls(void) { return side_by_side(kernel_loads[0].call, 10); }
static uint64_t faults(void) { return side_by_side(page_loads[0].call, 10); }
static uint64_t forks(void) { return side_by_side(process_loads[0].call, 20); }

const struct load parallel_loads[] = {{"parallel-hash", "two workers' shares", 1, hashes},
                                      {"parallel-branch", "two workers' shares", 1, branches},
                                      {"parallel-calls", "two workers' shares", 1, system_calls},
                                      {"parallel-faults", "two workers' shares", 1, faults},
                                      {"parallel-forks", "two workers' shares", 1, forks},
                                      {0, 0, 0, 0}};
