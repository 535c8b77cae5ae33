// A place on the board with a virtio device in it.
#pragma once

#include <cstdint>
#include <memory>

#include "virtio/mmio_transport.h"

namespace husk::runtime {

struct VirtioSlot {
  uint64_t base = 0;  // of its window, guest-physical
  std::unique_ptr<virtio::MmioTransport> transport;
};

}  // namespace husk::runtime
