// One more command in a container that runs, started by this process or by another one.
//
//   auto command = HUSK_TRY(exec(vsock_path, {.argv = {"ls", "-l"}}, {print, print_error}));
//   const ContainerExit exit = HUSK_TRY(command->wait());
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "husk/error.h"

#include "base/fd.h"
#include "runtime/running_command.h"

namespace husk::runtime {

struct ExecOptions {
  std::vector<std::string> argv;  // not empty
  std::vector<std::string> environment =
      {};  // KEY=VALUE, over that of the container's first command
  std::string working_directory = {}, user = {};  // empty: as the container's first command
  bool terminal = false;
  bool input = false;              // otherwise the command's input is empty
  uint32_t rows = 0, columns = 0;  // of the terminal; 0: not known
};

// In the machine whose vsock's host side is at `vsock_path`, of whichever process. Returns once the
// guest has taken the connection, within 10 s. Whether the command could be started is the result
// of wait(): 126 and 127 are exit codes, all else errors. When the returned object goes before the
// command has ended, the command gets SIGHUP; when the machine ends, wait() returns an error.
[[nodiscard]] Result<std::unique_ptr<RunningCommand>> exec(const std::string& vsock_path,
                                                           const ExecOptions& options,
                                                           CommandOutput output);

// The same over a connection to the agent's port that somebody else has made.
[[nodiscard]] Result<std::unique_ptr<RunningCommand>> exec_over(base::Fd connection,
                                                                const ExecOptions& options,
                                                                CommandOutput output);

}  // namespace husk::runtime
