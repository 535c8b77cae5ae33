// A vCPU's local APIC: xAPIC page, x2APIC MSRs and timer (Intel SDM vol. 3, chapter 11).
//
// Threads: the owner is the vCPU's thread; accept(), set_extint() and pend_nmi() are for any thread. The timer counts
// the guest's TSC, which is nanoseconds, before its divider.
#pragma once

#include <array>
#include <atomic>
#include <cstdint>
#include <optional>
#include <span>

#include "backend/soft/apic/signal.h"
#include "contract/interrupt.h"

namespace husk::soft::apic {

class ApicBus;

class LocalApic {
 public:
  static constexpr uint64_t kDefaultBase = 0xfee00000;

  LocalApic(uint32_t id, ApicBus& bus, VcpuSignal& signal);

  // The owner's side.
  void reset(bool keep_id_and_mode);
  [[nodiscard]] std::optional<uint64_t> page() const;  // where the xAPIC answers
  uint64_t read(uint32_t offset, uint32_t size);
  void write(uint32_t offset, uint32_t size, uint64_t value);
  std::optional<uint64_t> read_msr(uint32_t index);
  bool write_msr(uint32_t index, uint64_t value);
  [[nodiscard]] uint64_t tpr_class() const { return task_priority_ >> 4; }
  void set_tpr_class(uint64_t value) { task_priority_ = static_cast<uint8_t>(value << 4); }

  // Fires the timer when it is due; returns the CLOCK_MONOTONIC time of the next expiry, 0 for none.
  uint64_t update_timer(uint64_t now_ns);
  [[nodiscard]] uint64_t timer_deadline() const { return deadline_; }
  // The vector to deliver now, if any: highest request above the processor priority, or an ExtINT.
  [[nodiscard]] bool has_interrupt() const;
  std::optional<uint8_t> take_interrupt();

  // Any thread.
  void accept(const contract::InterruptMessage& message);
  void set_extint(bool asserted);
  [[nodiscard]] uint8_t startup_vector() const { return startup_vector_.load(std::memory_order_acquire); }
  [[nodiscard]] bool matches(const contract::InterruptMessage& message) const;
  [[nodiscard]] uint32_t id() const { return id_; }
  [[nodiscard]] uint8_t priority() const;

  // The register page's first KiB, in the layout of KVM_GET_LAPIC; the TSC deadline and IA32_APIC_BASE go by MSR.
  void save(std::span<uint8_t, 1024> page) const;
  void load(std::span<const uint8_t, 1024> page);

 private:
  using Bits = std::array<std::atomic<uint32_t>, 8>;

  enum Lvt : size_t { kLvtTimer, kLvtThermal, kLvtPerformance, kLvtLint0, kLvtLint1, kLvtError, kLvtCount };

  [[nodiscard]] uint32_t read_register(uint32_t index);
  bool write_register(uint32_t index, uint32_t value, bool x2apic);
  void write_icr(uint64_t icr, bool x2apic);
  void end_of_interrupt();
  void set_base(uint64_t value);
  void start_timer(uint64_t now_ns);
  void set_deadline(uint64_t guest_tsc, uint64_t now_ns);
  [[nodiscard]] uint32_t current_count(uint64_t now_ns) const;
  [[nodiscard]] uint32_t divider() const;
  [[nodiscard]] bool enabled() const { return (spurious_.load(std::memory_order_relaxed) & 0x100) != 0; }
  [[nodiscard]] bool x2apic() const { return (base_ & 0x400) != 0; }
  void request(uint8_t vector, bool level);
  void report_error(uint32_t bit);
  [[nodiscard]] static int highest(const Bits& bits);

  std::atomic<uint32_t> id_;
  ApicBus& bus_;
  VcpuSignal& signal_;
  uint64_t base_ = 0;
  uint8_t task_priority_ = 0;
  std::atomic<uint32_t> logical_destination_{0}, destination_format_{~0u}, spurious_{0xff};
  Bits in_service_{}, requested_{}, level_{};
  uint32_t error_status_ = 0;
  std::atomic<uint32_t> error_pending_{0};
  uint64_t command_ = 0;
  std::array<std::atomic<uint32_t>, kLvtCount> lvt_{};
  uint32_t initial_count_ = 0, divide_ = 0;
  uint64_t timer_start_ = 0;  // CLOCK_MONOTONIC ns at which initial_count_ began
  uint64_t tsc_deadline_ = 0; // guest TSC, 0: not armed
  uint64_t deadline_ = 0;     // CLOCK_MONOTONIC ns of the next expiry, 0: none
  std::atomic<bool> extint_{false};
  std::atomic<uint8_t> startup_vector_{0};
};

}  // namespace husk::soft::apic
