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

// Null: `vm` has no doorbells, or the machine has no devices. All devices are in their slots, which
// outlive the thread; it does not run yet.
template <seam::HypervisorVm Vm>
Result<std::unique_ptr<DoorbellThread>> hang_doorbells(Vm& vm, std::span<const VirtioSlot> slots) {
  std::unique_ptr<DoorbellThread> thread;
  if constexpr (seam::HasDoorbells<Vm>) {
    using virtio::MmioTransport;
    if (!slots.empty()) thread = HUSK_TRY(DoorbellThread::create());
    for (const VirtioSlot& slot : slots) {
      slot.transport->expect_late_notifications();
      for (uint32_t queue = 0; queue < slot.transport->queue_count(); ++queue) {
        const int bell = HUSK_TRY(thread->add(*slot.transport, MmioTransport::kDoorbell,
                                              MmioTransport::kDoorbellSize, queue));
        HUSK_TRY(vm.ring_on_write(slot.base + MmioTransport::kDoorbell,
                                  MmioTransport::kDoorbellSize, queue, bell));
      }
    }
  }
  return thread;
}

}  // namespace husk::runtime
