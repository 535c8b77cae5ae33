// A container's command on this process's terminal: its output, its input, its signals.
#pragma once

#include "husk/error.h"

#include "cli/progress.h"
#include "runtime/container.h"

namespace husk::cli {

// Before the process has a second thread: signals are for attend().
void block_signals();

// Where the command's output goes. The progress line leaves before the first byte of it.
[[nodiscard]] runtime::ContainerOutput outputs(Progress& progress);

// What is passed on to the command besides signals.
struct Streams {
  bool terminal = false;  // standard input is one, and is put into raw mode
  bool input = false;
};

// Passes terminal, input and signals on until the command has ended.
[[nodiscard]] Result<runtime::ContainerExit> attend(runtime::Container& running, Streams streams);

// This process's terminal; zeroes, where it has none.
struct TerminalSize {
  uint32_t rows = 0, columns = 0;
};
[[nodiscard]] TerminalSize terminal_size();

}  // namespace husk::cli
