// Processes: made, replaced by a program, waited for.
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

#include "loads.h"

static uint64_t wait_for(pid_t child) {
  int status = 0;
  if (child < 0 || waitpid(child, &status, 0) != child || !WIFEXITED(status)) abort();
  return (uint64_t)WEXITSTATUS(status);
}

static uint64_t fork_only(void) {
  const pid_t child = fork();
  if (child == 0) _exit(42);
  return wait_for(child);
}

// Itself again, with the argument that makes it leave at once.
static uint64_t fork_exec(void) {
  const pid_t child = fork();
  if (child == 0) {
    execl("/proc/self/exe", "loads", "exit", (char*)0);
    _exit(99);
  }
  return wait_for(child);
}

const struct load process_loads[] = {
    {"fork", "fork, exit, wait", 1, fork_only},
    {"fork-exec", "fork, exec of a static program, wait", 1, fork_exec},
    {0, 0, 0, 0}};
