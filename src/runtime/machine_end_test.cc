#include "runtime/machine_end.h"

#include <gtest/gtest.h>

#include <array>
#include <thread>

#include "runtime/debug_gate.h"

namespace husk::runtime {
namespace {

constexpr uint64_t kLimitNs = 10'000'000'000, kMoment = 1'000'000;

// Two vCPUs that do nothing but look up, as those in run_loop.h do.
class Holding : public ::testing::Test {
 protected:
  ~Holding() override {
    end_.reach(EndReason::kStopped, 0);
    for (std::thread& thread : threads_) thread.join();
  }
  void run(uint32_t vcpu) {
    while (!end_.reached()) {
      ++looks_[vcpu];
      end_.wait_while_paused(vcpu);
      std::this_thread::yield();
    }
  }
  bool runs(uint32_t vcpu) {
    const uint64_t before = looks_[vcpu];
    for (int tries = 0; tries < 10'000; ++tries) {
      if (looks_[vcpu] > before + 2) return true;
      std::this_thread::sleep_for(std::chrono::milliseconds(1));
    }
    return false;
  }
  bool all_wait() { return end_.wait_until_parked(2, kLimitNs); }

  MachineEnd end_;
  std::array<std::atomic<uint64_t>, 2> looks_{};
  std::array<std::thread, 2> threads_{std::thread([this] { run(0); }),
                                      std::thread([this] { run(1); })};
};

TEST_F(Holding, IsForAllAndEndsForSome) {
  end_.hold();
  ASSERT_TRUE(all_wait());
  end_.let_go({false, true});
  EXPECT_TRUE(runs(1));
  const uint64_t looks = looks_[0];
  EXPECT_FALSE(end_.wait_until_parked(2, kMoment));
  EXPECT_EQ(looks_[0], looks) << "it is held";
  end_.hold();
  EXPECT_TRUE(all_wait()) << "those that were let go, too";
  end_.let_all_go();
  EXPECT_TRUE(runs(0));
  EXPECT_TRUE(runs(1));
}

TEST_F(Holding, IsBesideThePause) {
  end_.hold();
  ASSERT_TRUE(all_wait());
  ASSERT_TRUE(end_.pause(2, kLimitNs));
  end_.let_all_go();
  EXPECT_TRUE(end_.run_parked(0, [] {})) << "it is paused";
  end_.hold();
  end_.resume();
  EXPECT_TRUE(end_.run_parked(0, [] {})) << "it is held";
  end_.let_all_go();
  EXPECT_TRUE(runs(0));
}

TEST_F(Holding, WorkOfTwoIsDoneOnceEach) {
  end_.hold();
  ASSERT_TRUE(all_wait());
  constexpr int kEach = 2000;
  std::array<int, 2> done{};  // each by one vCPU's thread only
  const auto ask = [&](uint32_t vcpu) {
    for (int n = 0; n < kEach; ++n) ASSERT_TRUE(end_.run_parked(vcpu, [&] { ++done[vcpu]; }));
  };
  std::thread other(ask, 1);
  ask(0);
  other.join();
  EXPECT_EQ(done[0], kEach);
  EXPECT_EQ(done[1], kEach);
}

TEST_F(Holding, EndsWithTheMachine) {
  end_.hold();
  ASSERT_TRUE(all_wait());
  end_.reach(EndReason::kPowerOff, 0);
  EXPECT_FALSE(end_.run_parked(0, [] {}));
}

TEST(DebugGate, TellsOfStopsThatSomebodyWaitsFor) {
  MachineEnd end;
  DebugGate gate(end);
  int told = 0;
  gate.set_listener([&] { ++told; });
  gate.stopped(0, {DebugCause::kSoftwareBreakpoint, 0x1000});
  EXPECT_FALSE(gate.waiting()) << "the guest's own";
  gate.expect({gdb::Action::kRun, gdb::Action::kStep}, {{{.addr = 0x3000}}, {0x1000}});
  gate.stopped(0, {DebugCause::kStep, 0x1001});
  gate.stopped(0, {DebugCause::kBreakpoint, 0x3001});
  EXPECT_EQ(told, 0);
  gate.stopped(0, {DebugCause::kSoftwareBreakpoint, 0x1000});
  gate.stopped(1, {DebugCause::kBreakpoint, 0x3000});
  EXPECT_EQ(told, 2);
  EXPECT_EQ(gate.take()->vcpu, 0U);
  EXPECT_TRUE(gate.waiting()) << "the other's is not lost";
  gate.expect({gdb::Action::kRun, gdb::Action::kRun}, {{{.addr = 0x3000}}, {}});
  EXPECT_TRUE(gate.waiting());
  gate.expect({gdb::Action::kRun, gdb::Action::kRun}, {});
  EXPECT_FALSE(gate.waiting()) << "its breakpoint has gone";
}

TEST(DebugGate, ForgetsStepsOfBeforeAndVcpusThatWereMoved) {
  MachineEnd end;
  DebugGate gate(end);
  gate.expect({gdb::Action::kStep}, {{{.addr = 0x3000}}, {}});
  gate.stopped(0, {DebugCause::kStep, 0x1001});
  gate.expect({gdb::Action::kStep}, {{{.addr = 0x3000}}, {}});
  EXPECT_FALSE(gate.waiting());
  gate.stopped(0, {DebugCause::kBreakpoint, 0x3000});
  gate.forget(0);
  EXPECT_FALSE(gate.take());
}

}  // namespace
}  // namespace husk::runtime
