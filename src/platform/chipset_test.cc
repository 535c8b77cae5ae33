#include "platform/chipset.h"

#include <gtest/gtest.h>

#include "platform/testing/recorders.h"

namespace husk::platform {
namespace {

TEST(ChipsetTest, TimerIsPinTwoAndIrqZero) {
  testing::SinkRecorder sink;
  Chipset chipset(sink);
  chipset.ioapic().write(0, 4, 0x14);
  chipset.ioapic().write(0x10, 4, 0x55);
  chipset.pic().master_port().write(1, 1, 0);
  chipset.set_line(0, true);
  const auto sent = sink.take();
  ASSERT_EQ(sent.size(), 1u);
  EXPECT_EQ(sent[0].vector, 0x55);
  EXPECT_TRUE(sink.extint);
}

TEST(ChipsetTest, StateGoesRoundAndImpossibleOnesAreRefused) {
  testing::SinkRecorder sink;
  Chipset chipset(sink), other(sink);
  chipset.ioapic().write(0, 4, 0x2a);
  chipset.ioapic().write(0x10, 4, 0x8077);
  chipset.pic().master_port().write(0, 1, 0x0b);
  chipset.set_line(13, true);
  const auto state = chipset.capture();
  ASSERT_NE(state, other.capture());
  ASSERT_TRUE(other.restore(state));
  EXPECT_EQ(other.capture(), state);
  auto bad = state;
  for (size_t at = 0; at < state.size(); ++at) {
    bad = state;
    bad[at] = std::byte{0x14};
    if (!other.restore(bad)) {
      EXPECT_EQ(other.capture(), state) << "refused at " << at << ", but changed";
    }
    ASSERT_TRUE(other.restore(state));
  }
  bad = state;
  bad.pop_back();
  EXPECT_FALSE(other.restore(bad));
  bad = state;
  bad[0] = std::byte{9};
  EXPECT_FALSE(other.restore(bad));
}

TEST(ChipsetTest, RestoredRequestsAskAtOnce) {
  testing::SinkRecorder sink, fresh;
  Chipset chipset(sink), other(fresh);
  chipset.pic().master_port().write(1, 1, 0);
  chipset.set_line(4, true);
  ASSERT_TRUE(sink.extint);
  ASSERT_TRUE(other.restore(chipset.capture()));
  EXPECT_TRUE(fresh.extint);
}

TEST(ChipsetTest, LinesFromSixteenAreTheIoApicsAlone) {
  testing::SinkRecorder sink;
  Chipset chipset(sink);
  for (auto* port : {&chipset.pic().master_port(), &chipset.pic().slave_port()})
    port->write(1, 1, 0);
  chipset.ioapic().write(0, 4, 0x10 + 2 * 20);
  chipset.ioapic().write(0x10, 4, 0x60);
  chipset.set_line(20, true);
  EXPECT_EQ(sink.take().size(), 1u);
  EXPECT_FALSE(sink.extint);
}

}  // namespace
}  // namespace husk::platform
