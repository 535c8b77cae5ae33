// The entropy device (virtio 1.2, section 5.4).
#pragma once

#include "virtio/device.h"

namespace husk::virtio {

class Rng : public Device {
 public:
  [[nodiscard]] uint32_t id() const override { return 4; }
  [[nodiscard]] uint64_t features() const override { return 0; }
  [[nodiscard]] uint32_t queue_count() const override { return 1; }
  [[nodiscard]] uint8_t read_config(uint64_t) const override { return 0; }
  void activate(uint64_t features, std::vector<Queue>& queues, Notifier& notifier) override;
  void reset() override { queue_ = nullptr; }
  [[nodiscard]] Result<void> notified(uint32_t queue) override;

 private:
  Queue* queue_ = nullptr;
  Notifier* notifier_ = nullptr;
};

}  // namespace husk::virtio
