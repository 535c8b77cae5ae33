#include "platform/chipset.h"

#include <gtest/gtest.h>

#include "platform/pc_layout.h"
#include "platform/testing/fake_time.h"
#include "platform/testing/recorders.h"

namespace husk::platform {
namespace {

using testing::FakeTime;

constexpr uint64_t kMs = 1'000'000;

class ChipsetTest : public ::testing::Test {
 protected:
  FakeTime time;
  testing::SinkRecorder sink, other_sink;
  Chipset chipset{sink, time, FakeTime::clock}, other{other_sink, time, FakeTime::clock};
};

TEST_F(ChipsetTest, TimerIsPinTwoAndIrqZero) {
  chipset.ioapic().write(0, 4, 0x14);
  chipset.ioapic().write(0x10, 4, 0x55);
  chipset.pic().master_port().write(1, 1, 0);
  chipset.set_line(0, true);
  const auto sent = sink.take();
  ASSERT_EQ(sent.size(), 1u);
  EXPECT_EQ(sent[0].vector, 0x55);
  EXPECT_TRUE(sink.extint);
}

TEST_F(ChipsetTest, StateGoesRoundAndImpossibleOnesAreRefused) {
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

TEST_F(ChipsetTest, RestoredRequestsAskAtOnce) {
  chipset.pic().master_port().write(1, 1, 0);
  chipset.set_line(4, true);
  ASSERT_TRUE(sink.extint);
  ASSERT_TRUE(other.restore(chipset.capture()));
  EXPECT_TRUE(other_sink.extint);
}

TEST_F(ChipsetTest, LinesFromSixteenAreTheIoApicsAlone) {
  for (auto* port : {&chipset.pic().master_port(), &chipset.pic().slave_port()})
    port->write(1, 1, 0);
  chipset.ioapic().write(0, 4, 0x10 + 2 * 20);
  chipset.ioapic().write(0x10, 4, 0x60);
  chipset.set_line(20, true);
  EXPECT_EQ(sink.take().size(), 1u);
  EXPECT_FALSE(sink.extint);
}

TEST_F(ChipsetTest, TheTimerIsAmongTheChips) {
  chipset.pic().master_port().write(1, 1, 0);
  chipset.pit().ports().write(3, 1, 0x30);  // mode 0
  chipset.pit().ports().write(0, 1, 1193 & 0xff);
  chipset.pit().ports().write(0, 1, 1193 >> 8);
  ASSERT_TRUE(other.restore(chipset.capture()));
  EXPECT_FALSE(other_sink.extint);
  time.advance(2 * kMs);
  EXPECT_TRUE(sink.extint);
  EXPECT_TRUE(other_sink.extint);
}

TEST_F(ChipsetTest, EveryChipAnswersOnItsBus) {
  Bus ports, mmio;
  ASSERT_TRUE(chipset.attach(ports, mmio));
  EXPECT_FALSE(other.attach(ports, mmio)) << "the places are taken";
  ports.write(kPicMaster + 1, 1, 0x5a);
  EXPECT_EQ(ports.read(kPicMaster + 1, 1), 0x5au);
  ports.write(kPicSlave + 1, 1, 0xa5);
  EXPECT_EQ(ports.read(kPicSlave + 1, 1), 0xa5u);
  ports.write(kPicElcr, 2, 0x0e20);
  EXPECT_EQ(ports.read(kPicElcr, 2), 0x0e20u);
  ports.write(kSystemControl, 1, 2);
  EXPECT_EQ(ports.read(kSystemControl, 1) & 0x0f, 2u);
  ports.write(kPitPorts + 3, 1, 0xe8);  // read back the status of counter 2
  EXPECT_NE(ports.read(kPitPorts + 2, 1), 0xffu);
  mmio.write(IoApic::kBase, 4, 1);
  EXPECT_EQ(mmio.read(IoApic::kBase + 0x10, 4), 0x170020u);
}

}  // namespace
}  // namespace husk::platform
