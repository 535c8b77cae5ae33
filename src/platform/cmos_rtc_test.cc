#include "platform/cmos_rtc.h"

#include <gtest/gtest.h>

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

}  // namespace
}  // namespace husk::platform
