// One vCPU's local APIC (Intel SDM vol. 3, chapter 11): xAPIC page, x2APIC MSRs, priorities, LVT,
// timer, IPIs. What lies outside of it (other APICs, the chipset) it reaches through ApicFabric.
#pragma once

#include <array>
#include <atomic>
#include <cstdint>
#include <functional>
#include <optional>
#include <span>

#include "husk/error.h"

#include "backend/soft/apic/apic_regs.h"
#include "backend/soft/apic/apic_timer.h"
#include "backend/soft/apic/signal.h"
#include "backend/soft/apic/timekeeper.h"
#include "contract/interrupt.h"

namespace husk::soft {

class LocalApic;

enum class IpiTarget : uint8_t { kDestination = 0, kSelf = 1, kAll = 2, kAllButSelf = 3 };

// Where a local APIC's own messages go. Called on the vCPU's thread; implementations are
// thread-safe.
class ApicFabric {
 public:
  virtual ~ApicFabric() = default;
  // An IPI. A broadcast destination is 0xffffffff in either mode.
  virtual void send_ipi(LocalApic& from, IpiTarget target,
                        const contract::InterruptMessage& message) = 0;
  virtual void end_of_interrupt(uint8_t vector) = 0;
  virtual uint8_t acknowledge_extint() = 0;
};

// Threads: "owner" members belong to the vCPU's thread (or to a stopped machine); those marked
// "any" may be called from every thread. Whenever something may have become deliverable the APIC
// raises VcpuSignal::kInterrupt (or kNmi, kInit, kStartup); a vCPU that takes the bit while it
// cannot take interrupts (RFLAGS.IF) asks has_deliverable() again when it can.
class LocalApic {
 public:
  struct Config {
    uint32_t id = 0;             // x2APIC ID; the xAPIC ID is its low eight bits
    bool bootstrap = false;      // the BSP flag of IA32_APIC_BASE; LINT0 carries the 8259's INTR
    bool directed_eoi = false;   // offer EOI-broadcast suppression (version bit 24)
    uint8_t physical_bits = 52;  // MAXPHYADDR, limits IA32_APIC_BASE
  };
  using Clock = std::function<uint64_t()>;  // CLOCK_MONOTONIC ns, or a test's

  // `signal`, `fabric` and `alarm` outlive it; without an alarm only service_timer() notices
  // expiry.
  LocalApic(const Config& config, VcpuSignal& signal, ApicFabric& fabric, Clock clock,
            Timekeeper::Alarm* alarm = nullptr);
  LocalApic(const LocalApic&) = delete;
  LocalApic& operator=(const LocalApic&) = delete;

  // Owner: taking events
  // ------------------------------------------------------------------------------- An interrupt
  // that TPR and PPR let through, or an ExtINT. RFLAGS.IF and shadows are the CPU's matter.
  [[nodiscard]] bool has_deliverable() const;
  // The vector to take now; moves it to ISR. Empty when there is none, which may happen even after
  // has_deliverable() (an ExtINT went away).
  [[nodiscard]] std::optional<uint8_t> take_interrupt();
  [[nodiscard]] bool nmi_pending() const { return nmi_pending_.load(std::memory_order_acquire); }
  bool take_nmi() { return nmi_pending_.exchange(false, std::memory_order_acq_rel); }
  // After kStartup: the SIPI's vector; execution starts at vector * 4096.
  [[nodiscard]] uint8_t startup_vector() const {
    return startup_vector_.load(std::memory_order_acquire);
  }
  void init_reset();   // after kInit: all but the ID and IA32_APIC_BASE as after power-up
  void power_reset();  // as built

  // Owner: the timer
  // -----------------------------------------------------------------------------------
  void service_timer();  // after kTimer and after every sleep: delivers what has expired
  // CLOCK_MONOTONIC ns of the next expiry, kNever for none; a halted vCPU sleeps no longer than
  // this.
  [[nodiscard]] uint64_t next_deadline() const { return timer_.deadline(); }
  // Guest TSC = CLOCK_MONOTONIC ns + offset; a running TSC deadline moves with it.
  void set_tsc_offset(uint64_t offset);

  // Owner: registers
  // ----------------------------------------------------------------------------------- Base of the
  // xAPIC page; empty when there is none (disabled, or x2APIC mode).
  [[nodiscard]] std::optional<uint64_t> mmio_base() const;
  // `offset` within the page. As the SDM demands of software, a register is written by an aligned
  // 32-bit access; other writes are dropped, reads give the bytes that lie there.
  uint64_t mmio_read(uint32_t offset, uint32_t size);
  void mmio_write(uint32_t offset, uint32_t size, uint64_t value);
  // Whether the MSR is the APIC's: IA32_APIC_BASE, IA32_TSC_DEADLINE, 0x800..0x8ff.
  [[nodiscard]] static bool owns_msr(uint32_t index);
  // Empty and false: the CPU raises #GP(0).
  [[nodiscard]] std::optional<uint64_t> read_msr(uint32_t index);
  [[nodiscard]] bool write_msr(uint32_t index, uint64_t value);
  [[nodiscard]] uint64_t cr8() const { return load(kRegTpr) >> 4; }
  void set_cr8(uint64_t value) { write_tpr(static_cast<uint32_t>(value & 15) << 4); }

  // Owner: state
  // --------------------------------------------------------------------------------------- The
  // register page as KVM_GET_LAPIC lays it out, with the timer's current count; IA32_APIC_BASE and
  // IA32_TSC_DEADLINE travel as MSRs, a pending NMI with the vCPU's events.
  void capture(std::span<uint8_t, 1024> page) const;
  // After IA32_APIC_BASE has been set by set_apic_base() and before IA32_TSC_DEADLINE. Refuses
  // (kCorrupt) another vCPU's ID; reserved bits are dropped.
  [[nodiscard]] Result<void> restore(std::span<const uint8_t, 1024> page);
  // IA32_APIC_BASE without the transition rules of WRMSR, for restore and reset; kCorrupt when
  // impossible.
  [[nodiscard]] Result<void> set_apic_base(uint64_t value);
  void set_nmi_pending(bool pending);

  // Any thread
  // -----------------------------------------------------------------------------------------
  [[nodiscard]] uint32_t id() const { return config_.id; }
  [[nodiscard]] bool hardware_enabled() const { return (base_.load() & kApicBaseEnable) != 0; }
  [[nodiscard]] bool software_enabled() const { return (load(kRegSvr) & kSvrEnable) != 0; }
  [[nodiscard]] bool x2apic() const { return (base_.load() & kApicBaseX2) != 0; }
  // 11.6.2: whether a message with this destination is for this APIC.
  [[nodiscard]] bool matches(uint32_t destination, bool logical) const;
  // The processor's priority for lowest-priority arbitration: its PPR.
  [[nodiscard]] uint8_t priority() const;
  // One message that was found to be for this APIC; kExtInt is not a message here.
  void accept(const contract::InterruptMessage& message);
  void set_extint(bool asserted);  // the LINT0 pin

 private:
  enum class LvtSource : uint8_t { kPin, kInternal };

  [[nodiscard]] uint32_t load(uint32_t reg) const {
    return regs_[reg].load(std::memory_order_relaxed);
  }
  void store(uint32_t reg, uint32_t value) { regs_[reg].store(value, std::memory_order_relaxed); }
  [[nodiscard]] bool test_vector(uint32_t bank, uint8_t vector) const;
  void set_vector(uint32_t bank, uint8_t vector);
  bool clear_vector(uint32_t bank, uint8_t vector);
  [[nodiscard]] int highest(uint32_t bank) const;  // -1: none
  [[nodiscard]] bool extint_ready() const;
  void clear_registers();
  void announce_if_deliverable();

  void accept_fixed(uint8_t vector, bool level_triggered);
  void deliver_local(uint32_t lvt_reg);
  void report_error(uint32_t esr_bit);

  [[nodiscard]] uint32_t read_register(uint32_t reg);
  void write_register(uint32_t reg, uint32_t value);  // reserved bits already dropped or refused
  void write_tpr(uint32_t value);
  void write_eoi();
  void write_svr(uint32_t value);
  void write_lvt(uint32_t reg, uint32_t value);
  void write_divide(uint32_t value);
  void write_icr(uint32_t low, uint32_t destination);
  void apply_timer_mode();
  void update_alarm();
  [[nodiscard]] bool write_apic_base(uint64_t value);
  void enter_mode(uint64_t base);
  [[nodiscard]] std::optional<uint64_t> read_x2apic(uint32_t reg);
  [[nodiscard]] bool write_x2apic(uint32_t reg, uint64_t value);

  const Config config_;
  VcpuSignal& signal_;
  ApicFabric& fabric_;
  const Clock clock_;
  Timekeeper::Alarm* const alarm_;

  std::atomic<uint64_t> base_;
  std::array<std::atomic<uint32_t>, kRegCount> regs_{};
  std::atomic<uint32_t> errors_{0};  // found since the last write of ESR
  std::atomic<bool> nmi_pending_{false};
  std::atomic<bool> extint_{false};
  std::atomic<uint8_t> startup_vector_{0};
  ApicTimer timer_;
};

}  // namespace husk::soft
