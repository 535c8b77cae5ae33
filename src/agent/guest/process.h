// The container's command: started as its user, with its descriptors as pipes or a terminal.
#pragma once

#include <sys/types.h>

#include <string>

#include "agent/protocol/message.h"

namespace husk::agent {

// The agent's ends; -1 where there is none. A terminal is one descriptor for input and output.
struct Command {
  pid_t pid = -1;
  int input = -1, output = -1, error = -1;
  bool terminal = false;
};

// What went wrong before the command ran, with Docker's exit code for it.
struct StartFailure {
  int code = 0;  // 126 not executable, 127 not found, 125 anything else; 0: none
  std::string reason;
};

StartFailure start(const RunRequest& request, Command& command);

}  // namespace husk::agent
