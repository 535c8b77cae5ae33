#include "platform/cmos_rtc.h"

#include <gtest/gtest.h>

#include <utility>
#include <vector>

#include "platform/testing/fake_time.h"
#include "platform/testing/recorders.h"

namespace husk::platform {
namespace {

using testing::FakeTime;

constexpr uint64_t kSecond = 1'000'000'000;

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
  void set_date(const std::vector<std::pair<uint8_t, uint8_t>>& fields) {
    write(kB, 0x82);
    for (const auto& [index, value] : fields) write(index, value);
    write(kB, 0x02);
  }
  static constexpr uint8_t kA = 10, kB = 11, kC = 12;
  FakeTime time{1'709'211'599 * kSecond};  // Thursday 2024-02-29 12:59:59 UTC
  testing::LineRecorder line;
  CmosRtc rtc{time, line.line(), {FakeTime::clock, FakeTime::clock}};
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

TEST_F(Rtc, IndexAndDataByOneWord) {
  rtc.write(0, 2, 0x5a41);
  EXPECT_EQ(read(0x41), 0x5au);
}

TEST_F(Rtc, TakesATimeAndGoesOnFromThere) {
  set_date({{0, 0x58}, {2, 0x59}, {4, 0x23}, {7, 0x31}, {8, 0x12}, {9, 0x99}, {0x32, 0x19}});
  EXPECT_EQ(read(0), 0x58u);
  time.advance(2 * kSecond);
  const uint8_t indices[] = {0, 2, 4, 6, 7, 8, 9, 0x32};
  const uint64_t expected[] = {0, 0, 0, 7, 0x01, 0x01, 0x00, 0x20};  // a Saturday
  for (size_t i = 0; i < std::size(indices); ++i) EXPECT_EQ(read(indices[i]), expected[i]) << i;
}

TEST_F(Rtc, StandsWhileItIsSet) {
  write(kB, 0x82);
  time.advance(kSecond - 100'000);
  EXPECT_EQ(read(kA) & 0x80, 0u);
  time.advance(10 * kSecond);
  EXPECT_EQ(read(0), 0x59u);
  EXPECT_EQ(read(kC), 0u);
  write(kB, 0x02);
  EXPECT_EQ(read(0), 0x59u);
  time.advance(kSecond);
  EXPECT_EQ(read(0), 0x00u);
}

TEST_F(Rtc, ReleasingTheDividerIsHalfASecondBeforeTheUpdate) {
  write(kB, 0x82);
  write(kA, 0x76);
  write(0, 0x10);
  write(kB, 0x02);
  time.advance(5 * kSecond);
  EXPECT_EQ(read(0), 0x10u) << "the divider is still held";
  write(kA, 0x26);
  time.advance(kSecond / 2 - 1000);
  EXPECT_EQ(read(0), 0x10u);
  time.advance(2000);
  EXPECT_EQ(read(0), 0x11u);
}

TEST_F(Rtc, OneFieldCanBeWrittenWhileItRuns) {
  write(4, 0x06);
  EXPECT_EQ(read(4), 0x06u);
  EXPECT_EQ(read(2), 0x59u);
  time.advance(kSecond);
  EXPECT_EQ(read(4), 0x07u);
}

TEST_F(Rtc, AnyBytesAreSomeTime) {
  set_date({{0, 0xff}, {2, 0xff}, {4, 0xff}, {7, 0xff}, {8, 0}, {9, 0xff}, {0x32, 0xff}});
  for (uint8_t index = 0; index < 10; ++index) (void)read(index);
  set_date({{7, 0}, {8, 0}, {9, 0}, {0x32, 0}});
  EXPECT_LE(read(0), 0x59u);
}

TEST_F(Rtc, UpdateFlagIsSetEverySecondAndClearedByReading) {
  EXPECT_EQ(read(kC), 0u);
  time.advance(kSecond);
  EXPECT_EQ(read(kC), 0x50u) << "and the periodic flag; no request, as none is enabled";
  EXPECT_EQ(read(kC), 0u);
  EXPECT_EQ(line.take_edges(), 0);
}

TEST_F(Rtc, UpdateInterruptStandsUntilFlagsAreRead) {
  write(kB, 0x12);
  time.advance(3 * kSecond);
  EXPECT_TRUE(line.level());
  EXPECT_EQ(line.take_edges(), 1);
  EXPECT_EQ(read(kC) & 0xb0, 0x90u);
  EXPECT_FALSE(line.level());
  time.advance(kSecond);
  EXPECT_EQ(line.take_edges(), 1);
  write(kB, 0x02);
  EXPECT_FALSE(line.level()) << "disabled";
  EXPECT_FALSE(time.armed());
}

TEST_F(Rtc, SettingDisablesTheUpdateInterrupt) {
  write(kB, 0x92);
  EXPECT_EQ(read(kB), 0x82u);
}

TEST_F(Rtc, AHostClockSetBackIsNoEvent) {
  write(kB, 0x12);
  (void)read(kC);
  time.advance_to(FakeTime::clock() - 10 * kSecond);
  EXPECT_EQ(read(kC), 0u);
  EXPECT_EQ(read(0), 0x49u);
  time.advance(kSecond);
  EXPECT_EQ(read(kC) & 0x90, 0x90u);
}

TEST_F(Rtc, PeriodicInterruptAtItsRate) {
  for (const auto& [rate, hertz] : {std::pair{1, 256}, {2, 128}, {3, 8192}, {6, 1024}, {15, 2}}) {
    write(kA, static_cast<uint8_t>(0x20 | rate));
    write(kB, 0x42);
    (void)read(kC);
    (void)line.take_edges();
    int rings = 0;
    for (int step = 0; step < 200'000; ++step) {
      time.advance(kSecond / 200'000);
      if (line.level()) ++rings;
      if (line.level()) (void)read(kC);
    }
    EXPECT_NEAR(rings, hertz, 1) << rate;
    write(kB, 0x02);
  }
  write(kA, 0x20);
  write(kB, 0x42);
  (void)read(kC);
  time.advance(kSecond);
  EXPECT_FALSE(line.level()) << "rate 0 is none";
}

TEST_F(Rtc, AlarmInterruptsAtItsTime) {
  write(1, 0x30);
  write(3, 0x05);
  write(5, 0x13);
  write(kB, 0x22);
  time.advance(330 * kSecond);  // 13:05:29
  EXPECT_FALSE(line.level());
  time.advance(kSecond);
  EXPECT_TRUE(line.level());
  EXPECT_EQ(read(kC) & 0xa0, 0xa0u);
  time.advance(86'399 * kSecond);
  EXPECT_FALSE(line.level());
  time.advance(kSecond);
  EXPECT_TRUE(line.level()) << "every day";
}

TEST_F(Rtc, AGuestCannotAskForAStormOfAlarms) {
  write(kA, 0x23);
  write(kB, 0x72);
  const uint64_t before = time.rings();
  time.advance(10 * kSecond);
  EXPECT_LE(time.rings() - before, 1u) << "it does not read the flags";
}

TEST_F(Rtc, ReadOnlyRegistersStay) {
  write(13, 0);
  EXPECT_EQ(read(13), 0x80u);
  write(kC, 0xff);
  EXPECT_EQ(read(kC), 0u);
  write(kA, 0xa5);
  EXPECT_EQ(read(kA), 0x25u);
}

TEST_F(Rtc, ARestoredClockShowsTheHostsTimeAndKeepsItsInterrupts) {
  write(kB, 0x12);  // interrupts at each second
  CmosRtc other(time, line.line(), {FakeTime::clock, FakeTime::clock});
  time.stall(uint64_t{100} * 365 * 86400 * kSecond);
  ASSERT_TRUE(testing::copy_state(rtc, other));
  other.write(0, 1, 9);
  EXPECT_EQ(other.read(1, 1), 0x24u) << "a hundred years of 365 days later";
  other.write(0, 1, kC);
  (void)other.read(1, 1);
  EXPECT_FALSE(line.level());
  time.advance(kSecond);
  EXPECT_TRUE(line.level());
}

TEST_F(Rtc, RefusesAStateThatCannotBe) {
  contract::StateArchive saved;
  rtc.transfer_state(saved);
  const auto good = saved.take();
  const auto error_with = [&](size_t at, uint8_t value) {
    auto bytes = good;
    bytes[at] = std::byte{value};
    contract::StateArchive state(bytes);
    rtc.transfer_state(state);
    const auto result = state.finish("rtc");
    return result ? "" : result.error().message();
  };
  EXPECT_EQ(error_with(4, 0x80), "rtc: has an index beyond the memory");
  EXPECT_EQ(error_with(15, 0x7f), "rtc: has a phase of a second or more");
  EXPECT_EQ(error_with(23, 0x7f), "rtc: has a time that no clock shows");
}

}  // namespace
}  // namespace husk::platform
