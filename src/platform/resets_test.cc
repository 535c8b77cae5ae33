// What resets the machine by a byte at a port.
#include <gtest/gtest.h>

#include "platform/fast_a20.h"
#include "platform/i8042.h"
#include "platform/reset_port.h"
#include "platform/testing/recorders.h"

namespace husk::platform {
namespace {

using contract::MachineEvent;

class Resets : public ::testing::Test {
 protected:
  testing::EventRecorder events;
};

TEST_F(Resets, KeyboardControllerResetsAndIsOtherwiseSilent) {
  I8042 data(events, false), command(events, true);
  EXPECT_EQ(command.read(0, 1) & 3, 0u) << "nothing to read, ready for a command";
  for (const uint64_t other : {0xaa, 0x20, 0xd1, 0xff}) command.write(0, 1, other);
  EXPECT_EQ(command.read(0, 1) & 3, 0u) << "no command keeps it busy";
  data.write(0, 1, 0xfe);
  EXPECT_EQ(events.take(), std::nullopt);
  command.write(0, 1, 0xfe);
  EXPECT_EQ(events.take(), MachineEvent::kReset);
}

TEST_F(Resets, FastA20IsOpenAndResets) {
  FastA20 port(events);
  EXPECT_EQ(port.read(0, 1), 2u);
  port.write(0, 1, 0);
  EXPECT_EQ(events.take(), std::nullopt);
  port.write(0, 1, 1);
  EXPECT_EQ(events.take(), MachineEvent::kReset);
}

TEST_F(Resets, ResetPortTakesTwoSteps) {
  ResetPort port(events, 6);
  EXPECT_EQ(port.read(0, 1), 0u);
  port.write(0, 1, 2);
  EXPECT_EQ(events.take(), std::nullopt);
  port.write(0, 1, 0x0e);
  EXPECT_EQ(events.take(), MachineEvent::kReset);
}

}  // namespace
}  // namespace husk::platform
