// What the verbs about machines that stay do once the command line is read. Each returns the
// process's exit code, which is Docker's: 1 for a machine that is not there, or does not want to.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "runtime/exec.h"

namespace husk::cli::machines {

using Names = std::vector<std::string>;

struct PsOptions {
  bool all = false, quiet = false, no_trunc = false;
  std::string format = "table";  // or "json"
};
int ps(const PsOptions& options);

struct LogsOptions {
  std::string name;
  bool follow = false, timestamps = false;
  std::string tail = "all", since;
};
int logs(const LogsOptions& options);

struct ExecRequest {
  std::string name;
  runtime::ExecOptions command;
  bool detach = false;
};
int exec(ExecRequest& request);

struct DebugRequest {
  std::string name;
  std::string port;     // of 127.0.0.1; empty: a socket in the machine's folder
  std::string batch;    // a file of GDB's commands; empty: the user types them
  std::string symbols;  // the program that GDB is to know; empty: none
};
int debug(const DebugRequest& request);

int inspect(const Names& names);
int wait(const Names& names);
int pause(const Names& names);
int unpause(const Names& names);
int stop(const Names& names, uint64_t seconds);
int kill(const Names& names, const std::string& signal);
int rm(const Names& names, bool force);

}  // namespace husk::cli::machines
