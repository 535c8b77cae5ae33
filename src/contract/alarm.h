// One-shot host timers for devices, without a device knowing the event loop.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>

namespace husk::contract {

// One alarm. Setting it again moves it; the callback runs on the machine's I/O thread, after the
// deadline (CLOCK_MONOTONIC nanoseconds). Destroying it waits until a running callback has
// returned.
class Alarm {
 public:
  virtual ~Alarm() = default;
  virtual void set(uint64_t deadline_ns) = 0;
  virtual void cancel() = 0;
};

class AlarmFactory {
 public:
  virtual ~AlarmFactory() = default;
  virtual std::unique_ptr<Alarm> create_alarm(std::function<void()> callback) = 0;
};

}  // namespace husk::contract
