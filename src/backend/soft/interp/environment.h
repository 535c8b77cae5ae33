// What the interpreter needs from the vCPU around it and does not know itself: the local APIC, the
// clock, and attention from other threads. Called on rare paths only, on the vCPU's thread.
#pragma once

#include <cstdint>
#include <optional>

namespace husk::soft::interp {

class Environment {
 public:
  virtual ~Environment() = default;
  // The xAPIC page, when enabled: `offset` is a multiple of 4 (16-byte registers), `size` any.
  virtual uint64_t apic_read(uint32_t offset, uint32_t size) = 0;
  virtual void apic_write(uint32_t offset, uint32_t size, uint64_t value) = 0;
  // MSRs that belong to the APIC: IA32_APIC_BASE, TSC_DEADLINE and 0x800-0x8ff. nullopt or false:
  // #GP.
  virtual std::optional<uint64_t> apic_msr_read(uint32_t index) = 0;
  virtual bool apic_msr_write(uint32_t index, uint64_t value) = 0;
  // An interrupt or NMI waits for nothing but the CPU's leave.
  virtual bool interrupt_waiting() = 0;
  virtual uint64_t cr8() = 0;
  virtual void set_cr8(uint64_t value) = 0;
  // The page frame that the xAPIC answers at; nullopt in x2APIC mode or when disabled.
  virtual std::optional<uint64_t> apic_page() = 0;
  virtual uint32_t apic_id() = 0;
  virtual uint32_t vcpu_count() = 0;
  // Whether hypercalls are answered outside.
  virtual bool exits_on_hypercalls() = 0;
  // The time since the machine began, which all vCPUs share.
  virtual uint64_t guest_ns() = 0;
  // The time-stamp counter with `adjust` for IA32_TSC_ADJUST, and its rate, never 0.
  virtual uint64_t tsc(uint64_t adjust) = 0;
  virtual uint32_t tsc_khz() = 0;
};

}  // namespace husk::soft::interp
