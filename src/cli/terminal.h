// The user's terminal as the machine's serial console.
#pragma once

#include <termios.h>

#include <atomic>
#include <functional>
#include <string>
#include <thread>

#include "contract/byte_channel.h"

namespace husk::cli {

// Puts stdin into raw mode while it lives, if it is a terminal; restores it on every way out.
class RawTerminal {
 public:
  RawTerminal();
  ~RawTerminal();
  RawTerminal(const RawTerminal&) = delete;
  RawTerminal& operator=(const RawTerminal&) = delete;

 private:
  bool active_ = false;
  termios saved_{};
};

// Writes what the guest prints to a descriptor, and watches for a kernel panic on the way.
class ConsoleOutput : public contract::ByteSink {
 public:
  explicit ConsoleOutput(int fd) : fd_(fd) {}
  void write(std::span<const std::byte> data) override;
  // The reason of the last panic that the kernel printed; empty for none. Once the machine has
  // ended.
  [[nodiscard]] const std::string& panic() const { return panic_; }

 private:
  void scan(char c);
  int fd_;
  std::string line_;
  std::string panic_;
};

// Reads a descriptor on a thread of its own and gives the bytes to `take`, which returns how many
// it took; `at_end` is called when there are no more.
class InputPump {
 public:
  using Take = std::function<size_t(std::span<const std::byte>)>;
  InputPump(int fd, Take take, std::function<void()> at_end = {});
  ~InputPump();
  InputPump(const InputPump&) = delete;
  InputPump& operator=(const InputPump&) = delete;

 private:
  void run();
  int fd_;
  int wake_[2] = {-1, -1};
  Take take_;
  std::function<void()> at_end_;
  std::atomic<bool> stopping_{false};
  std::thread thread_;
};

}  // namespace husk::cli
