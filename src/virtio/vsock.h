// The socket device (virtio 1.2, section 5.10): stream sockets between ports of the guest and of
// the host. What is at the host's ports is behind contract::VsockHost.
//
// Nothing grows without bound (5.10.6.1): a connection holds what its credit allows, packets for
// the guest are made when it has a buffer for them, and with too many refusals waiting the device
// takes no packets.
#pragma once

#include <deque>
#include <memory>
#include <optional>

#include "contract/vsock_port.h"
#include "virtio/device.h"
#include "virtio/vsock_table.h"

namespace husk::virtio {

class Vsock final : public Device, public contract::VsockPort {
 public:
  static constexpr uint64_t kGuestCid = 3;  // the first that 5.10.4 leaves to guests
  Vsock(uint64_t guest_cid, std::unique_ptr<contract::VsockHost> host);
  ~Vsock() override;

  [[nodiscard]] uint32_t id() const override { return 19; }
  // None: streams need no feature (5.10.3).
  [[nodiscard]] uint64_t features() const override { return 0; }
  [[nodiscard]] uint32_t queue_count() const override { return 3; }
  [[nodiscard]] uint8_t read_config(uint64_t offset) const override;
  void activate(uint64_t features, std::vector<Queue>& queues, Notifier& notifier) override;
  void reset() override;
  [[nodiscard]] Result<void> notified(uint32_t queue) override;
  void hold() override { held_ = true; }
  void go_on() override;

  // Connections are no part of it: they are of the process that they were made in. A driver that
  // had some is told that they are gone (5.10.6.7), when the device goes on or a queue is looked
  // at, and hears of no further ones before it has taken notice: it could not tell them apart.
  void transfer_state(contract::StateArchive& state) override;

  // contract::VsockPort
  void open(uint32_t guest_port, std::unique_ptr<contract::VsockStream> stream) override;
  void ready(uint64_t id) override;

 private:
  enum QueueNumber : uint32_t { kReceive = 0, kTransmit = 1, kEvents = 2 };

  [[nodiscard]] Result<void> exchange();
  [[nodiscard]] Result<void> take_packets();
  [[nodiscard]] Result<void> give_packets();
  [[nodiscard]] Result<void> give_event();
  void look_for_notice();
  [[nodiscard]] bool may_send() const;
  // Whether there was a packet to take.
  [[nodiscard]] Result<bool> take_packet();
  // Whether a packet was given, or is still to be; false: there is none.
  [[nodiscard]] Result<bool> give_packet();
  [[nodiscard]] size_t next_packet(const Chain& chain);
  void obey(const VsockHeader& packet, const Chain& chain);
  void connect(const VsockHeader& request);
  void refuse(const VsockHeader& packet);
  // Runs exchange() for the host's side, unless the machine is paused.
  void from_host();
  void give_up();
  void signal(uint32_t queue);

  uint64_t guest_cid_;
  std::vector<Queue>* queues_ = nullptr;  // null: no driver, or one that broke the rules
  Notifier* notifier_ = nullptr;
  bool held_ = false;
  bool must_announce_reset_ = false;
  std::optional<uint16_t> unnoticed_;  // buffers for events offered when the reset was announced
  std::deque<VsockHeader> refusals_;   // that wait for a buffer
  VsockTable table_;
  std::unique_ptr<contract::VsockHost> host_;
};

}  // namespace husk::virtio
