#include "platform/testing/pit.h"

namespace husk::platform {
namespace {

using testing::FakeTime;
using testing::kMs;
using testing::kSecond;
using testing::Pit;

class PitState : public Pit {
 protected:
  // A second timer goes on from where the first is.
  void move() { other.restore(pit.capture()); }
  int other_edges() { return other_line.take_edges(); }

  testing::LineRecorder other_line;
  Pit8254 other{time, other_line.line(), FakeTime::clock};
};

TEST_F(PitState, EveryRegisterComesBack) {
  start(0x34, 1000);
  start(0x70, 2000);
  start(0xb6, 3000);
  gate2(true);
  pit.ports().write(3, 1, 0xc2);  // count and status of counter 0 are latched
  pit.ports().write(2, 1, 0x12);  // half a count of counter 2
  time.advance(5 * kMs);
  const Pit8254::State state = pit.capture();
  EXPECT_NE(state, Pit8254::State{});
  other.restore(state);
  EXPECT_EQ(other.capture(), state);
  for (const uint64_t port : {0, 0, 0, 1, 1, 2, 2})
    EXPECT_EQ(pit.ports().read(port, 1), other.ports().read(port, 1)) << port;
  EXPECT_EQ(pit.system_control().read(0, 1), other.system_control().read(0, 1));
}

TEST_F(PitState, ThePeriodKeepsItsBeat) {
  start(0x34, 11932);  // 10 ms
  time.advance(9 * kMs);
  move();
  time.advance(1 * kMs + 1000);
  EXPECT_EQ(line.take_edges(), 1);
  EXPECT_EQ(other_edges(), 1);
  time.advance(100 * kMs);
  EXPECT_EQ(line.take_edges(), other_edges());
}

// Hours between: the guest has not seen them.
TEST_F(PitState, TimeThatPassesBetweenIsNotTheTimers) {
  start(0x30, 11932);
  time.advance(4 * kMs);
  const Pit8254::State state = pit.capture();
  time.advance(3'600 * kSecond);
  other.restore(state);
  time.advance(5 * kMs);
  EXPECT_EQ(other_edges(), 0);
  time.advance(2 * kMs);
  EXPECT_EQ(other_edges(), 1);
}

TEST_F(PitState, ASingleInterruptComesOnceInAll) {
  start(0x30, 1193);
  time.stall(5 * kMs);  // it is due, and the host has not come to it
  move();
  time.advance(1);
  EXPECT_EQ(other_edges(), 1);
  move();  // now the first has raised its own
  time.advance(kSecond);
  EXPECT_EQ(other_edges(), 0);
}

TEST_F(PitState, AClosedGateStaysClosed) {
  gate2(true);
  start(0xb0, 50'000);
  time.advance(10 * kMs);
  gate2(false);
  move();
  time.advance(kSecond);
  EXPECT_EQ(other.capture(), pit.capture());
  other.system_control().write(0, 1, 1);
  gate2(true);
  time.advance(1 * kMs);
  other.ports().write(3, 1, 0x80);
  const uint64_t low = other.ports().read(2, 1);
  EXPECT_EQ(low | other.ports().read(2, 1) << 8, count(2));
}

TEST_F(PitState, RestoringStopsWhatRanBefore) {
  start(0x34, 1193);
  pit.restore({});
  time.advance(kSecond);
  EXPECT_EQ(line.take_edges(), 0);
  EXPECT_FALSE(time.armed());
}

}  // namespace
}  // namespace husk::platform
