// Runs loads one after the other. As PID 1 it mounts /proc, runs what "loads=a,b" on the kernel's command
// line asks for, and powers off; otherwise its arguments are: MILLISECONDS [LOAD...].
//
// Each load chooses by its own clock how many units take that long. How long they took is not said here:
// whoever reads the output stamps the lines "begin" and "end" with a clock that no emulator can bend.
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/reboot.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "loads.h"

static const struct load* const families[] = {integer_loads, control_loads, float_loads, memory_loads,
                                              system_loads};

static double now(void) {
  struct timespec t;
  clock_gettime(CLOCK_MONOTONIC, &t);
  return (double)t.tv_sec + (double)t.tv_nsec * 1e-9;
}

static uint64_t run_units(const struct load* load, uint64_t units) {
  const uint64_t checksum = load->unit();
  for (uint64_t i = 1; i < units; ++i) {
    if (load->unit() != checksum) {
      printf("wrong %s\n", load->name);
      return ~checksum;
    }
  }
  return checksum;
}

static void run(const struct load* load, double seconds) {
  uint64_t units = 1;
  double took = 0;
  for (;; units *= 2) {
    const double start = now();
    run_units(load, units);
    took = now() - start;
    if (took >= seconds / 4 || took <= 0) break;
  }
  if (took > 0) units = 1 + (uint64_t)((double)units * seconds / took);
  printf("begin %s\n", load->name);
  const uint64_t checksum = run_units(load, units);
  printf("end %s %llu %016llx\n", load->name, (unsigned long long)units, (unsigned long long)checksum);
}

static int is_wanted(const char* name, int count, char** wanted) {
  if (count == 0) return 1;
  for (int i = 0; i < count; ++i)
    if (strcmp(name, wanted[i]) == 0) return 1;
  return 0;
}

static void run_all(double seconds, int count, char** wanted) {
  for (size_t family = 0; family < sizeof(families) / sizeof(families[0]); ++family)
    for (const struct load* load = families[family]; load->name; ++load)
      if (is_wanted(load->name, count, wanted)) run(load, seconds);
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
  for (char* name = names ? strtok(names, ",") : 0; name && count < 64; name = strtok(0, ",")) wanted[count++] = name;
  run_all(milliseconds ? atof(milliseconds) / 1000 : 0.4, count, wanted);
  reboot(RB_POWER_OFF);
}

int main(int argc, char** argv) {
  if (argc == 2 && strcmp(argv[1], "exit") == 0) return 3;
  setvbuf(stdout, 0, _IOLBF, 0);
  if (getpid() == 1) {
    run_as_init();
  } else {
    run_all(argc > 1 ? atof(argv[1]) / 1000 : 0.4, argc > 2 ? argc - 2 : 0, argv + 2);
  }
  return 0;
}
