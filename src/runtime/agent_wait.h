// The serial port of a machine that boots and of which only one thing is of interest: that its
// agent listens.
#pragma once

#include <chrono>
#include <condition_variable>
#include <mutex>

#include "husk/error.h"

#include "runtime/serial_watch.h"

namespace husk::runtime {

class AgentWait {
 public:
  [[nodiscard]] contract::ByteSink& serial() { return watch_; }
  // kTimeout: not within the time that a boot takes on a slow host.
  [[nodiscard]] Result<void> wait() {
    constexpr std::chrono::seconds kLimit(120);
    std::unique_lock lock(mutex_);
    if (changed_.wait_for(lock, kLimit, [&] { return ready_; })) return {};
    return fail(ErrorKind::kTimeout, "guest", "its agent does not start");
  }

 private:
  void ready() {
    const std::lock_guard lock(mutex_);
    ready_ = true;
    changed_.notify_all();
  }
  std::mutex mutex_;
  std::condition_variable changed_;
  bool ready_ = false;
  SerialWatch watch_{[](std::string_view) {}, [this](std::string_view) { ready(); }};
};

}  // namespace husk::runtime
