#include "platform/test_device.h"

#include <gtest/gtest.h>

#include "platform/debug_exit.h"
#include "platform/testing/recorders.h"

namespace husk::platform {
namespace {

using contract::MachineEvent;

class TestDevices : public ::testing::Test {
 protected:
  testing::EventRecorder events;
};

TEST_F(TestDevices, DebugExitTellsTheValue) {
  DebugExit port(events);
  port.write(0, 4, 0x21);
  ASSERT_TRUE(events.last);
  EXPECT_EQ(*events.last, (std::pair{MachineEvent::kDebugExit, 0x21u}));
}

TEST_F(TestDevices, ScratchKeepsBytesWhereTheyAreWritten) {
  TestScratch scratch;
  scratch.write(0, 4, 0x11223344);
  scratch.write(1, 1, 0xaa);
  scratch.write(2, 2, 0xbbcc);
  EXPECT_EQ(scratch.read(0, 4), 0xbbccaa44u);
  EXPECT_EQ(scratch.read(1, 1), 0xaau);
  EXPECT_EQ(scratch.read(2, 2), 0xbbccu);
  scratch.write(4, 4, 0xffffffff);
  EXPECT_EQ(scratch.read(4, 4), 0u) << "the flush port holds nothing";
}

TEST_F(TestDevices, TestLinesDriveTheirOwnInterrupt) {
  std::array<testing::LineRecorder, TestIrqLines::kPorts> ends;
  TestIrqLines lines([&](uint32_t gsi) { return ends[gsi].line(gsi); });
  lines.write(7, 1, 1);
  lines.write(23, 4, 0x80000000);
  EXPECT_TRUE(ends[7].level() && ends[23].level() && !ends[8].level());
  lines.write(7, 1, 0);
  EXPECT_FALSE(ends[7].level());
}

}  // namespace
}  // namespace husk::platform
