#include "virtio/rng.h"

#include <gtest/gtest.h>

#include "virtio/testing/device_driver.h"

namespace husk::virtio {
namespace {

using testing::DeviceDriver;

TEST(RngTest, IsAnEntropyDeviceWithNothingToConfigure) {
  DeviceDriver driver(std::make_unique<Rng>());
  EXPECT_EQ(driver.read(8), 4u);
  EXPECT_EQ(driver.config(0, 8), 0u);
}

TEST(RngTest, FillsBuffersWithWhatIsNeverTheSame) {
  DeviceDriver driver(std::make_unique<Rng>());
  driver.start(1);
  const auto first = driver.room(64), second = driver.room(64);
  EXPECT_EQ(driver.send(0, {first}), 64u);
  EXPECT_EQ(driver.send(0, {second}), 64u);
  EXPECT_NE(driver.text(first, 64), driver.text(second, 64));
  EXPECT_NE(driver.text(first, 64), std::string(64, '\0'));
}

TEST(RngTest, GivesNoMoreThanAPageAtATime) {
  DeviceDriver driver(std::make_unique<Rng>());
  driver.start(1);
  const auto large = driver.room(9000);
  EXPECT_EQ(driver.send(0, {large}), 4096u);
  EXPECT_EQ(driver.text(large, 9000).substr(4096), std::string(9000 - 4096, '\0'));
  EXPECT_EQ(driver.send(0, {driver.fill("only to read")}), 0u);
}

// One number in 256^16 of these runs fails by chance.
TEST(RngTest, FillsTheFirstBufferOfAChainAndLeavesTheOthers) {
  DeviceDriver driver(std::make_unique<Rng>());
  driver.start(1);
  const auto first = driver.room(16), second = driver.room(16);
  EXPECT_EQ(driver.send(0, {driver.fill("x"), first, second}), 16u);
  EXPECT_NE(driver.text(first, 16), std::string(16, '\0'));
  EXPECT_EQ(driver.text(second, 16), std::string(16, '\0'));
}

TEST(RngTest, ServesAllThatIsThereWithOneInterrupt) {
  DeviceDriver driver(std::make_unique<Rng>());
  driver.start(1);
  for (int i = 0; i < 5; ++i) driver.offer(0, {driver.room(8)});
  driver.notify(0);
  for (int i = 0; i < 5; ++i) EXPECT_EQ(driver.used(0), 8u);
  EXPECT_TRUE(driver.line());
  driver.write(DeviceDriver::kInterruptAck, 1);
  driver.notify(0);  // nothing new
  EXPECT_FALSE(driver.line());
}

TEST(RngTest, ABufferOutsideRamBreaksTheDevice) {
  DeviceDriver driver(std::make_unique<Rng>());
  driver.start(1);
  EXPECT_FALSE(driver.send(0, {{0xfffff, 2, true}}));
  EXPECT_TRUE(driver.broken());
}

}  // namespace
}  // namespace husk::virtio
