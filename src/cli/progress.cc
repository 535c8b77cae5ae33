#include "cli/progress.h"

#include <fmt/core.h>
#include <unistd.h>

#include <chrono>
#include <utility>

namespace husk::cli {
namespace {

using namespace std::chrono_literals;

constexpr std::chrono::milliseconds kPatience = 1s, kRefresh = 200ms;
constexpr std::string_view kEraseLine = "\r\x1b[K";

}  // namespace

Progress::Progress(std::string what) : what_(std::move(what)) {
  if (::isatty(STDERR_FILENO) == 0) {
    stopped_ = true;
    return;
  }
  thread_ = std::thread([this] { run(); });
}

void Progress::now(std::string what) {
  const std::lock_guard lock(mutex_);
  what_ = std::move(what);
}

void Progress::stop() {
  {
    const std::lock_guard lock(mutex_);
    if (std::exchange(stopped_, true)) return;
    if (shown_) fmt::print(stderr, "{}", kEraseLine);
  }
  changed_.notify_all();
  thread_.join();
}

void Progress::run() {
  const auto start = std::chrono::steady_clock::now();
  std::unique_lock lock(mutex_);
  std::chrono::milliseconds wait = kPatience;
  while (!changed_.wait_for(lock, wait, [&] { return stopped_; })) {
    const std::chrono::duration<double> elapsed = std::chrono::steady_clock::now() - start;
    fmt::print(stderr, "{}husk: {} ... {:.1f} s", kEraseLine, what_, elapsed.count());
    shown_ = true;
    wait = kRefresh;
  }
}

}  // namespace husk::cli
