// What a virtio device is to its transport.
#pragma once

#include <cstdint>
#include <functional>
#include <mutex>
#include <vector>

#include "virtio/queue.h"

namespace husk::virtio {

constexpr uint64_t kFeatureIndirect = uint64_t{1} << 28, kFeatureEventIndex = uint64_t{1} << 29,
                   kFeatureVersion1 = uint64_t{1} << 32;

// How a device raises its interrupts; any thread.
class Notifier {
 public:
  virtual ~Notifier() = default;
  virtual void used_buffer() = 0;
  virtual void config_changed() = 0;
  virtual void needs_reset() = 0;
};

// Every member but mutex() is called with mutex() held.
class Device {
 public:
  virtual ~Device() = default;
  [[nodiscard]] virtual uint32_t id() const = 0;
  [[nodiscard]] virtual uint64_t features() const = 0;
  [[nodiscard]] virtual uint32_t queue_count() const = 0;
  [[nodiscard]] virtual uint8_t read_config(uint64_t offset) const = 0;
  virtual void write_config(uint64_t, uint8_t) {}
  // The driver is ready: `queues` has one entry a queue, not ready() where the driver set none up.
  virtual void activate(uint64_t features, std::vector<Queue>& queues, Notifier& notifier) = 0;
  virtual void reset() = 0;
  // Between the two the machine is paused: whatever its host's side does, the device leaves guest
  // memory alone.
  virtual void hold() {}
  virtual void go_on() {}
  // The driver made chains available. An error means that it broke the rules.
  [[nodiscard]] virtual Result<void> notified(uint32_t queue) = 0;
  // What the device itself remembers beyond its queues, which have been restored by then and, where
  // the driver had been ready, activated.
  virtual void transfer_state(contract::StateArchive&) {}

  [[nodiscard]] std::mutex& mutex() { return mutex_; }

 private:
  std::mutex mutex_;
};

}  // namespace husk::virtio
