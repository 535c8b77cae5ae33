// One stream connection between a guest's port and the host (virtio 1.2, section 5.10.6.5).
//
// What the host sends stays with the host until the guest has room for it. What the guest sends is
// kept here for a host that does not read, as far as the guest's credit goes.
#pragma once

#include <memory>
#include <vector>

#include "contract/vsock_port.h"
#include "virtio/vsock_credit.h"
#include "virtio/vsock_packet.h"

namespace husk::virtio {

class VsockConnection {
 public:
  // The host asks the guest for it.
  VsockConnection(VsockKey key, std::unique_ptr<contract::VsockStream> stream);
  // The guest has asked for it, by `request`.
  VsockConnection(VsockKey key, std::unique_ptr<contract::VsockStream> stream,
                  const VsockHeader& request);

  [[nodiscard]] const VsockKey& key() const { return key_; }
  [[nodiscard]] uint64_t id() const { return id_; }

  // A packet of the guest's, as it is in the chain.
  void take(const VsockHeader& packet, const Chain& chain);
  // The stream may have become ready for something.
  void look_at_stream();
  // Ends it for both sides, whatever waits. The guest gets a reset.
  void abort();

  [[nodiscard]] bool wants_to_send() const;
  // Writes the next packet for the guest into the chain, but for the CIDs, which are the device's;
  // its header is `header` then. Returns the packet's size; 0: there was none after all.
  size_t send(const Chain& chain, VsockHeader& header);

  // The guest knows of it no more: the key is free.
  [[nodiscard]] bool closed() const { return closed_; }
  // The host has not yet taken all that the guest has sent.
  [[nodiscard]] bool holds_data() const { return stream_ != nullptr && !held_.empty(); }
  // Nothing is left to do but to hear that from the guest.
  [[nodiscard]] bool waits_for_reset() const { return !closed_ && told_ == kVsockNeither; }

 private:
  void obey(const VsockHeader& packet, const Chain& chain);
  void accepted();
  void receive(const VsockHeader& packet, const Chain& chain);
  void guest_shuts(uint32_t flags);
  // No word of the guest's will come any more, and none to it is of use but a reset.
  void guest_left();
  void deliver();
  void host_is_deaf();
  void host_shuts(uint32_t flags);
  void host_left();
  void drop_held();
  [[nodiscard]] bool may_read() const;
  size_t read_host(const Chain& chain);
  [[nodiscard]] VsockOp next_op() const;

  VsockKey key_;
  uint64_t id_;
  std::unique_ptr<contract::VsockStream> stream_;  // null: the host is done with it
  VsockCredit credit_;
  std::vector<std::byte> held_;  // of the guest's, for the host
  bool requested_ = false;       // by the host, and the guest has not answered
  bool readable_ = true, writable_ = true;
  uint32_t guest_ends_ = 0;        // kVsockNo..., as the guest has said
  uint32_t ends_ = 0, told_ = 0;   // as the guest is to hear, and has heard
  bool asked_for_credit_ = false;  // since there was some
  bool must_request_ = false, must_respond_ = false, must_reset_ = false, must_tell_credit_ = false;
  bool closed_ = false;
};

}  // namespace husk::virtio
