#include "platform/ioapic.h"

#include <gtest/gtest.h>

#include "platform/testing/recorders.h"

namespace husk::platform {
namespace {

using contract::DeliveryMode;

class Io : public ::testing::Test {
 protected:
  uint32_t read(uint32_t index) {
    ioapic.write(0, 4, index);
    return static_cast<uint32_t>(ioapic.read(0x10, 4));
  }
  void write(uint32_t index, uint32_t value) {
    ioapic.write(0, 4, index);
    ioapic.write(0x10, 4, value);
  }
  void program(uint32_t pin, uint32_t low, uint32_t high = 0) {
    write(0x10 + pin * 2 + 1, high);
    write(0x10 + pin * 2, low);
  }
  static constexpr uint32_t kLevel = 1 << 15, kRemoteIrr = 1 << 14, kMasked = 1 << 16;

  testing::SinkRecorder sink;
  IoApic ioapic{sink};
};

TEST_F(Io, VersionIdAndReset) {
  EXPECT_EQ(read(1), 0x00170020u);
  write(0, 0xffffffff);
  EXPECT_EQ(read(0), 0x0f000000u);
  for (uint32_t pin = 0; pin < IoApic::kPins; ++pin) EXPECT_EQ(read(0x10 + pin * 2), kMasked);
  EXPECT_EQ(read(0x40), 0u) << "behind the last entry";
}

TEST_F(Io, EdgeSendsOneMessageAsProgrammed) {
  program(5, 0x0931, 0x03000000);
  ioapic.set_pin(5, true);
  ioapic.set_pin(5, true);
  const auto sent = sink.take();
  ASSERT_EQ(sent.size(), 1u);
  EXPECT_EQ(sent[0].vector, 0x31);
  EXPECT_EQ(sent[0].destination, 3u);
  EXPECT_TRUE(sent[0].logical);
  EXPECT_EQ(sent[0].mode, DeliveryMode::kLowestPriority);
  EXPECT_FALSE(sent[0].level_triggered);
  ioapic.set_pin(5, false);
  EXPECT_TRUE(sink.take().empty());
  ioapic.set_pin(5, true);
  EXPECT_EQ(sink.take().size(), 1u);
}

TEST_F(Io, LevelWaitsForEoi) {
  program(5, 0x31 | kLevel);
  ioapic.set_pin(5, true);
  EXPECT_EQ(sink.take().size(), 1u);
  EXPECT_EQ(read(0x1a) & kRemoteIrr, kRemoteIrr);
  ioapic.set_pin(5, true);
  ioapic.end_of_interrupt(0x32);
  EXPECT_TRUE(sink.take().empty()) << "the EOI of another vector";
  ioapic.end_of_interrupt(0x31);
  EXPECT_EQ(sink.take().size(), 1u) << "still high: again";
  ioapic.set_pin(5, false);
  ioapic.end_of_interrupt(0x31);
  EXPECT_TRUE(sink.take().empty());
  EXPECT_EQ(read(0x1a) & kRemoteIrr, 0u);
}

TEST_F(Io, UnmaskingSendsALevelThatIsHighButNoOldEdge) {
  program(5, 0x31 | kLevel | kMasked);
  program(6, 0x32 | kMasked);
  ioapic.set_pin(5, true);
  ioapic.set_pin(6, true);
  EXPECT_TRUE(sink.take().empty());
  program(6, 0x32);
  EXPECT_TRUE(sink.take().empty());
  program(5, 0x31 | kLevel);
  EXPECT_EQ(sink.take().size(), 1u);
}

TEST_F(Io, StatusBitsCannotBeWritten) {
  program(5, 0x31 | kLevel | kRemoteIrr | 1 << 12);
  EXPECT_EQ(read(0x1a), 0x31u | kLevel);
  ioapic.set_pin(5, true);
  program(5, 0x31);
  EXPECT_EQ(read(0x1a) & kRemoteIrr, 0u) << "an edge has no remote IRR";
}

TEST_F(Io, EoiRegisterIsAnEoi) {
  program(5, 0x31 | kLevel);
  ioapic.set_pin(5, true);
  ioapic.set_pin(5, false);
  ioapic.write(0x40, 4, 0x31);
  EXPECT_EQ(read(0x1a) & kRemoteIrr, 0u);
}

TEST_F(Io, PinsBeyondTheLastAreNothing) {
  ioapic.set_pin(24, true);
  ioapic.set_pin(~0u, true);
  EXPECT_TRUE(sink.take().empty());
}

TEST_F(Io, EveryDeliveryModeAndDestinationGoesOut) {
  for (const uint32_t mode : {0, 1, 2, 4, 5, 7}) {
    program(3, 0x40 | mode << 8, 0xa5000000);
    ioapic.set_pin(3, false);
    ioapic.set_pin(3, true);
    const auto sent = sink.take();
    ASSERT_EQ(sent.size(), 1u) << mode;
    EXPECT_EQ(sent[0].mode, static_cast<DeliveryMode>(mode));
    EXPECT_EQ(sent[0].destination, 0xa5u);
    EXPECT_FALSE(sent[0].logical);
  }
}

TEST_F(Io, PolarityIsKeptAndChangesNothing) {
  program(5, 0x31 | 1 << 13);
  EXPECT_EQ(read(0x1a), 0x31u | 1 << 13);
  ioapic.set_pin(5, true);
  EXPECT_EQ(sink.take().size(), 1u);
}

TEST_F(Io, LevelsShareAVectorAndEndTogether) {
  program(5, 0x31 | kLevel);
  program(6, 0x31 | kLevel);
  ioapic.set_pin(5, true);
  ioapic.set_pin(6, true);
  EXPECT_EQ(sink.take().size(), 2u);
  ioapic.set_pin(6, false);
  ioapic.end_of_interrupt(0x31);
  EXPECT_EQ(sink.take().size(), 1u) << "5 is still up";
  EXPECT_EQ(read(0x1c) & kRemoteIrr, 0u);
}

TEST_F(Io, MaskingKeepsTheRemoteIrr) {
  program(5, 0x31 | kLevel);
  ioapic.set_pin(5, true);
  (void)sink.take();
  program(5, 0x31 | kLevel | kMasked);
  EXPECT_EQ(read(0x1a) & kRemoteIrr, kRemoteIrr);
  program(5, 0x31 | kLevel);
  EXPECT_TRUE(sink.take().empty()) << "the first is still in service";
  program(5, 0x31 | kLevel | kMasked);
  ioapic.end_of_interrupt(0x31);
  EXPECT_TRUE(sink.take().empty());
  EXPECT_EQ(read(0x1a) & kRemoteIrr, 0u);
}

TEST_F(Io, SinkMayAnswerFromWithin) {
  struct Answering : contract::InterruptSink {
    void deliver(const contract::InterruptMessage& message) override {
      if (++count < 3) chip->end_of_interrupt(message.vector);
    }
    void set_extint(bool) override {}
    IoApic* chip = nullptr;
    int count = 0;
  } answering;
  IoApic chip(answering);
  answering.chip = &chip;
  chip.write(0, 4, 0x1a);
  chip.write(0x10, 4, 0x31 | kLevel);
  chip.set_pin(5, true);
  EXPECT_EQ(answering.count, 3);
}

TEST_F(Io, OtherOffsetsAndRegistersAreNothing) {
  for (const uint64_t offset : {0x04, 0x11, 0x20, 0x44, 0xffc}) {
    ioapic.write(offset, 4, 0x12);
    EXPECT_EQ(ioapic.read(offset, 4), 0u) << offset;
  }
  EXPECT_EQ(ioapic.read(0, 4), 0u) << "the index did not move";
  write(1, 0);
  EXPECT_EQ(read(1), 0x00170020u) << "read-only";
  write(0x40, 0x31);
  write(0xff, 0x31);
  EXPECT_EQ(read(0xff), 0u);
}

TEST_F(Io, IndexIsOneByteInAnyWidth) {
  ioapic.write(0, 1, 0x01);
  EXPECT_EQ(ioapic.read(0x10, 4), 0x00170020u);
  ioapic.write(0, 8, 0x12345678'9abcde01);
  EXPECT_EQ(ioapic.read(0, 4), 1u);
  write(2, 0xffffffff);
  EXPECT_EQ(read(2), read(0)) << "arbitration follows the ID";
}

}  // namespace
}  // namespace husk::platform
