#include "platform/acpi_pm.h"

#include <gtest/gtest.h>

#include "platform/testing/fake_time.h"
#include "platform/testing/recorders.h"

namespace husk::platform {
namespace {

using testing::FakeTime;

constexpr uint64_t kSecond = 1'000'000'000;

class Pm : public ::testing::Test {
 protected:
  FakeTime time;
  testing::LineRecorder sci;
  testing::EventRecorder events;
  AcpiPm pm{events, sci.line(), FakeTime::clock, 5};
};

TEST_F(Pm, TimerRunsAtItsRateAndWraps) {
  EXPECT_EQ(pm.read(8, 4), 0u);
  time.advance(kSecond);
  EXPECT_EQ(pm.read(8, 4), 3'579'545u);
  time.advance(1200 * kSecond);
  EXPECT_EQ(pm.read(8, 4), static_cast<uint32_t>(1201ull * 3'579'545));
}

TEST_F(Pm, SleepOfTheRightTypePowersOff) {
  pm.write(4, 2, 3 << 10 | 1 << 13);
  EXPECT_EQ(events.take(), std::nullopt);
  pm.write(4, 2, 5 << 10);
  EXPECT_EQ(events.take(), std::nullopt);
  pm.write(4, 2, 5 << 10 | 1 << 13);
  EXPECT_EQ(events.take(), contract::MachineEvent::kPowerOff);
  EXPECT_EQ(pm.read(4, 2) & 1, 1u) << "ACPI mode, always";
}

TEST_F(Pm, PowerButtonRaisesSciUntilItIsCleared) {
  pm.press_power_button();
  EXPECT_FALSE(sci.level()) << "not enabled";
  pm.write(2, 2, 1 << 8);
  EXPECT_TRUE(sci.level());
  EXPECT_EQ(pm.read(0, 2) & 1 << 8, 1u << 8);
  pm.write(0, 2, 1 << 8);
  EXPECT_FALSE(sci.level());
  EXPECT_EQ(pm.read(0, 2) & 1 << 8, 0u);
}

TEST_F(Pm, AnyWidthReachesAnyByte) {
  pm.write(3, 1, 1);  // enables the power button by the high byte alone
  pm.press_power_button();
  EXPECT_TRUE(sci.level());
  EXPECT_EQ(pm.read(1, 1) & 0xff, 1u);
  EXPECT_EQ(pm.read(0, 4) & 0xffffffff, 0x01000100u);
  pm.write(0, 1, 0xff);
  EXPECT_TRUE(sci.level()) << "that was the low byte";
  pm.write(1, 1, 1);
  EXPECT_FALSE(sci.level());
  pm.write(0, 4, 0);
  EXPECT_EQ(pm.read(2, 2) & 0xffff, 0u) << "a dword sets the enables too";
}

TEST_F(Pm, SleepByItsByteAndByWiderWrites) {
  pm.write(5, 1, 5 << 2 | 1 << 5);
  EXPECT_EQ(events.take(), contract::MachineEvent::kPowerOff);
  pm.write(4, 4, 5 << 10 | 1 << 13);
  EXPECT_EQ(events.take(), contract::MachineEvent::kPowerOff);
  EXPECT_EQ(pm.read(4, 2) & 1 << 13, 0u) << "sleep enable is write-only";
  EXPECT_EQ(pm.read(4, 2) & 7 << 10, 5u << 10);
}

TEST_F(Pm, TimerIsReadOnlyAndReadInOnePiece) {
  time.advance(123 * kSecond);
  const auto whole = static_cast<uint32_t>(pm.read(8, 4));
  pm.write(8, 4, 0);
  EXPECT_EQ(pm.read(8, 4), whole);
  EXPECT_EQ(pm.read(9, 1) & 0xff, whole >> 8 & 0xff);
  EXPECT_EQ(pm.read(4, 8) >> 32, whole);
}

TEST_F(Pm, TimerIsExactAfterYears) {
  time.advance_to(uint64_t{20} * 365 * 86400 * kSecond + kSecond / 2);
  const auto ticks = (uint64_t{20} * 365 * 86400 * 2 + 1) * 3'579'545 / 2;
  EXPECT_EQ(pm.read(8, 4), static_cast<uint32_t>(ticks));
}

TEST_F(Pm, ARestoredTimerGoesOnWhereItStoodAndNotByTheTimeFrozen) {
  time.advance(3 * kSecond);
  pm.write(2, 2, 1 << 8);
  contract::StateArchive saved;
  pm.transfer_state(saved);
  const auto bytes = saved.take();
  time.advance(1000 * kSecond);
  AcpiPm other(events, sci.line(), FakeTime::clock, 5);
  contract::StateArchive state(bytes);
  other.transfer_state(state);
  ASSERT_TRUE(state.finish("pm"));
  EXPECT_EQ(other.read(8, 4), 3u * 3'579'545);
  time.advance(kSecond);
  EXPECT_EQ(other.read(8, 4), 4u * 3'579'545);
  other.press_power_button();
  EXPECT_TRUE(sci.level()) << "enabled before";
}

}  // namespace
}  // namespace husk::platform
