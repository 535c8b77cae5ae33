// The way exit -> device -> guest again, which is the hot path of every machine.
#include <gtest/gtest.h>
#include <sys/mman.h>

#include <thread>

#include "backend/kvm/common/kvm_api.h"
#include "backend/kvm/x86_64/kvm_vm.h"
#include "base/clock.h"
#include "interpose.h"
#include "machine.h"
#include "runtime/run_loop.h"

namespace husk::kvm_tests {
namespace {

using contract_tests::kDevice;
using contract_tests::Machine;

class ExitPath : public ::testing::Test {
 protected:
  void SetUp() override {
    if (const auto vm = kvm::KvmVm::create(1); !vm) GTEST_SKIP() << vm.error().message();
  }
  ~ExitPath() override { on_ioctl = nullptr; }
};

// Notes what had been counted at the tenth write, and at the last, which ends the machine.
class Meter : public contract::IoHandler {
 public:
  static constexpr int kFirst = 10, kLast = 1010;

  explicit Meter(runtime::MachineEnd& end) : end_(end) {}
  [[nodiscard]] std::string_view name() const override { return "meter"; }
  uint64_t read(uint64_t, uint32_t) override { return 0; }
  void write(uint64_t, uint32_t, uint64_t) override {
    ++writes;
    if (writes == kFirst) start_ = {allocations, locks, ioctls};
    if (writes != kLast) return;
    allocated = allocations - start_[0];
    locked = locks - start_[1];
    called = ioctls - start_[2];
    end_.reach(runtime::EndReason::kStopped, 0);
  }

  int writes = 0;
  uint64_t allocated = ~0ull, locked = ~0ull, called = 0;

 private:
  runtime::MachineEnd& end_;
  std::array<uint64_t, 3> start_{};
};

void expect_nothing_but_entries(std::span<const std::byte> program) {
  Machine<kvm::KvmVm> machine;
  runtime::MachineEnd end;
  runtime::DebugGate debug(end);
  Meter meter(end);
  platform::Bus ports, mmio;
  ASSERT_TRUE(ports.attach(0x80, 1, meter));
  ASSERT_TRUE(mmio.attach(kDevice, 4096, meter));
  machine.load(program, {kDevice});
  runtime::run_vcpu(machine.vcpu(), 0, ports, mmio, end, debug);
  EXPECT_EQ(meter.writes, Meter::kLast);
  EXPECT_EQ(meter.allocated, 0U);
  EXPECT_EQ(meter.locked, 0U);
  EXPECT_EQ(meter.called, uint64_t{Meter::kLast - Meter::kFirst}) << "one KVM_RUN for each exit";
}

TEST_F(ExitPath, APortWriteAllocatesAndLocksNothing) {
  expect_nothing_but_entries(PROGRAM(port_loop));
}

TEST_F(ExitPath, ADeviceWriteAllocatesAndLocksNothing) {
  expect_nothing_but_entries(PROGRAM(mmio_loop));
}

TEST_F(ExitPath, TheCountersCount) {
  const uint64_t before_allocations = allocations, before_locks = locks;
  std::mutex mutex;
  const std::lock_guard lock(mutex);
  std::vector<int> some(100);
  EXPECT_EQ(some.size(), 100U);
  EXPECT_GT(allocations, before_allocations);
  EXPECT_GT(locks, before_locks);
}

// A request that comes between the vCPU's last look and KVM_RUN: its signal's handler has run for
// nothing by then. `then` is what is done to the vCPU's shared page before the kernel is entered.
uint64_t step_with_a_late_request(const std::function<void(kvm_run&)>& then) {
  Machine<kvm::KvmVm> machine;
  machine.load(PROGRAM(spin));
  const std::array handles{machine.vcpu().exit_token()};
  void* const page =
      ::mmap(nullptr, 4096, PROT_READ | PROT_WRITE, MAP_SHARED, machine.vcpu().fd(), 0);
  EXPECT_NE(page, MAP_FAILED);
  int entries = 0;
  on_ioctl = [&](int, unsigned long request) {
    if (request == KVM_RUN && entries++ == 0) {
      kvm::KvmVcpu::Handle::force_exit(handles);
      then(*static_cast<kvm_run*>(page));
    }
    return 0;
  };
  std::thread rescuer([&] {
    ::usleep(500'000);
    kvm::KvmVcpu::Handle::force_exit(handles);
    // The first request is still noted, so this one sends no signal of its own.
    ::usleep(100'000);
  });
  const uint64_t start = base::monotonic_ns();
  std::atomic<bool> out{false};
  std::thread last_resort([&, self = ::pthread_self()] {
    for (int i = 0; i < 300 && !out; ++i) ::usleep(10'000);
    while (!out) {
      ::pthread_kill(self, SIGRTMIN + 6);
      ::usleep(10'000);
    }
  });
  EXPECT_EQ(machine.vcpu().step().kind, seam::VcpuExit::Kind::kCanceled);
  const uint64_t took = base::monotonic_ns() - start;
  out = true;
  on_ioctl = nullptr;
  rescuer.join();
  last_resort.join();
  ::munmap(page, 4096);
  return took;
}

TEST_F(ExitPath, ARequestRightBeforeTheKernelIsEnteredIsNotLost) {
  EXPECT_LT(step_with_a_late_request([](kvm_run&) {}), 300'000'000U);
}

TEST_F(ExitPath, ItWouldBeLostWithoutImmediateExit) {
  EXPECT_GE(step_with_a_late_request([](kvm_run& run) { run.immediate_exit = 0; }), 1'000'000'000U);
}

}  // namespace
}  // namespace husk::kvm_tests
