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

  // Input for port `index`. What comes before the guest has opened the port waits for that.
  // `on_room` is called when a port that was full has room again, with the device's lock held: it
  // must not push. Set before the guest runs; it outlives the device.
  [[nodiscard]] contract::ByteInput& input(size_t index);
  void set_on_room(size_t index, std::function<void()> on_room);
  // The terminal behind a console port has this many rows and columns. Any thread, any time: a
  // guest whose driver is not there yet hears it later.
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
  void hold() override { held_ = true; }
  void go_on() override;
  void transfer_state(contract::StateArchive& state) override;

 private:
  class Port;
  struct Control {
    uint32_t port;
    uint16_t event;
    uint16_t value;
  };
  struct Message {
    Control control;
    std::string text;  // behind it
  };

  [[nodiscard]] Result<void> serve(uint32_t queue);
  [[nodiscard]] Result<void> take_output(Port& port);
  [[nodiscard]] Result<void> give_input(Port& port);
  [[nodiscard]] Result<void> take_control();
  [[nodiscard]] Result<void> give_control();
  [[nodiscard]] Result<void> handle_control(const Control& message);
  void announce(uint32_t port, uint16_t event, std::string text = {});
  void announce_size(const Port& port);
  // Runs a step from a thread of the host's: a broken queue marks the device.
  void from_host(const std::function<Result<void>()>& step);
  void signal(uint32_t queue);

  std::vector<std::unique_ptr<Port>> ports_;
  std::vector<Queue>* queues_ = nullptr;  // null: no driver, or one that broke the rules
  Notifier* notifier_ = nullptr;
  bool multiport_ = false, held_ = false;
  std::deque<Message> control_out_;  // that wait for a buffer
};

}  // namespace husk::virtio
