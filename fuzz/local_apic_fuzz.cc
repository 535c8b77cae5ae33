// A guest may write anything to its local APICs in any order, and a snapshot's page holds any
// bytes. Two APICs on a bus take a stream of operations; what is delivered must be a legal vector,
// priorities must hold, saved pages must load.
#include <array>
#include <cstdint>

#include "backend/soft/apic/apic_bus.h"
#include "backend/soft/apic/local_apic.h"
#include "input.h"

namespace {

using namespace husk::soft::apic;
using husk::fuzz::Input;
using husk::fuzz::require;

uint64_t now_ns = 1;
uint64_t fake_clock() { return now_ns; }

void save_and_load(LocalApic& apic) {
  std::array<uint8_t, 1024> page, again;
  apic.save(page);
  require(apic.load(page).has_value());
  apic.save(again);
  require(page == again);
}

void take(LocalApic& apic) {
  const bool had = apic.has_interrupt();
  const uint8_t before = apic.priority();
  const auto vector = apic.take_interrupt();
  require(had == vector.has_value());
  if (!vector) return;
  require(*vector >= kFirstVector && (*vector & 0xf0) > (before & 0xf0) &&
          apic.priority() == (*vector & 0xf0));
}

void operate(LocalApic& apic, ApicBus& bus, Input& input) {
  const auto reg = input.take<uint8_t>();
  switch (input.take<uint8_t>() % 9) {
    case 0:
      apic.write(reg * 16u, 4, input.take<uint32_t>());
      break;
    case 1:
      apic.write(input.take<uint16_t>() & 0xfff, 1 << (reg & 3), input.take<uint64_t>());
      break;
    case 2:
      apic.read(input.take<uint16_t>() & 0xfff, 1 << (reg & 3));
      break;
    case 3:
      (void)apic.write_msr(kX2apicFirst + reg, input.take<uint32_t>());
      break;
    case 4:
      (void)apic.write_msr(reg & 1 ? kApicBaseMsr : kTscDeadlineMsr, input.take<uint64_t>());
      break;
    case 5:
      (void)apic.read_msr(kX2apicFirst + reg);
      break;
    case 6:
      bus.deliver({.destination = input.take<uint8_t>(),
                   .logical = (reg & 8) != 0,
                   .mode = static_cast<husk::contract::DeliveryMode>(reg & 7),
                   .vector = input.take<uint8_t>(),
                   .level_triggered = (reg & 16) != 0});
      break;
    case 7:
      now_ns += input.take<uint32_t>();
      apic.update_timer(now_ns);
      break;
    default:
      save_and_load(apic);
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  now_ns = 1;
  ApicBus bus;
  VcpuSignal signals[2];
  LocalApic first(0, bus, signals[0], fake_clock), second(1, bus, signals[1], fake_clock);
  bus.add(first);
  bus.add(second);
  Input input(data, size);
  while (!input.empty()) {
    LocalApic& apic = (input.take<uint8_t>() & 1) != 0 ? second : first;
    operate(apic, bus, input);
    take(apic);
  }
  return 0;
}
