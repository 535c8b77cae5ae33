#include "backend/kvm/x86_64/irqchip_convert.h"

#include <gtest/gtest.h>

#include <cstring>

#include "contract/x86/irqchip_codec.h"

namespace husk::kvm {
namespace {

using contract::x86::IoApicState;
using contract::x86::IrqchipState;
using contract::x86::PicState;
using contract::x86::PitCounterState;
using contract::x86::PitState;

constexpr uint64_t kNow = 1'000'000'000;

PitState round(const PitState& pit) { return from_kvm(to_kvm(pit, kNow), kNow); }

PitCounterState counting(uint8_t mode) {
  PitCounterState counter;
  counter.mode = mode;
  counter.reload = counter.triggered = 1193;
  counter.programmed = counter.counting = true;
  counter.null_count = false;
  counter.armed = counter.by_edge();
  return counter;
}

TEST(IrqchipConvert, FreshChipsStayFresh) {
  EXPECT_EQ(from_kvm(to_kvm(PicState{}, false), false), PicState{});
  EXPECT_EQ(from_kvm(to_kvm(IoApicState{})), IoApicState{});
  EXPECT_EQ(round({}), PitState{});
  EXPECT_EQ(to_kvm(PitState{}, kNow).channels[0].mode, 0xff) << "KVM would start any other";
}

TEST(IrqchipConvert, AnInterruptControllersRegistersComeBack) {
  for (uint8_t step : {0, 2, 3, 4})
    for (uint8_t lowest = 0; lowest < 8; ++lowest) {
      const PicState pic = {.lines = 0x81,
                            .requested = 0x42,
                            .in_service = 0x24,
                            .mask = 0x18,
                            .level = 0x80,
                            .base = 0x70,
                            .init_step = step,
                            .lowest = lowest,
                            .needs_icw4 = true,
                            .auto_eoi = step == 0,
                            .rotate_on_auto_eoi = true,
                            .read_in_service = step == 2,
                            .poll = true,
                            .special_mask = step == 3};
      EXPECT_EQ(from_kvm(to_kvm(pic, true), true), pic);
    }
}

// api.rst does not say; Linux's arch/x86/kvm/i8259.c does.
TEST(IrqchipConvert, KvmsNumbersAreItsOwn) {
  const kvm_pic_state state = to_kvm({.init_step = 2, .lowest = 7}, false);
  EXPECT_EQ(state.init_state, 1) << "its first step";
  EXPECT_EQ(state.priority_add, 0);
  EXPECT_EQ(state.elcr_mask, 0xf8);
  EXPECT_EQ(to_kvm(PicState{}, true).elcr_mask, 0xde);
  EXPECT_EQ(to_kvm(IoApicState{.id = 0x0a000000}).id, 0x0aU);
  EXPECT_EQ(to_kvm(IoApicState{}).base_address, 0xfec00000U);
}

TEST(IrqchipConvert, NoEdgeIsDeliveredTwice) {
  IoApicState ioapic;
  ioapic.select = 0x10;
  ioapic.id = 0x0f000000;
  ioapic.entries[3] = 0x31;
  ioapic.entries[9] = IoApicState::kLevel | IoApicState::kRemoteIrr | 0x41;
  ioapic.entries[11] = IoApicState::kMasked | 0x51;
  ioapic.lines = 1u << 3 | 1u << 9 | 1u << 11;
  const kvm_ioapic_state state = to_kvm(ioapic);
  EXPECT_EQ(state.irr, 1u << 9 | 1u << 11) << "the edge was delivered when it came";
  EXPECT_EQ(state.redirtbl[9].fields.vector, 0x41);
  EXPECT_EQ(state.redirtbl[9].fields.trig_mode, 1);
  EXPECT_EQ(state.redirtbl[9].fields.remote_irr, 1);
  ioapic.lines = 1u << 9 | 1u << 11;
  EXPECT_EQ(from_kvm(state), ioapic);
}

TEST(IrqchipConvert, EveryModeOfACounterComesBack) {
  for (uint8_t mode = 0; mode <= 5; ++mode) {
    PitState pit;
    pit.counters = {counting(mode), counting(mode), counting(mode)};
    pit.counters[1].ns_since_load = 500;
    pit.counters[2].ns_since_load = 700;
    pit.counters[2].held = !pit.counters[2].by_edge();
    pit.interrupt_due = !pit.counters[0].by_edge();
    pit.control = PitState::kSpeaker;
    EXPECT_EQ(round(pit), pit) << int{mode};
  }
}

TEST(IrqchipConvert, WhichByteIsNextComesBack) {
  for (uint8_t access = 1; access <= 3; ++access)
    for (const bool high : {false, true})
      for (const bool latched : {false, true}) {
        PitState pit;
        PitCounterState& counter = pit.counters[2] = counting(2);
        pit.control = PitState::kGate;
        counter.access = access;
        counter.latched = latched;
        counter.latch = 0x1234;
        counter.status_latched = latched;
        counter.status = 0xb4;
        counter.high_next_read = high && access == 3;
        counter.high_next_write = high && access == 3;
        counter.low_byte = 0x77;
        EXPECT_EQ(round(pit), pit) << int{access} << high << latched;
      }
}

TEST(IrqchipConvert, KvmDoesNotTellHowFarTheTimerIs) {
  PitState pit;
  pit.counters[0] = counting(2);
  pit.counters[0].ns_since_load = 12345;
  pit.interrupt_due = true;
  PitState expected = pit;
  expected.counters[0].ns_since_load = 0;
  EXPECT_EQ(round(pit), expected);
}

TEST(IrqchipConvert, AnArmedCounterHasItsNextCount) {
  PitState pit;
  pit.counters[2] = counting(1);
  pit.counters[2].triggered = 77;
  EXPECT_EQ(to_kvm(pit, kNow).channels[2].count, 77U);
}

// Whatever KVM says, it is a state that can be saved.
TEST(IrqchipConvert, NonsenseBecomesAState) {
  for (const int fill : {0x00, 0x01, 0x55, 0x80, 0xaa, 0xfe, 0xff}) {
    kvm_pic_state pic;
    kvm_ioapic_state ioapic;
    kvm_pit_state2 pit;
    std::memset(&pic, fill, sizeof(pic));
    std::memset(&ioapic, fill, sizeof(ioapic));
    std::memset(&pit, fill, sizeof(pit));
    const IrqchipState state{
        {from_kvm(pic, false), from_kvm(pic, true)}, from_kvm(ioapic), from_kvm(pit, kNow)};
    const auto back = contract::x86::read_irqchip_state(contract::x86::write_irqchip_state(state));
    ASSERT_TRUE(back) << fill << ": " << back.error().message();
    EXPECT_EQ(*back, state);
  }
}

}  // namespace
}  // namespace husk::kvm
