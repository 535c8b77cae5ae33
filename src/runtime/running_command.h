// A command that runs in a guest, as whoever started it sees it: its input, its signals, its
// terminal's size and its end. The first one of a container is the Container itself; further ones
// come from exec.h.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <span>
#include <string>
#include <string_view>

#include "husk/error.h"

namespace husk::runtime {

struct ContainerExit {
  int code = 0;
  std::string reason;  // why it could not be executed, for 126 and 127
};

// What a command writes. Called on a thread of the command's, one at a time; while one blocks, the
// command's further output waits in the guest.
struct CommandOutput {
  std::function<void(std::string_view)> out, err;
};

class RunningCommand {
 public:
  virtual ~RunningCommand() = default;

  // Any thread.
  virtual size_t send_input(
      std::span<const std::byte> data) = 0;  // how much was taken; 0: none now
  virtual void close_input() = 0;
  virtual void send_signal(int number) = 0;
  virtual void resize(uint32_t rows, uint32_t columns) = 0;

  // Until the command has ended and all of its output was delivered. An error: it could not be
  // begun, or its end will never be known.
  [[nodiscard]] virtual Result<ContainerExit> wait() = 0;
};

}  // namespace husk::runtime
