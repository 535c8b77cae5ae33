// The container's command: started as its user, with its descriptors as pipes or a terminal.
#pragma once

#include <sys/types.h>

#include <string>

#include "agent/guest/descriptor.h"
#include "agent/protocol/message.h"

namespace husk::agent {

// The agent's ends. A terminal has one for input and one for output.
struct Command {
  pid_t pid = -1;
  Descriptor input, output, error;
  bool terminal = false;
};

// What went wrong before the command ran, with Docker's exit code for it.
struct StartFailure {
  int code = 0;  // 126 not executable, 127 not found, 125 anything else; 0: none
  std::string reason;
};

// Returns once the command runs, or will not.
StartFailure start(const RunRequest& request, Command& command);

}  // namespace husk::agent
