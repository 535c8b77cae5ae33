// How an interrupt controller (platform/) and a CPU backend's local APICs meet, neither knowing the
// other. The names follow the Intel SDM, volume 3, chapter 11 (APIC) and the 82093AA (I/O APIC)
// data sheet.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include "husk/error.h"

namespace husk::contract {

enum class DeliveryMode : uint8_t {
  kFixed = 0,
  kLowestPriority = 1,
  kSmi = 2,
  kNmi = 4,
  kInit = 5,
  kStartup = 6,
  kExtInt = 7,
};

// One message on the interrupt bus: an I/O APIC's redirection entry, an MSI or an IPI.
struct InterruptMessage {
  uint32_t destination = 0;  // APIC ID, or a logical destination when `logical`
  bool logical = false;
  DeliveryMode mode = DeliveryMode::kFixed;
  uint8_t vector = 0;
  bool level_triggered = false;
};

// The CPU side: where messages go. Thread-safe.
class InterruptSink {
 public:
  virtual ~InterruptSink() = default;
  virtual void deliver(const InterruptMessage& message) = 0;
  // The 8259 pair's INTR output, wired to the boot processor's LINT0.
  virtual void set_extint(bool asserted) = 0;
};

// The chipset side: what a backend without an interrupt controller of its own is given (like a
// split irqchip on KVM). Thread-safe.
class InterruptController {
 public:
  virtual ~InterruptController() = default;
  virtual void set_line(uint32_t gsi, bool level) = 0;
  // The CPU wrote EOI for a level-triggered vector.
  virtual void end_of_interrupt(uint8_t vector) = 0;
  // The CPU takes an ExtINT: returns the vector (the 8259's INTA cycle).
  virtual uint8_t acknowledge_extint() = 0;
  [[nodiscard]] virtual std::vector<std::byte> capture() const = 0;
  [[nodiscard]] virtual Result<void> restore(std::span<const std::byte> state) = 0;
};

}  // namespace husk::contract
