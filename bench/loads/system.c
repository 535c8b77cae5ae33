// The kernel's part: system calls, processes, pipes.
#define _GNU_SOURCE
#include <stdlib.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "loads.h"

static uint64_t system_calls(void) {
  uint64_t calls = 0;
  for (int i = 0; i < 3000; ++i) calls += syscall(SYS_getppid) >= 0;
  return calls;
}

static uint64_t wait_for(pid_t child) {
  int status = 0;
  if (child < 0 || waitpid(child, &status, 0) != child || !WIFEXITED(status)) abort();
  return (uint64_t)WEXITSTATUS(status);
}

static uint64_t fork_only(void) {
  uint64_t sum = 0;
  for (int i = 0; i < 8; ++i) {
    const pid_t child = fork();
    if (child == 0) _exit(i);
    sum += wait_for(child);
  }
  return sum;
}

// Itself again, with the argument that makes it leave at once.
static uint64_t fork_exec(void) {
  uint64_t sum = 0;
  for (int i = 0; i < 4; ++i) {
    const pid_t child = fork();
    if (child == 0) {
      execl("/proc/self/exe", "loads", "exit", (char*)0);
      _exit(99);
    }
    sum += wait_for(child);
  }
  return sum;
}

static uint64_t pipe_ping_pong(void) {
  int there[2], back[2];
  uint64_t sum = 0;
  if (pipe(there) != 0 || pipe(back) != 0) abort();
  const pid_t child = fork();
  if (child == 0) {
    unsigned char byte;
    close(there[1]);
    while (read(there[0], &byte, 1) == 1) {
      ++byte;
      if (write(back[1], &byte, 1) != 1) _exit(1);
    }
    _exit(0);
  }
  for (int i = 0; i < 200; ++i) {
    unsigned char byte = (unsigned char)i;
    if (write(there[1], &byte, 1) != 1 || read(back[0], &byte, 1) != 1) abort();
    sum += byte;
  }
  close(there[1]);
  close(there[0]);
  close(back[0]);
  close(back[1]);
  return sum + wait_for(child);
}

const struct load system_loads[] = {{"system-calls", system_calls},
                                    {"fork", fork_only},
                                    {"fork-exec", fork_exec},
                                    {"pipe-ping-pong", pipe_ping_pong},
                                    {0, 0}};
