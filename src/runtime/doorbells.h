// A machine's doorbells: where the backend's VM can ring, the notifications of all its virtio
// queues go to a thread of the machine's. Otherwise they are exits like any other, and there is no
// thread.
#pragma once

#include <memory>
#include <span>

#include "husk/seam.h"

#include "base/try.h"
#include "runtime/doorbell_thread.h"
#include "runtime/virtio_slot.h"

namespace husk::runtime {

// Those of one device's queues.
template <seam::HasDoorbells Vm>
Result<void> hang_bells(Vm& vm, const VirtioSlot& slot, DoorbellThread& thread) {
  using virtio::MmioTransport;
  for (uint32_t queue = 0; queue < slot.transport->queue_count(); ++queue) {
    const int bell = HUSK_TRY(
        thread.add(*slot.transport, MmioTransport::kDoorbell, MmioTransport::kDoorbellSize, queue));
    HUSK_TRY(vm.ring_on_write(slot.base + MmioTransport::kDoorbell, MmioTransport::kDoorbellSize,
                              queue, bell));
  }
  slot.transport->expect_late_notifications();
  return {};
}

// Null: `vm` has no doorbells, or the machine has no devices. All devices are in their slots, which
// outlive the thread; it does not run yet.
template <seam::HypervisorVm Vm>
Result<std::unique_ptr<DoorbellThread>> hang_doorbells(Vm& vm, std::span<const VirtioSlot> slots) {
  std::unique_ptr<DoorbellThread> thread;
  if constexpr (seam::HasDoorbells<Vm>) {
    if (!slots.empty()) thread = HUSK_TRY(DoorbellThread::create());
    for (const VirtioSlot& slot : slots) {
      const auto hung = hang_bells(vm, slot, *thread);
      if (hung) continue;
      if (hung.error().kind == ErrorKind::kUnsupported) return nullptr;
      return std::unexpected(hung.error());
    }
  }
  return thread;
}

}  // namespace husk::runtime
