// The header of every packet between a guest and its vsock device (virtio 1.2, section 5.10.6).
#pragma once

#include <compare>
#include <cstddef>
#include <cstdint>
#include <optional>

#include "virtio/queue.h"

namespace husk::virtio {

constexpr uint64_t kVsockHostCid = 2;  // 5.10.4
constexpr uint16_t kVsockStream = 1;   // a header's type, 5.10.6
// Flags of a shutdown: its sender will not receive, will not send any more (5.10.6.5).
constexpr uint32_t kVsockNoReceive = 1, kVsockNoSend = 2, kVsockNeither = 3;

enum class VsockOp : uint16_t {
  kInvalid = 0,
  kRequest = 1,
  kResponse = 2,
  kReset = 3,
  kShutdown = 4,
  kData = 5,
  kCreditUpdate = 6,
  kCreditRequest = 7,
};

struct VsockHeader {
  static constexpr size_t kSize = 44;  // in a packet

  uint64_t source_cid = 0, destination_cid = 0;
  uint32_t source_port = 0, destination_port = 0;
  uint32_t length = 0;  // of the payload
  uint16_t type = kVsockStream;
  VsockOp op = VsockOp::kInvalid;
  uint32_t flags = 0;
  uint32_t buffer_size = 0, forwarded = 0;  // buf_alloc and fwd_cnt, the sender's

  bool operator==(const VsockHeader&) const = default;
};

// One connection of a guest's: the host has one CID.
struct VsockKey {
  uint32_t host_port = 0, guest_port = 0;

  auto operator<=>(const VsockKey&) const = default;
};

// Nothing: the chain is too short.
[[nodiscard]] std::optional<VsockHeader> read_vsock_header(const Chain& chain);
// The chain has room for it.
void write_vsock_header(const Chain& chain, const VsockHeader& header);

// The answer to a packet that belongs to no connection.
[[nodiscard]] VsockHeader vsock_refusal(const VsockHeader& packet);

}  // namespace husk::virtio
