// The console device with several ports (virtio 1.2, section 5.3): consoles that the guest sees as
// hvc0, hvc1, ..., and named byte streams that it sees as /dev/vportNpM.
#pragma once

#include <deque>
#include <functional>
#include <memory>
#include <string>

#include "contract/byte_channel.h"
#include "virtio/device.h"

namespace husk::virtio {

class Console : public Device {
 public:
  struct PortSpec {
    std::string name;
    bool is_console = false;
    contract::ByteSink* output = nullptr;  // outlives the device
  };
  static constexpr size_t kInputLimit =
      64 * 1024;  // bytes a port holds for a guest that does not read

  explicit Console(std::vector<PortSpec> ports);
  ~Console() override;

  // Input for port `index`; `on_room` is called, on a vCPU's thread, when a port that was full has
  // room again.
  [[nodiscard]] contract::ByteInput& input(size_t index);
  void set_on_room(size_t index, std::function<void()> on_room);
  // The terminal behind a console port has this many rows and columns.
  void resize(size_t index, uint16_t rows, uint16_t columns);

  [[nodiscard]] uint32_t id() const override { return 3; }
  [[nodiscard]] uint64_t features() const override;
  [[nodiscard]] uint32_t queue_count() const override {
    return static_cast<uint32_t>(2 * (ports_.size() + 1));
  }
  [[nodiscard]] uint8_t read_config(uint64_t offset) const override;
  void activate(uint64_t features, std::vector<Queue>& queues, Notifier& notifier) override;
  void reset() override;
  [[nodiscard]] Result<void> notified(uint32_t queue) override;

 private:
  class Port;
  struct Control {
    uint32_t port;
    uint16_t event;
    uint16_t value;
  };

  [[nodiscard]] Result<void> take_output(Port& port);
  [[nodiscard]] Result<void> give_input(Port& port);
  [[nodiscard]] Result<void> take_control();
  [[nodiscard]] Result<void> give_control();
  void handle_control(const Control& message);
  void announce(uint32_t port, uint16_t event, uint16_t value, std::string_view text = {});
  // Runs a step from a thread of the host's: a broken queue marks the device.
  void from_host(const std::function<Result<void>()>& step);
  void signal(uint32_t queue);

  std::vector<std::unique_ptr<Port>> ports_;
  std::vector<Queue>* queues_ = nullptr;
  Notifier* notifier_ = nullptr;
  std::deque<std::vector<std::byte>> control_out_;  // messages that wait for a buffer
};

}  // namespace husk::virtio
