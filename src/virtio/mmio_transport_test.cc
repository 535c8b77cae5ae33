#include "virtio/mmio_transport.h"

#include <gtest/gtest.h>

#include <chrono>
#include <future>
#include <latch>
#include <thread>

#include "virtio/rng.h"
#include "virtio/testing/device_driver.h"
#include "virtio/testing/driver.h"

namespace husk::virtio {
namespace {

using testing::DeviceDriver;

class Transport : public ::testing::Test {
 protected:
  DeviceDriver driver{std::make_unique<Rng>()};
};

TEST_F(Transport, IdentifiesItself) {
  EXPECT_EQ(driver.read(0), 0x74726976u);
  EXPECT_EQ(driver.read(4), 2u);
  EXPECT_EQ(driver.read(8), 4u);
  EXPECT_EQ(driver.read(0xb0), ~0u) << "no shared memory";
  EXPECT_EQ(driver.read(0xf0), 0u);
}

TEST_F(Transport, OffersWhatEveryDeviceHasAndNothingBeyond64Bits) {
  EXPECT_EQ(driver.offered(), kFeatureVersion1 | kFeatureIndirect | kFeatureEventIndex);
  driver.write(DeviceDriver::kDeviceFeaturesSel, 2);
  EXPECT_EQ(driver.read(DeviceDriver::kDeviceFeatures), 0u);
}

TEST_F(Transport, RefusesFeaturesThatItDoesNotOffer) {
  EXPECT_FALSE(driver.negotiate(kFeatureVersion1 | 1));
  EXPECT_FALSE(driver.negotiate(kFeatureIndirect)) << "a legacy driver";
  EXPECT_TRUE(driver.negotiate(kFeatureVersion1 | kFeatureIndirect));
}

TEST_F(Transport, FeaturesAreFixedOnceAgreed) {
  ASSERT_TRUE(driver.negotiate(kFeatureVersion1));
  driver.write(DeviceDriver::kDriverFeaturesSel, 0);
  driver.write(DeviceDriver::kDriverFeatures, kFeatureEventIndex);
  driver.start_agreed(1);
  for (int i = 0; i < 2; ++i) {
    ASSERT_TRUE(driver.send(0, {driver.room(8)}));
    EXPECT_TRUE(driver.line()) << "by an event index only the first would be told of";
    driver.write(DeviceDriver::kInterruptAck, 1);
  }
}

TEST_F(Transport, ByEventIndexItInterruptsWhenAsked) {
  driver.start(1, kFeatureVersion1 | kFeatureEventIndex);
  ASSERT_TRUE(driver.send(0, {driver.room(8)}));
  EXPECT_TRUE(driver.line());
  driver.write(DeviceDriver::kInterruptAck, 1);
  ASSERT_TRUE(driver.send(0, {driver.room(8)}));
  EXPECT_FALSE(driver.line());
}

TEST_F(Transport, IndirectTablesWorkOnlyIfAgreed) {
  for (const uint64_t features : {kFeatureVersion1, kFeatureVersion1 | kFeatureIndirect}) {
    driver.start(1, features);
    const auto target = driver.room(8);
    const testing::Descriptor table{target.address, target.length, testing::kWrite, 0};
    const auto indirect = driver.fill({reinterpret_cast<const char*>(&table), sizeof(table)});
    driver.offer(0, {indirect});
    const auto at = Gpa{driver.ring(0)};
    auto outer = *driver.memory().load<testing::Descriptor>(at);
    outer.flags = testing::kIndirect;
    ASSERT_TRUE(driver.memory().store(at, outer));
    driver.notify(0);
    const bool agreed = (features & kFeatureIndirect) != 0;
    EXPECT_EQ(driver.used(0).has_value(), agreed);
    EXPECT_EQ(driver.broken(), !agreed);
  }
}

TEST_F(Transport, QueuesBeyondTheDevicesAreNone) {
  driver.write(DeviceDriver::kQueueSel, 0);
  EXPECT_GT(driver.read(DeviceDriver::kQueueSizeMax), 0u);
  driver.write(DeviceDriver::kQueueSel, 1);
  EXPECT_EQ(driver.read(DeviceDriver::kQueueSizeMax), 0u);
  driver.write(DeviceDriver::kQueueReady, 1);
  EXPECT_EQ(driver.read(DeviceDriver::kQueueReady), 0u);
  driver.write(DeviceDriver::kQueueSel, ~0u);
  EXPECT_EQ(driver.read(DeviceDriver::kQueueSizeMax), 0u);
}

TEST_F(Transport, InterruptsUntilAcknowledged) {
  driver.start(1);
  ASSERT_TRUE(driver.send(0, {driver.room(8)}));
  EXPECT_TRUE(driver.line());
  EXPECT_EQ(driver.read(DeviceDriver::kInterruptStatus), 1u);
  driver.write(DeviceDriver::kInterruptAck, 2);
  EXPECT_TRUE(driver.line());
  driver.write(DeviceDriver::kInterruptAck, 1);
  EXPECT_FALSE(driver.line());
  EXPECT_EQ(driver.read(DeviceDriver::kInterruptStatus), 0u);
}

// Serves until it is let go.
class Slow : public Rng {
 public:
  Result<void> notified(uint32_t queue) override {
    inside.count_down();
    go_on.wait();
    return Rng::notified(queue);
  }
  std::latch inside{1}, go_on{1};
};

TEST(TransportAtWork, ItsInterruptIsHandledMeanwhile) {
  auto device = std::make_unique<Slow>();
  Slow& slow = *device;
  DeviceDriver driver(std::move(device));
  driver.start(1);
  driver.offer(0, {driver.room(8)});
  std::thread server([&] { driver.notify(0); });
  slow.inside.wait();
  auto handled = std::async([&] {
    driver.write(DeviceDriver::kInterruptAck, 1);
    return driver.read(DeviceDriver::kInterruptStatus);
  });
  EXPECT_EQ(handled.wait_for(std::chrono::seconds(10)), std::future_status::ready);
  slow.go_on.count_down();
  server.join();
  EXPECT_EQ(handled.get(), 0U);
  EXPECT_TRUE(driver.line()) << "the request's own interrupt came later";
}

TEST_F(Transport, NothingHappensBeforeDriverOk) {
  driver.negotiate(kFeatureVersion1);
  driver.set_up_queue(0);
  driver.notify(0);
  EXPECT_FALSE(driver.line());
  EXPECT_FALSE(driver.broken());
}

TEST_F(Transport, AQueueThatCannotBeNeedsAReset) {
  driver.negotiate(kFeatureVersion1);
  driver.set_up_queue(0);
  driver.write(DeviceDriver::kQueueSize, 3);
  driver.write(DeviceDriver::kStatus, 15);
  EXPECT_TRUE(driver.broken());
  EXPECT_EQ(driver.read(DeviceDriver::kInterruptStatus), 2u) << "the driver is told";
  driver.notify(0);
  driver.start(1);
  EXPECT_FALSE(driver.broken()) << "a reset heals";
  EXPECT_TRUE(driver.send(0, {driver.room(8)}));
}

TEST_F(Transport, RingsOutsideMemoryNeedAReset) {
  driver.negotiate(kFeatureVersion1);
  driver.set_up_queue(0);
  driver.write(DeviceDriver::kQueueDesc + 4, 1);  // 4 GiB up
  driver.write(DeviceDriver::kStatus, 15);
  EXPECT_TRUE(driver.broken());
}

TEST_F(Transport, AMalformedChainNeedsAResetAndStaysSoUntilThen) {
  driver.start(1);
  EXPECT_FALSE(driver.send(0, {{0x10000000, 8, true}}));
  EXPECT_TRUE(driver.broken());
  EXPECT_TRUE(driver.line());
  driver.write(DeviceDriver::kStatus, 15);
  EXPECT_TRUE(driver.broken()) << "a write of the status does not take it back";
  EXPECT_FALSE(driver.send(0, {driver.room(8)}));
  driver.start(1);
  EXPECT_TRUE(driver.send(0, {driver.room(8)}));
}

TEST_F(Transport, QueueRegistersAreFixedWhileItRuns) {
  driver.start(1);
  driver.write(DeviceDriver::kQueueDesc, 0);
  driver.write(DeviceDriver::kQueueReady, 0);
  EXPECT_EQ(driver.read(DeviceDriver::kQueueReady), 1u);
  EXPECT_TRUE(driver.send(0, {driver.room(8)}));
}

TEST_F(Transport, SizesBeyondTheGreatestAreNotTakenModulo) {
  EXPECT_EQ(driver.read(DeviceDriver::kQueueSizeMax), kMaxQueueSize);
  for (const uint32_t size : {0x10010u, 512u, 0u}) {
    driver.negotiate(kFeatureVersion1);
    driver.set_up_queue(0);
    driver.write(DeviceDriver::kQueueSize, size);
    driver.write(DeviceDriver::kStatus, 15);
    EXPECT_TRUE(driver.broken()) << size;
  }
}

TEST_F(Transport, OnlyAResetTakesStatusBitsBack) {
  driver.start(1);
  driver.write(DeviceDriver::kStatus, DeviceDriver::kAcknowledge);
  EXPECT_EQ(driver.read(DeviceDriver::kStatus), 15u);
  driver.write(DeviceDriver::kDriverFeaturesSel, 0);
  driver.write(DeviceDriver::kDriverFeatures, 1);
  driver.write(DeviceDriver::kQueueSize, 3);
  driver.write(DeviceDriver::kStatus, 15);
  EXPECT_FALSE(driver.broken()) << "it was not started a second time";
  EXPECT_TRUE(driver.send(0, {driver.room(8)}));
  driver.write(DeviceDriver::kStatus, 0);
  EXPECT_EQ(driver.read(DeviceDriver::kStatus), 0u);
}

TEST_F(Transport, NeedsResetIsTheDevicesToSet) {
  driver.start(1);
  driver.write(DeviceDriver::kStatus, 15 | DeviceDriver::kNeedsReset);
  EXPECT_FALSE(driver.broken());
  driver.write(DeviceDriver::kStatus, 0x100);
  EXPECT_EQ(driver.read(DeviceDriver::kStatus), 15u) << "the status is a byte";
}

TEST_F(Transport, RefusedFeaturesMayBeChosenAgain) {
  ASSERT_FALSE(driver.negotiate(kFeatureVersion1 | 1));
  EXPECT_EQ(driver.read(DeviceDriver::kStatus), 3u);
  driver.write(DeviceDriver::kDriverFeaturesSel, 0);
  driver.write(DeviceDriver::kDriverFeatures, 0);
  driver.write(DeviceDriver::kStatus, 11);
  EXPECT_EQ(driver.read(DeviceDriver::kStatus), 11u);
}

TEST_F(Transport, ADriverThatIgnoresTheRefusalGetsNothing) {
  driver.start(1, kFeatureVersion1 | 1);
  EXPECT_FALSE(driver.send(0, {driver.room(8)}));
  EXPECT_FALSE(driver.line());
}

TEST_F(Transport, AResetForgetsEverything) {
  driver.start(1);
  ASSERT_TRUE(driver.send(0, {driver.room(8)}));
  ASSERT_TRUE(driver.line());
  driver.write(DeviceDriver::kStatus, 0);
  EXPECT_FALSE(driver.line());
  EXPECT_EQ(driver.read(DeviceDriver::kInterruptStatus), 0u);
  EXPECT_EQ(driver.read(DeviceDriver::kQueueReady), 0u);
  driver.notify(0);
  driver.write(DeviceDriver::kStatus, 15);
  EXPECT_EQ(driver.read(DeviceDriver::kStatus) & DeviceDriver::kFeaturesOk, 0u)
      << "the features too";
  driver.write(DeviceDriver::kQueueSel, 5);
  driver.write(DeviceDriver::kDeviceFeaturesSel, 1);
  driver.write(DeviceDriver::kStatus, 0);
  EXPECT_GT(driver.read(DeviceDriver::kQueueSizeMax), 0u) << "queue 0 is selected";
  EXPECT_EQ(driver.read(DeviceDriver::kDeviceFeatures), kFeatureIndirect | kFeatureEventIndex);
}

TEST(TransportWithLateNotifications, AResetServesWhatIsAvailableFirst) {
  for (const bool late : {false, true}) {
    DeviceDriver driver(std::make_unique<Rng>());
    if (late) driver.transport().expect_late_notifications();
    driver.start(1);
    driver.offer(0, {driver.room(8)});
    driver.write(DeviceDriver::kStatus, 0);
    EXPECT_EQ(driver.used(0).has_value(), late);
    EXPECT_FALSE(driver.line());
    EXPECT_EQ(driver.read(DeviceDriver::kStatus), 0u);
  }
}

TEST(TransportWithLateNotifications, ABrokenQueueIsNoObstacleToAReset) {
  DeviceDriver driver(std::make_unique<Rng>());
  driver.transport().expect_late_notifications();
  driver.start(1);
  driver.offer(0, {{0x10000000, 8, true}});
  driver.write(DeviceDriver::kStatus, 0);
  EXPECT_FALSE(driver.broken());
  EXPECT_FALSE(driver.line());
  driver.start(1);
  EXPECT_TRUE(driver.send(0, {driver.room(8)}));
}

TEST_F(Transport, NotificationsOfQueuesThatAreNotThereAreNothing) {
  driver.start(1);
  for (const uint32_t queue : {1u, 64u, ~0u}) driver.notify(queue);
  EXPECT_FALSE(driver.broken());
  driver.start(0);
  driver.notify(0);  // the device has it, the driver set none up
  EXPECT_FALSE(driver.broken());
  EXPECT_FALSE(driver.line());
}

TEST_F(Transport, WriteOnlyRegistersReadAsZeroAndReadOnlyOnesStay) {
  driver.start(1);
  for (uint64_t reg = 0; reg < 0x100; reg += 4) {
    const uint32_t before = driver.read(reg);
    if (reg < 0x10) {
      driver.write(reg, 0x12345678);
      EXPECT_EQ(driver.read(reg), before) << reg;
    }
  }
  for (const uint64_t reg :
       {0x14, 0x20, 0x24, 0x30, 0x38, 0x50, 0x64, 0x80, 0x84, 0x90, 0x94, 0xa0, 0xa4})
    EXPECT_EQ(driver.read(reg), 0u) << reg;
  EXPECT_EQ(driver.read(0xfc), 0u) << "no device changes its configuration";
}

TEST_F(Transport, OtherWidthsAndOddOffsetsAreNothing) {
  MmioTransport transport(std::make_unique<Rng>(), driver.memory(), {});
  EXPECT_EQ(transport.read(0, 2), 0u);
  EXPECT_EQ(transport.read(2, 4), 0u);
  transport.write(DeviceDriver::kStatus, 1, 1);
  EXPECT_EQ(transport.read(DeviceDriver::kStatus, 4), 0u);
}

TEST_F(Transport, ARestoredDeviceGoesOnWhereTheFirstOneWas) {
  driver.start(1);
  for (int i = 0; i < 20; ++i) ASSERT_TRUE(driver.send(0, {driver.room(8)}));
  ASSERT_TRUE(driver.go_on_with(std::make_unique<Rng>(), driver.state()));
  EXPECT_EQ(driver.read(DeviceDriver::kInterruptStatus), 1u);
  driver.write(DeviceDriver::kInterruptAck, 1);
  EXPECT_EQ(driver.send(0, {driver.room(8)}), 8u);
  EXPECT_EQ(driver.read(DeviceDriver::kInterruptStatus), 1u);
}

TEST_F(Transport, ANotificationThatTheSnapshotCaughtOnItsWayIsMadeUpFor) {
  driver.start(1);
  driver.offer(0, {driver.room(8)});
  ASSERT_TRUE(driver.go_on_with(std::make_unique<Rng>(), driver.state()));
  EXPECT_FALSE(driver.used(0));
  driver.transport().have_all_queues_looked_at();
  EXPECT_EQ(driver.used(0), 8u);
}

TEST_F(Transport, ADeviceBeforeItsDriverIsRestoredAsThat) {
  driver.negotiate(kFeatureVersion1);
  ASSERT_TRUE(driver.go_on_with(std::make_unique<Rng>(), driver.state()));
  driver.transport().have_all_queues_looked_at();
  driver.start_agreed(1);
  EXPECT_EQ(driver.send(0, {driver.room(8)}), 8u);
}

TEST_F(Transport, ABrokenDeviceStaysBrokenUntilItsReset) {
  driver.start(1);
  driver.offer(0, {{DeviceDriver::kRam, 8, true}});
  driver.notify(0);
  ASSERT_TRUE(driver.broken());
  ASSERT_TRUE(driver.go_on_with(std::make_unique<Rng>(), driver.state()));
  EXPECT_TRUE(driver.broken());
  driver.notify(0);
  driver.start(1);
  EXPECT_EQ(driver.send(0, {driver.room(8)}), 8u);
}

// Whatever a state says, the worst is an error.
TEST_F(Transport, RefusesStatesThatCannotBe) {
  driver.start(1);
  const auto good = driver.state();
  int refused = 0;
  for (size_t i = 0; i < good.size(); ++i) {
    auto bytes = good;
    bytes[i] ^= std::byte{0xff};
    if (driver.go_on_with(std::make_unique<Rng>(), bytes)) {
      driver.transport().have_all_queues_looked_at();
    } else {
      ++refused;
    }
  }
  EXPECT_GT(refused, 20) << "version, kind, queues, features, rings outside RAM";
  EXPECT_FALSE(driver.go_on_with(std::make_unique<Rng>(), std::span(good).first(good.size() - 1)));
}

}  // namespace
}  // namespace husk::virtio
