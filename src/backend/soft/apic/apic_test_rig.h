// What the tests of this room share: APICs on a bus with a clock that stands still, and a chipset
// that records.
#pragma once

#include <deque>
#include <memory>
#include <vector>

#include "backend/soft/apic/apic_bus.h"
#include "backend/soft/apic/local_apic.h"

namespace husk::soft::apic::testing {

inline uint64_t fake_now_ns = 1'000'000;
inline uint64_t fake_clock() { return fake_now_ns; }

class RecordingController final : public contract::InterruptController {
 public:
  void set_line(uint32_t, bool) override {}
  void end_of_interrupt(uint8_t vector) override { ended.push_back(vector); }
  uint8_t acknowledge_extint() override {
    ++acknowledged;
    return 0x21;
  }
  [[nodiscard]] std::vector<std::byte> capture() const override { return {}; }
  [[nodiscard]] Result<void> restore(std::span<const std::byte>) override { return {}; }

  std::vector<uint8_t> ended;
  int acknowledged = 0;
};

struct Machine {
  explicit Machine(uint32_t count) {
    fake_now_ns = 1'000'000;
    bus.set_controller(&controller);
    for (uint32_t id = 0; id < count; ++id) {
      apics.push_back(std::make_unique<LocalApic>(id, bus, signals.emplace_back(), fake_clock));
      bus.add(*apics.back());
    }
  }
  LocalApic& operator[](size_t i) { return *apics[i]; }

  ApicBus bus;
  RecordingController controller;
  std::deque<VcpuSignal> signals;
  std::vector<std::unique_ptr<LocalApic>> apics;
};

inline uint32_t get(LocalApic& apic, uint32_t reg) {
  return static_cast<uint32_t>(apic.read(reg * 16, 4));
}
inline void put(LocalApic& apic, uint32_t reg, uint32_t value) { apic.write(reg * 16, 4, value); }
inline void enable(LocalApic& apic) { put(apic, kSpurious, 0x1ff); }
inline bool enter_x2apic(LocalApic& apic) {
  return apic.write_msr(kApicBaseMsr, *apic.read_msr(kApicBaseMsr) | kBaseX2apic);
}
inline contract::InterruptMessage fixed(uint8_t vector, bool level = false) {
  return {.vector = vector, .level_triggered = level};
}

}  // namespace husk::soft::apic::testing
