#include "virtio/vsock_credit.h"

namespace husk::virtio {

void VsockCredit::guest_says(const VsockHeader& packet) {
  guest_buffer_ = packet.buffer_size;
  if (packet.forwarded - guest_forwarded_ <= unforwarded()) guest_forwarded_ = packet.forwarded;
}

bool VsockCredit::receive(uint32_t bytes) {
  if (bytes > kBufferSize - (received_ - forwarded_)) return false;
  received_ += bytes;
  return true;
}

void VsockCredit::stamp(VsockHeader& packet) {
  packet.buffer_size = kBufferSize;
  packet.forwarded = told_ = forwarded_;
}

bool VsockCredit::worth_telling() const {
  return told_ != forwarded_ && received_ - told_ > kBufferSize / 2;
}

}  // namespace husk::virtio
