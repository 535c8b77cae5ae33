// The board: every part of a paravirtual PC in the order in which it is built, wired to a backend's
// VM. This file is the machine; a reader who knows it knows what the guest sees.
#pragma once

#include <array>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "boot/acpi.h"
#include "boot/kernel.h"
#include "memory/guest_memory.h"
#include "platform/acpi_pm.h"
#include "platform/bus.h"
#include "platform/chipset.h"
#include "platform/cmos_rtc.h"
#include "platform/debug_exit.h"
#include "platform/fast_a20.h"
#include "platform/i8042.h"
#include "platform/pc_layout.h"
#include "platform/reset_port.h"
#include "platform/test_device.h"
#include "platform/uart16550.h"
#include "platform/vm_generation_id.h"
#include "runtime/alarm_thread.h"
#include "runtime/board_options.h"
#include "runtime/machine_end.h"
#include "runtime/virtio_slot.h"

namespace husk::runtime {

// Virtio devices have a page each and the interrupt lines from 16; those beyond the I/O APIC's pins
// do not exist.
constexpr uint32_t kVirtioBase = 0xd0000000, kVirtioStride = 0x1000, kVirtioFirstGsi = 16,
                   kVirtioSlots = 8;

class Board {
 public:
  // `memory`, laid out by boot::ram_layout(), outlives the board. `line` makes an interrupt line of
  // a GSI, `sink` is where the chipset's messages go: both are the VM's. Null: the VM has the chips
  // of the chipset itself.
  using LineFactory = std::function<contract::IrqLine(uint32_t gsi)>;
  [[nodiscard]] static Result<std::unique_ptr<Board>> create(
      const BoardOptions& options, memory::GuestMemory& memory, MachineEnd& end,
      const LineFactory& line, contract::InterruptSink* sink, contract::ByteSink& serial_output);
  ~Board();

  [[nodiscard]] memory::GuestMemory& memory() { return memory_; }
  [[nodiscard]] const platform::Bus& ports() const { return ports_; }
  [[nodiscard]] const platform::Bus& mmio() const { return mmio_; }
  // Null: it is the VM's.
  [[nodiscard]] platform::Chipset* chipset() { return chipset_.get(); }
  [[nodiscard]] platform::Uart16550& serial() { return *serial_; }
  [[nodiscard]] platform::AcpiPm& power() { return *power_; }

  // Puts a virtio transport into the next slot; its window is one page. Returns the slot's number.
  [[nodiscard]] Result<uint32_t> attach_virtio(std::unique_ptr<virtio::MmioTransport> transport);
  [[nodiscard]] contract::IrqLine next_virtio_line() const;
  [[nodiscard]] std::span<const VirtioSlot> virtio() const { return virtio_; }

  // Every device with a state of its own; the interrupt controllers' is the VM's to tell.
  template <class Visit>
  void each_chip(Visit&& visit) {
    visit("serial-0", *serial_);
    visit("rtc", *rtc_);
    visit("acpi-pm", *power_);
    for (size_t slot = 0; slot < virtio_.size(); ++slot)
      visit("virtio-" + std::to_string(slot), *virtio_[slot].transport);
  }

  // For a guest that goes on as a copy, before its vCPUs do.
  [[nodiscard]] Result<void> renew_generation() { return generation_->renew(); }

  // Writes the ACPI tables and the kernel; the state for the boot vCPU.
  [[nodiscard]] Result<boot::LoadedKernel> load(boot::KernelRequest request);

 private:
  explicit Board(memory::GuestMemory& memory) : memory_(memory) {}
  [[nodiscard]] Result<void> attach_all(const BoardOptions& options);

  uint32_t vcpus_ = 1;
  LineFactory line_;
  memory::GuestMemory& memory_;
  platform::Bus ports_, mmio_;
  AlarmThread alarms_;
  std::unique_ptr<platform::Chipset> chipset_;
  std::unique_ptr<platform::Uart16550> serial_;
  std::unique_ptr<platform::CmosRtc> rtc_;
  std::unique_ptr<platform::AcpiPm> power_;
  std::unique_ptr<platform::VmGenerationId> generation_;
  std::unique_ptr<platform::ResetPort> reset_;
  std::unique_ptr<platform::I8042> keyboard_data_, keyboard_command_;
  std::unique_ptr<platform::FastA20> fast_a20_;
  std::unique_ptr<platform::DebugExit> debug_exit_;
  std::unique_ptr<platform::TestScratch> test_scratch_;
  std::unique_ptr<platform::TestIrqLines> test_irqs_;
  std::vector<VirtioSlot> virtio_;
};

}  // namespace husk::runtime
