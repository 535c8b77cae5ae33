// Runs loads one after the other. As PID 1 it mounts /proc, runs what "loads=a,b" on the kernel's
// command line asks for, and powers off; otherwise its arguments are: MILLISECONDS [LOAD...].
//
// Of a load it says "load NAME UNITS-PER-CALL UNIT", for each of three samples "begin NAME" and
// "end NAME CALLS", and then what its own clock made of it, in one line of JSON. That clock decides
// only how many calls make a sample: whoever reads the output stamps "begin" and "end" with a clock
// that no emulator can bend.
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/reboot.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "loads.h"

enum { kSamples = 3, kExitedByExec = 3 };

// Processes come first: what others touch would make every fork dearer.
static const struct load* const families[] = {
    process_loads, kernel_loads, page_loads,   integer_loads, branch_loads,
    call_loads,    float_loads,  vector_loads, hash_loads,    memory_loads};

static double nanoseconds(void) {
  struct timespec t;
  clock_gettime(CLOCK_MONOTONIC, &t);
  return (double)t.tv_sec * 1e9 + (double)t.tv_nsec;
}

// Nanoseconds that the calls took.
static double run_calls(const struct load* load, uint64_t calls, uint64_t checksum) {
  const double start = nanoseconds();
  for (uint64_t i = 0; i < calls; ++i) {
    const uint64_t computed = load->call();
    if (computed == checksum) continue;
    printf("wrong %s %016llx after %016llx\n", load->name, (unsigned long long)computed,
           (unsigned long long)checksum);
    return nanoseconds() - start;
  }
  return nanoseconds() - start;
}

// How many calls take that long, about.
static uint64_t calibrate(const struct load* load, double wanted, uint64_t checksum) {
  if (wanted <= 0) return 1;
  for (uint64_t calls = 1;; calls *= 2) {
    const double took = run_calls(load, calls, checksum);
    if (took >= wanted / 4) return 1 + (uint64_t)((double)calls * wanted / took);
  }
}

static void run(const struct load* load, double milliseconds) {
  double sample[kSamples];
  printf("load %s %u %s\n", load->name, load->units, load->unit);
  const uint64_t checksum = load->call();  // and this warms up
  const uint64_t calls = calibrate(load, milliseconds * 1e6, checksum);
  for (int i = 0; i < kSamples; ++i) {
    printf("begin %s\n", load->name);
    sample[i] = run_calls(load, calls, checksum) / ((double)calls * load->units);
    printf("end %s %llu\n", load->name, (unsigned long long)calls);
  }
  const double low = sample[0] < sample[1] ? sample[0] : sample[1],
               high = sample[0] + sample[1] - low;
  const double median = sample[2] < low ? low : sample[2] > high ? high : sample[2];
  printf(
      "{\"load\":\"%s\",\"unit\":\"%s\",\"ns_per_unit\":%.3f,\"samples\":[%.3f,%.3f,%.3f],"
      "\"checksum\":\"%016llx\"}\n",
      load->name, load->unit, median, sample[0], sample[1], sample[2],
      (unsigned long long)checksum);
}

static int is_wanted(const char* name, int count, char** wanted) {
  if (count == 0) return 1;
  for (int i = 0; i < count; ++i)
    if (strcmp(name, wanted[i]) == 0) return 1;
  return 0;
}

static void run_all(double milliseconds, int count, char** wanted) {
  for (size_t family = 0; family < sizeof(families) / sizeof(families[0]); ++family)
    for (const struct load* load = families[family]; load->name; ++load)
      if (is_wanted(load->name, count, wanted)) run(load, milliseconds);
  for (const struct load* load = parallel_loads; count > 0 && load->name; ++load)
    if (is_wanted(load->name, count, wanted)) run(load, milliseconds);
  printf("all done\n");
}

// The kernel hands NAME=VALUE words that it does not know to PID 1 as environment.
static void run_as_init(void) {
  char* wanted[64];
  int count = 0;
  const char* milliseconds = getenv("milliseconds");
  char* names = getenv("loads");
  mkdir("/proc", 0755);
  mount("proc", "/proc", "proc", 0, 0);
  for (char* name = names ? strtok(names, ",") : 0; name && count < 64; name = strtok(0, ","))
    wanted[count++] = name;
  run_all(milliseconds ? atof(milliseconds) : 0, count, wanted);
  reboot(RB_POWER_OFF);
}

int main(int argc, char** argv) {
  if (argc == 2 && strcmp(argv[1], "exit") == 0) return kExitedByExec;
  setvbuf(stdout, 0, _IOLBF, 0);
  if (getpid() == 1) {
    run_as_init();
  } else {
    run_all(argc > 1 ? atof(argv[1]) : 0, argc > 2 ? argc - 2 : 0, argv + 2);
  }
  return 0;
}
