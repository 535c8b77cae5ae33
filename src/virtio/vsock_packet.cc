#include "virtio/vsock_packet.h"

#include <array>
#include <bit>
#include <cstring>
#include <span>

namespace husk::virtio {

// As little-endian memory has it, without the padding at its end.
static_assert(std::endian::native == std::endian::little);
static_assert(offsetof(VsockHeader, type) == 28 && offsetof(VsockHeader, flags) == 32 &&
              offsetof(VsockHeader, forwarded) + sizeof(uint32_t) == VsockHeader::kSize);

std::optional<VsockHeader> read_vsock_header(const Chain& chain) {
  std::array<std::byte, VsockHeader::kSize> bytes;
  if (chain.read(0, bytes) != bytes.size()) return std::nullopt;
  VsockHeader header;
  std::memcpy(static_cast<void*>(&header), bytes.data(), bytes.size());
  return header;
}

void write_vsock_header(const Chain& chain, const VsockHeader& header) {
  chain.write(0, std::as_bytes(std::span(&header, 1)).first(VsockHeader::kSize));
}

VsockHeader vsock_refusal(const VsockHeader& packet) {
  VsockHeader reply;
  reply.source_cid = packet.destination_cid;
  reply.destination_cid = packet.source_cid;
  reply.source_port = packet.destination_port;
  reply.destination_port = packet.source_port;
  reply.op = VsockOp::kReset;
  return reply;
}

}  // namespace husk::virtio
