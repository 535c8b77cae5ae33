// How much each side of a vsock connection may send (virtio 1.2, section 5.10.6.3). Counters are of
// bytes and wrap around at 32 bits, as they do in packets.
#pragma once

#include <cstdint>

#include "virtio/vsock_packet.h"

namespace husk::virtio {

class VsockCredit {
 public:
  // Bytes of a guest's that one connection holds for a host that does not read.
  static constexpr uint32_t kBufferSize = 128 * 1024;

  // Host to guest. Any packet of the guest's says what it has forwarded to its application; one
  // that says less than we know was overtaken by another, or lies, and one that says more than was
  // sent lies: neither changes the count.
  void guest_says(const VsockHeader& packet);
  [[nodiscard]] uint32_t may_send() const {
    return unforwarded() >= guest_buffer_ ? 0 : guest_buffer_ - unforwarded();
  }
  void sent(uint32_t bytes) { sent_ += bytes; }

  // Guest to host. False: more than the guest may send.
  [[nodiscard]] bool receive(uint32_t bytes);
  void forward(uint32_t bytes) { forwarded_ += bytes; }
  // Puts into a packet for the guest what it may send.
  void stamp(VsockHeader& packet);
  // The guest believes that it may send little, and may send more.
  [[nodiscard]] bool worth_telling() const;

 private:
  [[nodiscard]] uint32_t unforwarded() const { return sent_ - guest_forwarded_; }

  uint32_t guest_buffer_ = 0, guest_forwarded_ = 0, sent_ = 0;
  uint32_t received_ = 0, forwarded_ = 0, told_ = 0;
};

}  // namespace husk::virtio
