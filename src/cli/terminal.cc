#include "cli/terminal.h"

#include <fcntl.h>
#include <poll.h>
#include <unistd.h>

#include <array>
#include <cerrno>

namespace husk::cli {
namespace {

constexpr std::string_view kPanic = "Kernel panic - not syncing: ";
constexpr size_t kLongestLine = 512;
constexpr int kRetryMs = 2;  // how long to wait when the guest takes nothing

}  // namespace

RawTerminal::RawTerminal() {
  if (::isatty(STDIN_FILENO) == 0 || ::tcgetattr(STDIN_FILENO, &saved_) != 0) return;
  termios raw = saved_;
  ::cfmakeraw(&raw);
  active_ = ::tcsetattr(STDIN_FILENO, TCSANOW, &raw) == 0;
}

RawTerminal::~RawTerminal() {
  if (active_) ::tcsetattr(STDIN_FILENO, TCSANOW, &saved_);
}

void ConsoleOutput::write(std::span<const std::byte> data) {
  for (const std::byte byte : data) scan(static_cast<char>(byte));
  while (!data.empty()) {
    const ssize_t n = ::write(fd_, data.data(), data.size());
    if (n < 0 && errno == EINTR) continue;
    if (n <= 0) return;  // nobody reads any more; the guest need not know
    data = data.subspan(static_cast<size_t>(n));
  }
}

void ConsoleOutput::scan(char c) {
  if (c != '\n' && c != '\r') {
    if (line_.size() < kLongestLine) line_ += c;
    return;
  }
  const size_t at = line_.find(kPanic);
  if (at != std::string::npos && panic_.empty()) panic_ = line_.substr(at + kPanic.size());
  line_.clear();
}

InputPump::InputPump(int fd, Take take, std::function<void()> at_end)
    : fd_(fd), take_(std::move(take)), at_end_(std::move(at_end)) {
  if (::pipe2(wake_, O_CLOEXEC) != 0) return;
  thread_ = std::thread([this] { run(); });
}

InputPump::~InputPump() {
  stopping_ = true;
  if (thread_.joinable()) {
    [[maybe_unused]] const ssize_t n = ::write(wake_[1], "", 1);
    thread_.join();
  }
  for (const int fd : wake_) {
    if (fd >= 0) ::close(fd);
  }
}

void InputPump::run() {
  std::array<std::byte, 4096> buffer;
  while (!stopping_) {
    pollfd fds[2] = {{fd_, POLLIN, 0}, {wake_[0], POLLIN, 0}};
    if (::poll(fds, 2, -1) < 0 && errno != EINTR) return;
    if (stopping_ || fds[1].revents != 0) return;
    if (fds[0].revents == 0) continue;
    const ssize_t n = ::read(fd_, buffer.data(), buffer.size());
    if (n <= 0) {
      if (at_end_) at_end_();
      return;
    }
    std::span<const std::byte> rest(buffer.data(), static_cast<size_t>(n));
    while (!rest.empty() && !stopping_) {
      const size_t taken = take_(rest);
      rest = rest.subspan(taken);
      if (taken == 0) {
        pollfd wake{wake_[0], POLLIN, 0};
        ::poll(&wake, 1, kRetryMs);
      }
    }
  }
}

}  // namespace husk::cli
