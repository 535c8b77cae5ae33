#include "contract/x86/irqchip_codec.h"

#include <gtest/gtest.h>

#include <functional>

namespace husk::contract::x86 {
namespace {

IrqchipState busy() {
  IrqchipState state;
  state.pics[0] = {.lines = 1,
                   .requested = 2,
                   .in_service = 4,
                   .mask = 8,
                   .level = 0x10,
                   .base = 0x20,
                   .init_step = 3,
                   .lowest = 5,
                   .needs_icw4 = true,
                   .auto_eoi = false,
                   .rotate_on_auto_eoi = true,
                   .read_in_service = false,
                   .poll = true,
                   .special_mask = true};
  state.pics[1].base = 0x28;
  state.ioapic.select = 0x12;
  state.ioapic.id = 0x0f000000;
  state.ioapic.lines = 0x800001;
  state.ioapic.entries[23] = 0xff00000000018077;
  PitCounterState& timer = state.pit.counters[0];
  timer = {.ns_since_load = 0x123456789a, .reload = 1193, .triggered = 7, .latch = 0x4321};
  timer.mode = 2;
  timer.access = 1;
  timer.status = 0x34;
  timer.low_byte = 9;
  timer.programmed = timer.counting = timer.bcd = timer.latched = timer.high_next_read = true;
  timer.null_count = false;
  PitCounterState& gated = state.pit.counters[2];
  gated.mode = 0;
  gated.counting = gated.held = gated.armed = gated.status_latched = gated.high_next_write = true;
  state.pit.interrupt_due = true;
  state.pit.control = 0x0e;
  return state;
}

std::string why(const Result<IrqchipState>& result) {
  return result ? "no error" : result.error().message();
}

TEST(IrqchipCodec, EveryFieldComesBack) {
  for (const IrqchipState& state : {IrqchipState{}, busy()}) {
    const auto back = read_irqchip_state(write_irqchip_state(state));
    ASSERT_TRUE(back) << why(back);
    EXPECT_EQ(*back, state);
  }
}

// Every byte means something: with another value there, it is another state or none.
TEST(IrqchipCodec, NoByteIsIdle) {
  const auto whole = write_irqchip_state(busy());
  for (size_t at = 0; at < whole.size(); ++at)
    for (const uint8_t flip : {1, 0x80}) {
      auto bytes = whole;
      bytes[at] ^= std::byte{flip};
      const auto back = read_irqchip_state(bytes);
      if (back) {
        EXPECT_NE(*back, busy()) << at;
        EXPECT_EQ(write_irqchip_state(*back), bytes) << at;
      } else {
        EXPECT_EQ(back.error().kind, ErrorKind::kCorrupt) << at;
      }
    }
}

TEST(IrqchipCodec, LayoutIsFixed) {
  const auto bytes = write_irqchip_state(busy());
  ASSERT_EQ(bytes.size(), 4U + 2 * 14 + 12 + 24 * 8 + 3 * 32 + 2);
  const auto at = [&](size_t i) { return std::to_integer<int>(bytes[i]); };
  EXPECT_EQ(at(0), 2) << "the version";
  EXPECT_EQ(at(4 + 7), 5) << "the master's lowest priority";
  EXPECT_EQ(at(18 + 5), 0x28) << "the slave's vectors";
  EXPECT_EQ(at(32), 0x12) << "the I/O APIC's select";
  EXPECT_EQ(at(44 + 23 * 8), 0x77) << "its last entry";
  EXPECT_EQ(at(236), 0x9a) << "counter 0's time";
  EXPECT_EQ(at(333), 0x0e) << "the speaker's port";
}

TEST(IrqchipCodec, RefusesEveryTruncationAndWhatIsBehind) {
  auto bytes = write_irqchip_state(busy());
  for (size_t size = 0; size < bytes.size(); ++size)
    EXPECT_FALSE(read_irqchip_state(std::span(bytes).first(size))) << size;
  bytes.push_back({});
  EXPECT_FALSE(read_irqchip_state(bytes));
}

TEST(IrqchipCodec, RefusesOtherVersions) {
  auto bytes = write_irqchip_state({});
  bytes[0] = std::byte{1};
  EXPECT_EQ(why(read_irqchip_state(bytes)), "interrupt controller state: has an unknown version");
}

TEST(IrqchipCodec, RefusesWhatNoChipCanBeIn) {
  using Change = std::function<void(IrqchipState&)>;
  const Change changes[] = {
      [](auto& s) { s.pics[0].lowest = 8; },
      [](auto& s) { s.pics[0].base = 0x21; },
      [](auto& s) { s.pics[0].level = 1; },
      [](auto& s) { s.pics[1].level = 0x20; },
      [](auto& s) { s.pics[1].init_step = 1; },
      [](auto& s) { s.pics[1].init_step = 5; },
      [](auto& s) { s.ioapic.select = 0x100; },
      [](auto& s) { s.ioapic.id = 1; },
      [](auto& s) { s.ioapic.lines = 1u << 24; },
      [](auto& s) { s.ioapic.entries[5] = 1u << 17; },
      [](auto& s) { s.pit.counters[1].mode = 6; },
      [](auto& s) { s.pit.counters[1].access = 0; },
      [](auto& s) { s.pit.counters[1].access = 4; },
      [](auto& s) { s.pit.counters[0].reload = 0; },
      [](auto& s) { s.pit.counters[0].reload = 0x10001; },
      [](auto& s) { s.pit.counters[2].triggered = 0; },
      [](auto& s) { s.pit.counters[2].ns_since_load = PitCounterState::kLongestNs + 1; },
      [](auto& s) { s.pit.counters[0].held = s.pit.counters[0].counting = true; },
      [](auto& s) { s.pit.counters[1].held = s.pit.counters[1].counting = true; },
      [](auto& s) { s.pit.counters[2].held = true; },
      [](auto& s) {
        s.pit.counters[2].held = s.pit.counters[2].counting = true;
        s.pit.control = PitState::kGate;
      },
      [](auto& s) {
        s.pit.counters[2].held = s.pit.counters[2].counting = true;
        s.pit.counters[2].mode = 1;
      },
      [](auto& s) { s.pit.interrupt_due = true; },
      [](auto& s) { s.pit.control = 0x10; },
  };
  for (size_t i = 0; i < std::size(changes); ++i) {
    IrqchipState state;
    changes[i](state);
    const auto result = read_irqchip_state(write_irqchip_state(state));
    ASSERT_FALSE(result) << "change " << i;
    EXPECT_EQ(result.error().kind, ErrorKind::kCorrupt);
  }
}

}  // namespace
}  // namespace husk::contract::x86
