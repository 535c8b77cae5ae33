#include "backend/kvm/x86_64/kernel_irqchip.h"

#include <cstring>
#include <vector>

#include "backend/kvm/common/calls.h"
#include "backend/kvm/x86_64/irqchip_convert.h"
#include "base/clock.h"
#include "base/try.h"

namespace husk::kvm {

using contract::x86::IrqchipState;

namespace {

constexpr Capability kNeeded[] = {
    {KVM_CAP_IRQCHIP, "KVM_CAP_IRQCHIP"},
    {KVM_CAP_PIT2, "KVM_CAP_PIT2"},
    {KVM_CAP_PIT_STATE2, "KVM_CAP_PIT_STATE2"},
    {KVM_CAP_IRQ_ROUTING, "KVM_CAP_IRQ_ROUTING"},
};

// ISA interrupt 0, the timer's, is wired to I/O APIC pin 2 (boot/acpi_madt.cc says so to guests).
// Interrupt 2 itself is none: to KVM a pin belongs to the last interrupt that was routed to it, and
// its timer waits for the end of number 0's.
constexpr uint32_t kTimer = 0, kTimerPin = 2, kPicInputs = 8;

kvm_irq_routing_entry to_chip(uint32_t gsi, uint32_t chip, uint32_t pin) {
  kvm_irq_routing_entry entry{};
  entry.gsi = gsi;
  entry.type = KVM_IRQ_ROUTING_IRQCHIP;
  entry.u.irqchip.irqchip = chip;
  entry.u.irqchip.pin = pin;
  return entry;
}

std::vector<kvm_irq_routing_entry> routes() {
  std::vector<kvm_irq_routing_entry> entries;
  for (uint32_t gsi = 0; gsi < KernelIrqchip::kLines; ++gsi) {
    if (!KernelIrqchip::has_line(gsi)) continue;
    if (gsi < 2 * kPicInputs)
      entries.push_back(to_chip(gsi, KVM_IRQCHIP_PIC_MASTER + gsi / kPicInputs, gsi % kPicInputs));
    entries.push_back(to_chip(gsi, KVM_IRQCHIP_IOAPIC, gsi == kTimer ? kTimerPin : gsi));
  }
  return entries;
}

Result<kvm_irqchip> get_chip(int vm, uint32_t id) {
  kvm_irqchip chip{};
  chip.chip_id = id;
  HUSK_TRY(call(vm, HUSK_KVM_CALL(KVM_GET_IRQCHIP), &chip));
  return chip;
}

Result<void> set_pic(int vm, const contract::x86::PicState& pic, bool slave) {
  kvm_irqchip chip{};
  chip.chip_id = slave ? KVM_IRQCHIP_PIC_SLAVE : KVM_IRQCHIP_PIC_MASTER;
  chip.chip.pic = to_kvm(pic, slave);
  HUSK_TRY(call(vm, HUSK_KVM_CALL(KVM_SET_IRQCHIP), &chip));
  return {};
}

}  // namespace

Result<KernelIrqchip> KernelIrqchip::create(const System& system, int vm) {
  HUSK_TRY(system.require(kNeeded));
  HUSK_TRY(call(vm, HUSK_KVM_CALL(KVM_CREATE_IRQCHIP)));
  const KernelIrqchip chips(vm);
  HUSK_TRY(chips.route());
  kvm_pit_config pit{};
  pit.flags = KVM_PIT_SPEAKER_DUMMY;  // port 0x61, which has the gate of the third counter
  HUSK_TRY(call(vm, HUSK_KVM_CALL(KVM_CREATE_PIT2), &pit));
  HUSK_TRY(chips.restore({}));  // KVM's own begin with all inputs of the 8259s unmasked
  return chips;
}

Result<void> KernelIrqchip::route() const {
  const std::vector<kvm_irq_routing_entry> entries = routes();
  const size_t size = entries.size() * sizeof(kvm_irq_routing_entry);
  // Of whole entries, which are more aligned than the table's head.
  std::vector<kvm_irq_routing_entry> block(entries.size() + 1);
  auto& table = *reinterpret_cast<kvm_irq_routing*>(block.data());
  table.nr = static_cast<uint32_t>(entries.size());
  std::memcpy(table.entries, entries.data(), size);
  HUSK_TRY(call(vm_, HUSK_KVM_CALL(KVM_SET_GSI_ROUTING), &table));
  return {};
}

bool KernelIrqchip::has_line(uint32_t gsi) { return gsi < kLines && gsi != kTimerPin; }

void KernelIrqchip::set_line(uint32_t gsi, bool level) const {
  kvm_irq_level line{};
  line.irq = gsi;
  line.level = level ? 1 : 0;
  (void)call(vm_, HUSK_KVM_CALL(KVM_IRQ_LINE), &line);
}

Result<IrqchipState> KernelIrqchip::capture() const {
  IrqchipState state;
  state.pics[0] = from_kvm(HUSK_TRY(get_chip(vm_, KVM_IRQCHIP_PIC_MASTER)).chip.pic, false);
  state.pics[1] = from_kvm(HUSK_TRY(get_chip(vm_, KVM_IRQCHIP_PIC_SLAVE)).chip.pic, true);
  state.ioapic = from_kvm(HUSK_TRY(get_chip(vm_, KVM_IRQCHIP_IOAPIC)).chip.ioapic);
  kvm_pit_state2 pit{};
  HUSK_TRY(call(vm_, HUSK_KVM_CALL(KVM_GET_PIT2), &pit));
  state.pit = from_kvm(pit, base::monotonic_ns());
  return state;
}

// The I/O APIC after the 8259s, for it delivers at once; the timer last, for it begins to run.
Result<void> KernelIrqchip::restore(const IrqchipState& state) const {
  HUSK_TRY(set_pic(vm_, state.pics[0], false));
  HUSK_TRY(set_pic(vm_, state.pics[1], true));
  kvm_irqchip ioapic{};
  ioapic.chip_id = KVM_IRQCHIP_IOAPIC;
  ioapic.chip.ioapic = to_kvm(state.ioapic);
  HUSK_TRY(call(vm_, HUSK_KVM_CALL(KVM_SET_IRQCHIP), &ioapic));
  kvm_pit_state2 pit = to_kvm(state.pit, base::monotonic_ns());
  HUSK_TRY(call(vm_, HUSK_KVM_CALL(KVM_SET_PIT2), &pit));
  return {};
}

}  // namespace husk::kvm
