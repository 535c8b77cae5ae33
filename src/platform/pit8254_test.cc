#include "platform/pit8254.h"

#include <gtest/gtest.h>

#include <functional>
#include <memory>
#include <utility>

#include "platform/testing/pit.h"

namespace husk::platform {
namespace {

using testing::FakeTime;
using testing::kMs;
using testing::kSecond;
using testing::Pit;

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

TEST_F(Pit, LateAlarmsLoseTicksButNotTheBeat) {
  start(0x34, 11932);  // 10 ms
  for (int i = 0; i < 100; ++i) {
    time.stall(300'000);  // a host that is late each time
    time.advance(10 * kMs - 300'000);
  }
  EXPECT_NEAR(line.take_edges(), 100, 1);
  time.stall(45 * kMs);
  time.advance(0);
  EXPECT_EQ(line.take_edges(), 1) << "missed ones come as one";
  time.advance(6 * kMs);
  EXPECT_EQ(line.take_edges(), 1) << "the next in its place";
}

TEST_F(Pit, ModeTwoAndThreeAreSixAndSevenToo) {
  start(0x3c, 1193);  // 6
  pit.ports().write(3, 1, 0xe2);
  EXPECT_EQ(pit.ports().read(0, 1) & 0x0f, 2u << 1);
  start(0x3e, 1193);  // 7
  time.advance(10 * kMs);
  EXPECT_NEAR(line.take_edges(), 10, 1);
}

TEST_F(Pit, SoftwareStrobeInterruptsOnceAndIsLowForATick) {
  start(0x38, 1193);  // mode 4, as Linux's one-shot timer
  time.advance(2 * kMs);
  EXPECT_EQ(line.take_edges(), 1);
  gate2(true);
  start(0xb8, 2);
  EXPECT_TRUE(output2());
  time.advance(1'700);  // two ticks and a little
  EXPECT_FALSE(output2());
  time.advance(900);
  EXPECT_TRUE(output2());
}

TEST_F(Pit, OneShotWaitsForItsGate) {
  start(0xb2, 1193);  // counter 2, mode 1
  EXPECT_TRUE(output2());
  time.advance(10 * kMs);
  EXPECT_TRUE(output2());
  gate2(true);
  EXPECT_FALSE(output2());
  time.advance(kMs - 10'000);
  EXPECT_FALSE(output2());
  gate2(false);
  gate2(true);  // anew
  time.advance(20'000);
  EXPECT_FALSE(output2());
  time.advance(kMs);
  EXPECT_TRUE(output2());
}

TEST_F(Pit, ANewCountWaitsForTheNextTrigger) {
  start(0xb2, 1193);
  gate2(true);
  pit.ports().write(2, 1, 0);
  pit.ports().write(2, 1, 0xff);  // far longer
  pit.ports().write(3, 1, 0xe8);
  EXPECT_EQ(pit.ports().read(2, 1) & 0x40, 0x40u) << "not loaded yet";
  time.advance(kMs + 1'000);
  EXPECT_TRUE(output2()) << "the old one ran out";
  gate2(false);
  gate2(true);
  time.advance(kMs + 1'000);
  EXPECT_FALSE(output2());
}

TEST_F(Pit, CountersWhoseGateIsAlwaysUpAreNeverTriggered) {
  start(0x32, 100);  // counter 0, mode 1
  start(0x3a, 100);  // mode 5
  time.advance(kSecond);
  EXPECT_EQ(line.take_edges(), 0);
}

TEST_F(Pit, LowGateKeepsARateGeneratorsOutputHigh) {
  gate2(true);
  start(0xb6, 1000);
  time.advance(600'000);
  EXPECT_FALSE(output2());
  gate2(false);
  EXPECT_TRUE(output2());
}

TEST_F(Pit, HalfACountStopsModeZero) {
  start(0x30, 1193);
  pit.ports().write(0, 1, 0x10);
  time.advance(10 * kMs);
  EXPECT_EQ(line.take_edges(), 0);
  pit.ports().write(3, 1, 0xe2);
  EXPECT_EQ(pit.ports().read(0, 1) & 0x80, 0u);
  pit.ports().write(0, 1, 0);
  time.advance(kMs);
  EXPECT_EQ(line.take_edges(), 1);
}

TEST_F(Pit, TerminalCountGoesOnBelowZero) {
  start(0x30, 1193);
  time.advance(2 * kMs);
  EXPECT_NEAR(count(0), 0x10000 - 1193, 2);
  start(0x31, 0x1193);  // in decimal
  time.advance(2 * kMs);
  EXPECT_EQ(count(0), 0x8807u) << "1193 - 2386 below 10000";
}

TEST_F(Pit, DecimalZeroIsTenThousandAndWrongDigitsDoNoHarm) {
  start(0x35, 0);
  time.advance(8'300'000);
  EXPECT_EQ(line.take_edges(), 0);
  time.advance(100'000);
  EXPECT_EQ(line.take_edges(), 1) << "10000 ticks are 8.38 ms";
  start(0x35, 0xffff);
  time.advance(kSecond);
  EXPECT_GT(line.take_edges(), 0);
}

TEST_F(Pit, ReadBackStatusTellsNullCountAndOutput) {
  pit.ports().write(3, 1, 0x30);
  pit.ports().write(3, 1, 0xe2);
  EXPECT_EQ(pit.ports().read(0, 1), 0x70u) << "mode 0: low, and no count yet";
  start(0x30, 100);
  pit.ports().write(3, 1, 0xe2);
  EXPECT_EQ(pit.ports().read(0, 1), 0x30u);
  pit.ports().write(3, 1, 0xe2);
  time.advance(kMs);
  pit.ports().write(3, 1, 0xe2);
  EXPECT_EQ(pit.ports().read(0, 1), 0x30u) << "the first status latched stands until it is read";
  EXPECT_EQ(pit.ports().read(0, 1), 0xbbu) << "then the count: 100 - 1193";
  EXPECT_EQ(pit.ports().read(0, 1), 0xfbu);
}

TEST_F(Pit, ReadBackLatchesSeveralAndTheFirstStands) {
  start(0x34, 5000);
  start(0x74, 6000);
  pit.ports().write(3, 1, 0xd6);  // counts of 0 and 1
  time.advance(kMs);
  pit.ports().write(3, 1, 0xd6);
  for (const auto& [counter, value] : {std::pair{0u, 5000u}, {1u, 6000u}}) {
    const uint64_t low = pit.ports().read(counter, 1);
    EXPECT_EQ(low | pit.ports().read(counter, 1) << 8, value);
  }
}

TEST_F(Pit, CommandPortReadsAsNothing) { EXPECT_EQ(pit.ports().read(3, 1), 0xffu); }

TEST_F(Pit, SystemControlKeepsItsLowHalf) {
  pit.system_control().write(0, 1, 0xfe);
  EXPECT_EQ(pit.system_control().read(0, 1) & 0x0f, 0x0eu);
}

// An alarm thread may have begun to ring when a command takes the alarm back.
class RingsWhenever : public contract::AlarmFactory {
 public:
  struct Alarm : contract::Alarm {
    void set(uint64_t) override {}
    void cancel() override {}
  };
  std::unique_ptr<contract::Alarm> create_alarm(std::function<void()> callback) override {
    ring = std::move(callback);
    return std::make_unique<Alarm>();
  }
  std::function<void()> ring;
};

TEST(PitAlarm, RingsThatComeTooLateOrTooEarlyAreNoTicks) {
  FakeTime time;
  RingsWhenever alarms;
  testing::LineRecorder line;
  Pit8254 pit(alarms, line.line(), FakeTime::clock);
  const auto start = [&](uint8_t command) {
    for (const auto& [port, value] :
         {std::pair{3u, command}, {0u, uint8_t{0xa9}}, {0u, uint8_t{4}}})
      pit.ports().write(port, 1, value);
  };
  alarms.ring();
  start(0x34);
  alarms.ring();
  EXPECT_EQ(line.take_edges(), 0) << "its time has not come";
  time.advance(kMs);
  alarms.ring();
  EXPECT_EQ(line.take_edges(), 1);
  alarms.ring();
  EXPECT_EQ(line.take_edges(), 0) << "the next one's neither";
  time.advance(kMs);
  pit.ports().write(3, 1, 0x30);
  alarms.ring();
  EXPECT_EQ(line.take_edges(), 0) << "stopped";
}

}  // namespace
}  // namespace husk::platform
