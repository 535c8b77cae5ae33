// The 8259 pair and the I/O APIC, alone and as the chipset has them.
#include <gtest/gtest.h>

#include "platform/chipset.h"
#include "platform/testing/recorders.h"

namespace husk::platform {
namespace {

using contract::DeliveryMode;

class Pic : public ::testing::Test {
 protected:
  Pic() {
    for (const auto& [port, base, wiring] :
         {std::tuple{&pic.master_port(), 0x20, 4}, {&pic.slave_port(), 0x28, 2}}) {
      port->write(0, 1, 0x11);
      port->write(1, 1, static_cast<uint64_t>(base));
      port->write(1, 1, static_cast<uint64_t>(wiring));
      port->write(1, 1, 1);
    }
  }
  void pulse(uint32_t irq) {
    pic.set_line(irq, true);
    pic.set_line(irq, false);
  }
  void end() { pic.master_port().write(0, 1, 0x20); }
  uint64_t in_service() {
    pic.master_port().write(0, 1, 0x0b);
    return pic.master_port().read(0, 1);
  }

  testing::SinkRecorder sink;
  Pic8259 pic{sink};
};

TEST_F(Pic, RaisesIntrAndGivesTheVector) {
  EXPECT_FALSE(sink.extint);
  pic.set_line(4, true);
  EXPECT_TRUE(sink.extint);
  EXPECT_EQ(pic.acknowledge(), 0x24);
  EXPECT_FALSE(sink.extint);
  EXPECT_EQ(in_service(), 0x10u);
}

TEST_F(Pic, ALineThatStaysHighIsOneEdge) {
  pic.set_line(4, true);
  EXPECT_EQ(pic.acknowledge(), 0x24);
  end();
  pic.set_line(4, true);
  EXPECT_FALSE(sink.extint);
  pic.set_line(4, false);
  pic.set_line(4, true);
  EXPECT_TRUE(sink.extint);
}

TEST_F(Pic, LowerLinesGoFirstAndNest) {
  pulse(5);
  pulse(1);
  EXPECT_EQ(pic.acknowledge(), 0x21);
  EXPECT_FALSE(sink.extint) << "5 waits for the EOI of 1";
  pulse(0);
  EXPECT_EQ(pic.acknowledge(), 0x20);
  end();
  end();
  EXPECT_EQ(pic.acknowledge(), 0x25);
}

TEST_F(Pic, MaskHoldsARequestBack) {
  pic.master_port().write(1, 1, 0x10);
  pulse(4);
  EXPECT_FALSE(sink.extint);
  EXPECT_EQ(pic.master_port().read(1, 1), 0x10u);
  pic.master_port().write(1, 1, 0);
  EXPECT_EQ(pic.acknowledge(), 0x24);
}

TEST_F(Pic, SlaveComesThroughTheCascade) {
  pulse(12);
  EXPECT_EQ(pic.acknowledge(), 0x2c);
  EXPECT_EQ(in_service(), 0x04u);
  pulse(3);
  EXPECT_FALSE(sink.extint) << "the cascade is line 2, above 3";
  pic.slave_port().write(0, 1, 0x20);
  end();
  EXPECT_EQ(pic.acknowledge(), 0x23);
}

TEST_F(Pic, NothingPendingIsTheSpuriousVector) { EXPECT_EQ(pic.acknowledge(), 0x27); }

TEST_F(Pic, SpecificEndAndRotation) {
  pulse(1);
  pulse(0);
  EXPECT_EQ(pic.acknowledge(), 0x20);
  pic.master_port().write(0, 1, 0x60 | 0);  // specific EOI of 0
  EXPECT_EQ(in_service(), 0u);
  pic.master_port().write(0, 1, 0xc0 | 1);  // 1 is the lowest now
  pulse(3);
  EXPECT_EQ(pic.acknowledge(), 0x23);
}

TEST_F(Pic, AutomaticEnd) {
  pic.master_port().write(0, 1, 0x11);
  pic.master_port().write(1, 1, 0x20);
  pic.master_port().write(1, 1, 4);
  pic.master_port().write(1, 1, 3);
  pulse(4);
  EXPECT_EQ(pic.acknowledge(), 0x24);
  EXPECT_EQ(in_service(), 0u);
}

TEST_F(Pic, PollTakesTheRequest) {
  pulse(6);
  pic.master_port().write(0, 1, 0x0c);
  EXPECT_EQ(pic.master_port().read(0, 1), 0x86u);
  EXPECT_EQ(in_service(), 0x40u);
}

TEST_F(Pic, LevelLinesAskUntilTheyFall) {
  pic.elcr_port().write(0, 1, 1 << 5);
  EXPECT_EQ(pic.elcr_port().read(0, 1), 1u << 5);
  pic.set_line(5, true);
  EXPECT_EQ(pic.acknowledge(), 0x25);
  end();
  EXPECT_TRUE(sink.extint);
  pic.set_line(5, false);
  EXPECT_FALSE(sink.extint);
}

TEST_F(Pic, TimerKeyboardAndCascadeAreNoLevels) {
  pic.elcr_port().write(0, 1, 0xff);
  EXPECT_EQ(pic.elcr_port().read(0, 1), 0xf8u);
}

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

}  // namespace
}  // namespace husk::platform
