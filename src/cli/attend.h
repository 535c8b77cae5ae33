// A running command and the user's terminal: input, signals and size go in until it has ended.
#pragma once

#include "husk/error.h"

#include "runtime/running_command.h"

namespace husk::cli {

// Leaves the signals that attend() passes on to it. Before any thread is started.
void block_forwarded_signals();

struct Attendance {
  bool input = false;     // standard input is the command's
  bool terminal = false;  // which is a terminal, and raw meanwhile
};
[[nodiscard]] Result<runtime::ContainerExit> attend(runtime::RunningCommand& command,
                                                    const Attendance& attendance);

// All of it, to a descriptor; nobody reads it any more: the command need not know.
void write_all(int fd, std::string_view text);

// Of the terminal that standard input is.
struct TerminalSize {
  uint32_t rows = 0, columns = 0;
};
[[nodiscard]] TerminalSize terminal_size();

}  // namespace husk::cli
