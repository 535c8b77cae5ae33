// The board of aarch64: a serial port and virtio devices; everything else that a guest sees is the
// processor's and the GIC's, and told by a device tree. Power-off and restart are PSCI's, which is
// the backend's.
#pragma once

#include <functional>
#include <memory>
#include <span>
#include <vector>

#include "boot/arm64/kernel.h"
#include "boot/arm64/layout.h"
#include "contract/irq_line.h"
#include "memory/guest_memory.h"
#include "platform/bus.h"
#include "platform/pl011.h"
#include "runtime/board_options.h"
#include "runtime/machine_end.h"
#include "runtime/virtio_slot.h"

namespace husk::runtime {

constexpr uint32_t kVirtioSlots = boot::arm64::kMaxVirtioDevices;

class Board {
 public:
  // `memory`, laid out by boot::arm64::ram_layout(), outlives the board. `line` makes an interrupt
  // line of an SPI's number: it is the VM's.
  using LineFactory = std::function<contract::IrqLine(uint32_t spi)>;
  [[nodiscard]] static Result<std::unique_ptr<Board>> create(const BoardOptions& options,
                                                             memory::GuestMemory& memory,
                                                             const LineFactory& line,
                                                             contract::ByteSink& serial_output);

  [[nodiscard]] memory::GuestMemory& memory() { return memory_; }
  // aarch64 has no ports.
  [[nodiscard]] const platform::Bus& ports() const { return ports_; }
  [[nodiscard]] const platform::Bus& mmio() const { return mmio_; }
  // Nothing: what a device tree says of a VM generation ID, Linux reads since 6.10.
  [[nodiscard]] Result<void> renew_generation() { return {}; }
  [[nodiscard]] platform::Pl011& serial() { return *serial_; }

  // Puts a virtio transport into the next slot; its window is one page. Returns the slot's number.
  [[nodiscard]] Result<uint32_t> attach_virtio(std::unique_ptr<virtio::MmioTransport> transport);
  [[nodiscard]] contract::IrqLine next_virtio_line() const;
  [[nodiscard]] std::span<const VirtioSlot> virtio() const { return virtio_; }

  // Every device with a state of its own; the interrupt controller's is the VM's to tell.
  template <class Visit>
  void each_chip(Visit&& visit) {
    visit("serial-0", *serial_);
    for (size_t slot = 0; slot < virtio_.size(); ++slot)
      visit("virtio-" + std::to_string(slot), *virtio_[slot].transport);
  }

  // Writes the device tree and the kernel; the state for the boot vCPU.
  [[nodiscard]] Result<boot::arm64::LoadedKernel> load(boot::arm64::KernelRequest request);

 private:
  explicit Board(memory::GuestMemory& memory) : memory_(memory) {}

  uint32_t vcpus_ = 1;
  LineFactory line_;
  memory::GuestMemory& memory_;
  platform::Bus ports_, mmio_;
  std::unique_ptr<platform::Pl011> serial_;
  std::vector<VirtioSlot> virtio_;
};

}  // namespace husk::runtime
