// What a container's machine says on its serial port, line by line: that the agent listens, or what
// the kernel panicked of.
#pragma once

#include <functional>
#include <optional>
#include <string>
#include <string_view>

#include "contract/byte_channel.h"

namespace husk::runtime {

class SerialWatch : public contract::ByteSink {
 public:
  // Of each line, and of the address in the line that says that the guest is ready; on the thread
  // that serves the serial port.
  using LineHandler = std::function<void(std::string_view)>;
  SerialWatch(LineHandler on_line, LineHandler on_ready)
      : on_line_(std::move(on_line)), on_ready_(std::move(on_ready)) {}
  void write(std::span<const std::byte> data) override;
  // The reason of the first kernel panic; empty: none. Once the machine has ended.
  [[nodiscard]] const std::string& panic() const { return panic_; }

 private:
  void take_line();

  LineHandler on_line_, on_ready_;
  std::string line_, panic_;
};

}  // namespace husk::runtime
