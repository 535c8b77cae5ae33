#include "platform/pic8259.h"

#include <gtest/gtest.h>

#include "platform/testing/recorders.h"

namespace husk::platform {
namespace {

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

TEST_F(Pic, EdgeOrLevelByWordAndAtOnce) {
  pic.set_line(5, true);
  EXPECT_EQ(pic.acknowledge(), 0x25);
  end();
  EXPECT_FALSE(sink.extint);
  pic.elcr_port().write(0, 2, 0x0420);  // 5 and 10
  EXPECT_EQ(pic.elcr_port().read(0, 2), 0x0420u);
  EXPECT_TRUE(sink.extint) << "the line is up";
  pic.elcr_port().write(0, 1, 0);
  EXPECT_FALSE(sink.extint) << "but has no edge";
}

TEST_F(Pic, IsSilentWhileItIsInitialised) {
  pic.elcr_port().write(0, 1, 1 << 5);
  pic.set_line(5, true);
  EXPECT_TRUE(sink.extint);
  for (const uint64_t step : {0x11, 0x40, 4}) {
    pic.master_port().write(step == 0x11 ? 0 : 1, 1, step);
    EXPECT_FALSE(sink.extint) << step;
  }
  pic.master_port().write(1, 1, 1);
  EXPECT_TRUE(sink.extint);
  EXPECT_EQ(pic.acknowledge(), 0x45);
}

TEST_F(Pic, InitialisingForgetsEdgesMaskAndService) {
  pulse(3);
  EXPECT_EQ(pic.acknowledge(), 0x23);
  pulse(4);
  pic.master_port().write(1, 1, 0xff);
  pic.master_port().write(0, 1, 0x10);  // no ICW4
  pic.master_port().write(1, 1, 0x30);
  pic.master_port().write(1, 1, 4);
  EXPECT_EQ(pic.master_port().read(1, 1), 0u);
  EXPECT_FALSE(sink.extint);
  EXPECT_EQ(in_service(), 0u);
  pulse(1);
  EXPECT_EQ(pic.acknowledge(), 0x31);
}

TEST_F(Pic, RequestsAreReadUntilTheyAreTaken) {
  pulse(4);
  pic.master_port().write(0, 1, 0x0a);
  EXPECT_EQ(pic.master_port().read(0, 1), 0x10u);
  (void)pic.acknowledge();
  EXPECT_EQ(pic.master_port().read(0, 1), 0u);
  pulse(12);
  EXPECT_EQ(pic.master_port().read(0, 1), 0x04u) << "the slave asks by the cascade";
}

TEST_F(Pic, RotationPutsTheServedLast) {
  pulse(0);
  EXPECT_EQ(pic.acknowledge(), 0x20);
  pic.master_port().write(0, 1, 0xa0);  // rotate on non-specific EOI
  pulse(0);
  pulse(7);
  EXPECT_EQ(pic.acknowledge(), 0x27);
  EXPECT_FALSE(sink.extint) << "0 comes after 7 now";
  pic.master_port().write(0, 1, 0xe0 | 7);  // rotate on specific EOI
  EXPECT_EQ(pic.acknowledge(), 0x20);
}

TEST_F(Pic, RotationInAutomaticEnd) {
  pic.master_port().write(0, 1, 0x11);
  pic.master_port().write(1, 1, 0x20);
  pic.master_port().write(1, 1, 4);
  pic.master_port().write(1, 1, 3);
  pic.master_port().write(0, 1, 0x80);  // set
  pulse(1);
  EXPECT_EQ(pic.acknowledge(), 0x21);
  pulse(1);
  pulse(6);
  EXPECT_EQ(pic.acknowledge(), 0x26);
  EXPECT_EQ(pic.acknowledge(), 0x21);
  pic.master_port().write(0, 1, 0x00);  // clear: 1 stays the lowest
  pulse(0);
  pulse(3);
  EXPECT_EQ(pic.acknowledge(), 0x23);
  EXPECT_EQ(pic.acknowledge(), 0x20);
  pulse(0);
  pulse(3);
  EXPECT_EQ(pic.acknowledge(), 0x23);
}

TEST_F(Pic, SpecialMaskLetsLowerOnesInAndKeepsTheMaskedInService) {
  pulse(1);
  EXPECT_EQ(pic.acknowledge(), 0x21);
  pulse(6);
  EXPECT_FALSE(sink.extint);
  pic.master_port().write(1, 1, 1 << 1);
  pic.master_port().write(0, 1, 0x68);  // special mask on
  EXPECT_EQ(pic.acknowledge(), 0x26);
  end();
  EXPECT_EQ(in_service(), 0x02u);
  end();
  EXPECT_EQ(in_service(), 0x02u) << "masked: only a specific EOI ends it";
  pic.master_port().write(0, 1, 0x48);  // off
  end();
  EXPECT_EQ(in_service(), 0u);
}

TEST_F(Pic, ASlaveWhoseRequestIsGoneIsSpuriousThere) {
  pic.elcr_port().write(1, 1, 1 << 2);
  pic.set_line(10, true);
  pulse(11);
  pic.slave_port().write(0, 1, 0x0c);
  EXPECT_EQ(pic.slave_port().read(0, 1), 0x82u);  // polled away
  EXPECT_EQ(pic.acknowledge(), 0x27) << "nor is the master asked then";
  pic.slave_port().write(0, 1, 0x20);
  pic.slave_port().write(0, 1, 0x0c);
  pic.set_line(10, false);
  EXPECT_EQ(pic.slave_port().read(0, 1), 0x83u);
}

TEST_F(Pic, PollWithoutRequestAnswersSoOnce) {
  pic.master_port().write(0, 1, 0x0c);
  EXPECT_EQ(pic.master_port().read(0, 1) & 0x80, 0u);
  pulse(4);
  EXPECT_EQ(pic.master_port().read(0, 1), 0x10u) << "requests again";
}

TEST_F(Pic, LinesThatDoNotExistAreIgnored) {
  pic.set_line(2, true);
  pic.set_line(16, true);
  pic.set_line(~0u, true);
  EXPECT_FALSE(sink.extint);
}

}  // namespace
}  // namespace husk::platform
