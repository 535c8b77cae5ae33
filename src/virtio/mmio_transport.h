// The virtio-mmio transport, version 2 (virtio 1.2, section 4.2). One window of a page.
#pragma once

#include <array>
#include <memory>

#include "contract/io_handler.h"
#include "contract/irq_line.h"
#include "virtio/device.h"

namespace husk::virtio {

class MmioTransport : public contract::IoHandler, public Notifier {
 public:
  // QueueNotify: a driver writes a queue's number there, four bytes, to have it looked at. Such a
  // write may come at any time and from any thread, also without a driver's having made one.
  static constexpr uint64_t kDoorbell = 0x050;
  static constexpr uint32_t kDoorbellSize = 4;

  MmioTransport(std::unique_ptr<Device> device, memory::GuestMemory& memory, contract::IrqLine irq);
  ~MmioTransport() override;

  [[nodiscard]] std::string_view name() const override { return "virtio-mmio"; }
  uint64_t read(uint64_t offset, uint32_t size) override;
  void write(uint64_t offset, uint32_t size, uint64_t value) override;

  // From now on notifications come from a thread of their own, and so may come when the driver has
  // gone on to a reset: what it had made available by then is looked at first. Before the guest
  // runs.
  void expect_late_notifications() { late_notifications_ = true; }
  // The machine is paused, runs again: see Device.
  void hold();
  void go_on();
  // Does not change.
  [[nodiscard]] uint32_t queue_count() const { return static_cast<uint32_t>(setups_.size()); }

  // Between a restore and the guest's next instruction, have_all_queues_looked_at() makes up for
  // notifications that were on their way when the state was taken. The interrupt line is the
  // controller's state.
  void transfer_state(contract::StateArchive& state);
  void have_all_queues_looked_at();

  void used_buffer() override { raise(1); }
  void config_changed() override { raise(2); }
  void needs_reset() override;

 private:
  struct QueueSetup {
    uint16_t size = 0;
    bool ready = false;
    uint64_t descriptors = 0, driver = 0, device = 0;
  };

  uint32_t read_register(uint64_t offset);
  void write_register(uint64_t offset, uint32_t value);
  void write_status(uint32_t value);
  void write_queue_register(uint64_t offset, uint32_t value);
  void notify(uint32_t queue);
  void activate();
  // False: the driver made a queue that cannot be.
  [[nodiscard]] bool make_queues();
  void transfer_registers(contract::StateArchive& state);
  void reactivate(contract::StateArchive& state);
  void reset();
  // These three without the device's lock: a guest's interrupt handler does not wait for requests
  // that another thread serves.
  void raise(uint32_t cause);
  [[nodiscard]] uint32_t interrupt_status();
  void acknowledge(uint32_t causes);
  [[nodiscard]] uint64_t offered() const;

  std::unique_ptr<Device> device_;
  memory::GuestMemory& memory_;
  contract::IrqLine irq_;
  std::mutex irq_mutex_;  // taken last
  uint32_t interrupt_status_ = 0;
  bool late_notifications_ = false;
  uint32_t status_ = 0;
  uint32_t device_features_select_ = 0, driver_features_select_ = 0, queue_select_ = 0;
  uint64_t driver_features_ = 0;
  std::vector<QueueSetup> setups_;
  std::vector<Queue> queues_;
};

}  // namespace husk::virtio
