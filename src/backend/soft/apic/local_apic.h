// A vCPU's local APIC: xAPIC page, x2APIC MSRs, priorities, local vector table, timer and IPIs
// (Intel SDM vol. 3, chapter 11).
//
// Threads: the owner is the vCPU's thread; what is marked so is for any thread. The owner looks for
// something to deliver after whatever it does here itself; others tell it by a signal. The timer's
// input clock, before its divider, is 1 GHz whatever the TSC's rate, as KVM's.
#pragma once

#include <array>
#include <atomic>
#include <cstdint>
#include <optional>
#include <span>

#include "husk/error.h"

#include "backend/soft/apic/apic_registers.h"
#include "backend/soft/apic/apic_timer.h"
#include "backend/soft/apic/signal.h"
#include "backend/soft/apic/tsc.h"
#include "base/clock.h"
#include "contract/interrupt.h"

namespace husk::soft::apic {

class ApicBus;

class LocalApic {
 public:
  static constexpr uint64_t kDefaultBase = 0xfee00000;
  using Clock = uint64_t (*)();  // CLOCK_MONOTONIC nanoseconds, or a test's

  // `id` is the x2APIC ID, below 255; 0 is the boot processor. `bus` and `signal` outlive the APIC.
  LocalApic(uint32_t id, ApicBus& bus, VcpuSignal& signal, Clock clock = base::monotonic_ns);
  LocalApic(const LocalApic&) = delete;
  LocalApic& operator=(const LocalApic&) = delete;

  // The owner's side: registers
  // ----------------------------------------------------------------------- Back to power-up; an
  // INIT keeps the ID and IA32_APIC_BASE.
  void reset(bool keep_id_and_mode);
  [[nodiscard]] std::optional<uint64_t> page() const;  // where the xAPIC answers
  // Registers are written by aligned 32-bit accesses (11.4.1); other writes are dropped.
  uint64_t read(uint32_t offset, uint32_t size);
  void write(uint32_t offset, uint32_t size, uint64_t value);
  // IA32_APIC_BASE, IA32_TSC_DEADLINE and 0x800-0x8ff; nullopt and false are #GP(0).
  [[nodiscard]] std::optional<uint64_t> read_msr(uint32_t index);
  [[nodiscard]] bool write_msr(uint32_t index, uint64_t value);
  // CR8.
  [[nodiscard]] uint64_t tpr_class() const { return get(kTpr) >> 4; }
  void set_tpr_class(uint64_t value) { set(kTpr, static_cast<uint32_t>(value & 15) << 4); }

  // The owner's side: events
  // -------------------------------------------------------------------------- Fires the timer when
  // it is due; returns the CLOCK_MONOTONIC time of the next expiry, 0 for none.
  uint64_t update_timer(uint64_t now_ns);
  [[nodiscard]] uint64_t timer_deadline() const { return timer_.deadline(); }
  // A running TSC deadline follows it.
  void set_tsc(const Tsc& tsc);
  // Whether take_interrupt() has a vector: the highest request, if above the processor priority, or
  // an ExtINT. RFLAGS.IF is not its matter.
  [[nodiscard]] bool has_interrupt() const { return deliverable_vector() >= 0 || extint_ready(); }
  std::optional<uint8_t> take_interrupt();
  [[nodiscard]] uint8_t startup_vector() const {
    return startup_vector_.load(std::memory_order_acquire);
  }

  // The owner's side: state
  // --------------------------------------------------------------------------- The register page's
  // first KiB, in the layout of KVM_GET_LAPIC; IA32_TSC_DEADLINE and IA32_APIC_BASE go by MSR.
  void save(std::span<uint8_t, 1024> page) const;
  // After restore_base() and before IA32_TSC_DEADLINE. Refuses another vCPU's ID; drops what no
  // register holds.
  [[nodiscard]] Result<void> load(std::span<const uint8_t, 1024> page);
  // IA32_APIC_BASE without the order of modes that WRMSR keeps; refuses reserved bits and x2APIC
  // without enable.
  [[nodiscard]] Result<void> restore_base(uint64_t value);

  // Any thread
  // ----------------------------------------------------------------------------------------
  void accept(const contract::InterruptMessage& message);
  void set_extint(bool asserted);  // the LINT0 pin
  [[nodiscard]] bool matches(const contract::InterruptMessage& message) const;
  [[nodiscard]] uint32_t id() const { return id_; }
  [[nodiscard]] uint8_t priority() const;  // PPR
  [[nodiscard]] bool enabled() const { return hardware_enabled() && software_enabled(); }

 private:
  [[nodiscard]] uint32_t get(uint32_t reg) const {
    return regs_[reg].load(std::memory_order_relaxed);
  }
  void set(uint32_t reg, uint32_t value) { regs_[reg].store(value, std::memory_order_relaxed); }
  [[nodiscard]] int highest(uint32_t bank) const;  // vector, -1 for none
  [[nodiscard]] std::atomic<uint32_t>& word_of(uint32_t bank, uint32_t vector) {
    return regs_[bank + vector / 32];
  }

  [[nodiscard]] bool hardware_enabled() const {
    return (base_.load(std::memory_order_relaxed) & kBaseEnable) != 0;
  }
  [[nodiscard]] bool software_enabled() const { return (get(kSpurious) & kSpuriousEnable) != 0; }
  [[nodiscard]] bool x2apic() const {
    return (base_.load(std::memory_order_relaxed) & kBaseX2apic) != 0;
  }
  [[nodiscard]] int deliverable_vector() const;  // -1 for none
  [[nodiscard]] bool extint_ready() const;
  void request(uint8_t vector, bool level);
  void deliver_local(uint32_t lvt_register);
  void report_error(uint32_t bit);
  void end_of_interrupt();

  [[nodiscard]] uint32_t peek(uint32_t reg, uint64_t now_ns) const;
  void poke(uint32_t reg, uint32_t value);
  void write_lvt(uint32_t reg, uint32_t value);
  void write_spurious(uint32_t value);
  void send(uint32_t icr, uint32_t destination);
  [[nodiscard]] std::optional<uint64_t> read_x2apic(uint32_t reg);
  [[nodiscard]] bool write_x2apic(uint32_t reg, uint64_t value);
  [[nodiscard]] bool write_base(uint64_t value);
  void set_base(uint64_t value);
  [[nodiscard]] uint32_t divisor() const;

  const uint32_t id_;
  ApicBus& bus_;
  VcpuSignal& signal_;
  const Clock clock_;
  std::atomic<uint64_t> base_;
  std::array<std::atomic<uint32_t>, kRegisterCount> regs_{};
  std::atomic<uint32_t> errors_{0};  // since ESR was last written
  std::atomic<bool> extint_{false};
  std::atomic<uint8_t> startup_vector_{0};
  ApicTimer timer_;
  Tsc tsc_;
};

}  // namespace husk::soft::apic
