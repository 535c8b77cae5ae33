// The chips that count time: 8254, real-time clock, ACPI timer.
#include <gtest/gtest.h>

#include "platform/acpi_pm.h"
#include "platform/cmos_rtc.h"
#include "platform/pit8254.h"
#include "platform/testing/fake_time.h"
#include "platform/testing/recorders.h"

namespace husk::platform {
namespace {

using testing::FakeTime;

constexpr uint64_t kMs = 1'000'000, kSecond = 1'000 * kMs;

class Pit : public ::testing::Test {
 protected:
  void start(uint8_t command, uint16_t count) {
    pit.ports().write(3, 1, command);
    pit.ports().write(command >> 6, 1, count & 0xff);
    pit.ports().write(command >> 6, 1, count >> 8);
  }
  uint32_t count(uint64_t counter) {
    pit.ports().write(3, 1, counter << 6);
    const uint64_t low = pit.ports().read(counter, 1);
    return static_cast<uint32_t>(low | pit.ports().read(counter, 1) << 8);
  }
  bool output2() { return (pit.system_control().read(0, 1) & 0x20) != 0; }
  void gate2(bool open) { pit.system_control().write(0, 1, open ? 1 : 0); }

  FakeTime time;
  testing::LineRecorder line;
  Pit8254 pit{time, line.line(), FakeTime::clock};
};

TEST_F(Pit, RateGeneratorTicksAtItsRate) {
  start(0x34, 1193);  // mode 2, about 1000 Hz
  time.advance(100 * kMs);
  EXPECT_NEAR(line.take_edges(), 100, 1);
}

TEST_F(Pit, CountOfZeroIsTheLongest) {
  start(0x34, 0);
  time.advance(54 * kMs);
  EXPECT_EQ(line.take_edges(), 0);
  time.advance(1 * kMs);
  EXPECT_EQ(line.take_edges(), 1);
}

TEST_F(Pit, TerminalCountInterruptsOnce) {
  start(0x30, 1193);
  time.advance(kSecond);
  EXPECT_EQ(line.take_edges(), 1);
  EXPECT_FALSE(time.armed());
}

TEST_F(Pit, AGuestCannotAskForAStormOfAlarms) {
  start(0x34, 1);
  const uint64_t before = time.rings();
  time.advance(10 * kMs);
  EXPECT_LE(time.rings() - before, 10 * kMs / Pit8254::kShortestPeriodNs + 1);
}

TEST_F(Pit, ANewCommandStopsTheOldCount) {
  start(0x34, 1193);
  pit.ports().write(3, 1, 0x34);
  time.advance(kSecond);
  EXPECT_EQ(line.take_edges(), 0);
}

TEST_F(Pit, LatchStandsWhileTheCounterRuns) {
  start(0x34, 10000);
  time.advance(kMs);  // 1193 ticks
  pit.ports().write(3, 1, 0x00);
  time.advance(kMs);
  const uint64_t low = pit.ports().read(0, 1), high = pit.ports().read(0, 1);
  EXPECT_NEAR(static_cast<double>(high << 8 | low), 10000 - 1193, 1);
  EXPECT_NEAR(count(0), 10000 - 2386, 1);
}

TEST_F(Pit, ReadBackTellsStatusThenCount) {
  start(0x34, 500);
  pit.ports().write(3, 1, 0xc2);  // both, of counter 0
  EXPECT_EQ(pit.ports().read(0, 1) & 0x3f, 0x34u);
  EXPECT_EQ(pit.ports().read(0, 1), 500u & 0xff);
  EXPECT_EQ(pit.ports().read(0, 1), 500u >> 8);
}

TEST_F(Pit, OneByteAccesses) {
  pit.ports().write(3, 1, 0x14);  // low byte only
  pit.ports().write(0, 1, 200);
  EXPECT_EQ(pit.ports().read(0, 1), 200u);
  pit.ports().write(3, 1, 0x24);  // high byte only
  pit.ports().write(0, 1, 2);
  EXPECT_EQ(pit.ports().read(0, 1), 2u);
}

TEST_F(Pit, BinaryCodedDecimal) {
  start(0xb1, 0x1000);  // counter 2, mode 0
  EXPECT_EQ(count(2), 0x1000u);
  gate2(true);
  time.advance(837'300);  // 999.05 ticks
  EXPECT_EQ(count(2), 0x0001u);
}

TEST_F(Pit, GateHoldsModeZeroAndLetsItGoOn) {
  gate2(true);
  start(0xb0, 1193);
  time.advance(kMs / 2);
  gate2(false);
  time.advance(kSecond);
  EXPECT_FALSE(output2());
  EXPECT_NEAR(count(2), 1193 - 596, 2);
  gate2(true);
  time.advance(kMs / 2 - 10'000);
  EXPECT_FALSE(output2());
  time.advance(20'000);
  EXPECT_TRUE(output2());
}

TEST_F(Pit, GateStartsARateGeneratorAnew) {
  gate2(true);
  start(0xb4, 10000);
  time.advance(kMs);
  gate2(false);
  gate2(true);
  EXPECT_EQ(count(2), 10000u);
}

TEST_F(Pit, SquareWaveIsHighHalfTheTime) {
  gate2(true);
  start(0xb6, 1000);
  EXPECT_TRUE(output2());
  time.advance(500 * kSecond / 1'193'182);
  EXPECT_TRUE(output2());
  time.advance(10'000);
  EXPECT_FALSE(output2());
}

TEST_F(Pit, RefreshBitToggles) {
  const uint64_t before = pit.system_control().read(0, 1) & 0x10;
  time.advance(15'085);
  EXPECT_NE(pit.system_control().read(0, 1) & 0x10, before);
}

class Rtc : public ::testing::Test {
 protected:
  uint64_t read(uint8_t index) {
    rtc.write(0, 1, index);
    return rtc.read(1, 1);
  }
  void write(uint8_t index, uint8_t value) {
    rtc.write(0, 1, index);
    rtc.write(1, 1, value);
  }
  FakeTime time{1'709'211'599 * kSecond};  // Thursday 2024-02-29 12:59:59 UTC
  CmosRtc rtc{FakeTime::clock};
};

TEST_F(Rtc, TellsTheTimeInBcd) {
  const uint8_t indices[] = {0, 2, 4, 6, 7, 8, 9, 0x32};
  const uint64_t expected[] = {0x59, 0x59, 0x12, 5, 0x29, 0x02, 0x24, 0x20};
  for (size_t i = 0; i < std::size(indices); ++i) EXPECT_EQ(read(indices[i]), expected[i]) << i;
  time.advance(kSecond);
  EXPECT_EQ(read(4), 0x13u);
  EXPECT_EQ(read(2), 0u);
}

TEST_F(Rtc, BinaryAndTwelveHours) {
  write(11, 0x06);
  EXPECT_EQ(read(0), 59u);
  write(11, 0x00);
  EXPECT_EQ(read(4), 0x92u) << "noon is 12 p.m.";
  time.advance(12 * 3600 * kSecond);
  EXPECT_EQ(read(4), 0x12u) << "midnight is 12 a.m.";
}

TEST_F(Rtc, UpdateFlagStandsBeforeTheSecond) {
  EXPECT_EQ(read(10) & 0x80, 0u);
  time.advance(kSecond - 100'000);
  EXPECT_EQ(read(10) & 0x80, 0x80u);
  EXPECT_EQ(read(13) & 0x80, 0x80u);
}

TEST_F(Rtc, MemoryKeepsAndTheIndexPortReadsAsNothing) {
  write(0x40, 0xa5);
  EXPECT_EQ(read(0x40), 0xa5u);
  EXPECT_EQ(read(0xc0), 0xa5u) << "bit 7 is the NMI mask";
  EXPECT_EQ(rtc.read(0, 1), 0xffu);
}

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

}  // namespace
}  // namespace husk::platform
