// KVM's clock, which kvmclock shows a guest, over a snapshot.
#include "base/clock.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/ioctl.h>

#include <algorithm>
#include <chrono>
#include <cstring>
#include <memory>
#include <thread>

#include "backend/kvm/common/kvm_api.h"
#include "backend/kvm/x86_64/kvm_vm.h"
#include "backend/kvm/x86_64/probe.h"
#include "contract/x86/state_msrs.h"
#include "interpose.h"
#include "machine.h"

namespace husk::kvm_tests {
namespace {

using namespace contract::x86;  // NOLINT(google-build-using-namespace): the names of this subject

using ::testing::HasSubstr;

constexpr uint64_t kSecond = 1'000'000'000;

uint64_t msr(const VcpuState& state, uint32_t index) {
  const auto found = std::ranges::find(state.msrs, index, &Msr::index);
  return found == state.msrs.end() ? 0 : found->value;
}

void set_msr(VcpuState& state, uint32_t index, uint64_t value) {
  const auto found = std::ranges::find(state.msrs, index, &Msr::index);
  ASSERT_NE(found, state.msrs.end());
  found->value = value;
}

class Clock : public ::testing::Test {
 protected:
  void SetUp() override {
    // A KVM without hardware behind it shows the host's own TSC, which cannot be set.
    if (const auto probed = kvm::probe(); !probed) GTEST_SKIP() << probed.error().message();
    on_ioctl = [this](int fd, unsigned long request) {
      if (request == KVM_CREATE_VCPU) vm_ = fd;
      return 0;
    };
    machine_ = std::make_unique<contract_tests::Machine<kvm::KvmVm>>();
    on_ioctl = nullptr;
    machine_->load(PROGRAM(spin));
  }
  ~Clock() override { on_ioctl = nullptr; }

  [[nodiscard]] uint64_t kvmclock() const {
    kvm_clock_data clock{};
    EXPECT_EQ(::ioctl(vm_, KVM_GET_CLOCK, &clock), 0);
    return clock.clock;
  }
  void set_kvmclock(uint64_t ns) const {
    kvm_clock_data clock{};
    clock.clock = ns;
    ASSERT_EQ(::ioctl(vm_, KVM_SET_CLOCK, &clock), 0);
  }
  uint64_t restore(uint64_t guest_ns) {
    return machine_->vcpu().restore_clock({.guest_ns = guest_ns}, base::monotonic_ns());
  }
  uint64_t captured_ns() {
    const auto state = machine_->vcpu().capture_snapshot();
    EXPECT_TRUE(state);
    return state ? kvm::KvmVcpu::capture_clock_ref(*state, base::monotonic_ns()).guest_ns : 0;
  }

  void run_for_a_moment() {
    std::jthread stop([handle = machine_->vcpu().exit_token()] {
      std::this_thread::sleep_for(std::chrono::milliseconds(10));
      kvm::KvmVcpu::Handle::force_exit({&handle, 1});
    });
    EXPECT_EQ(machine_->vcpu().step().kind, seam::VcpuExit::Kind::kCanceled);
  }

  int vm_ = -1;
  std::unique_ptr<contract_tests::Machine<kvm::KvmVm>> machine_;
};

TEST_F(Clock, GoesOnFromTheReference) {
  EXPECT_LT(kvmclock(), 100 * kSecond);
  restore(100 * kSecond);
  EXPECT_GE(kvmclock(), 100 * kSecond);
  EXPECT_LT(kvmclock(), 110 * kSecond);
}

TEST_F(Clock, CountsWhereItIsAheadOfTheTsc) {
  set_kvmclock(100 * kSecond);
  EXPECT_GE(captured_ns(), 100 * kSecond);
  EXPECT_LT(captured_ns(), 110 * kSecond);
}

TEST_F(Clock, DoesNotCountWhereTheTscIsAhead) {
  restore(100 * kSecond);
  set_kvmclock(kSecond);
  EXPECT_GE(captured_ns(), 100 * kSecond);
  EXPECT_LT(captured_ns(), 110 * kSecond);
}

TEST_F(Clock, ThatCannotBeSetLeavesTheRest) {
  on_ioctl = [](int, unsigned long request) { return request == KVM_SET_CLOCK ? EINVAL : 0; };
  testing::internal::CaptureStderr();
  restore(100 * kSecond);
  on_ioctl = nullptr;
  EXPECT_NE(testing::internal::GetCapturedStderr().find("KVM_SET_CLOCK"), std::string::npos);
  EXPECT_GE(captured_ns(), 100 * kSecond) << "the TSC";
}

// A local APIC in TSC-deadline mode (SDM vol. 3, 11.5.4.1): KVM clears the deadline when the timer
// has interrupted.
TEST_F(Clock, ATimersDeadlineIsMetByIt) {
  constexpr uint64_t kGuestNs = 100 * kSecond, kDeadlineNs = kGuestNs + 20'000'000;
  constexpr size_t kSpurious = 0xf0, kTimer = 0x320;
  constexpr uint32_t kEnable = 0x1ff, kDeadlineMode = 2u << 17 | 0x40;
  auto state = machine_->vcpu().capture_snapshot();
  ASSERT_TRUE(state);
  std::memcpy(&state->lapic[kSpurious], &kEnable, sizeof(kEnable));
  std::memcpy(&state->lapic[kTimer], &kDeadlineMode, sizeof(kDeadlineMode));
  set_msr(*state, kMsrTscDeadline, tsc_ticks(kDeadlineNs, state->tsc_khz));
  ASSERT_TRUE(machine_->vcpu().restore_snapshot(*state));
  restore(kGuestNs);
  const uint64_t start = base::monotonic_ns();
  do {
    ASSERT_LT(base::monotonic_ns() - start, 20 * kSecond) << "reckoned by the clock before";
    run_for_a_moment();
    state = machine_->vcpu().capture_snapshot();
    ASSERT_TRUE(state);
  } while (msr(*state, kMsrTscDeadline) != 0);
}

// Of a host whose TSC counts as it does: a rate that no guest could mistake for it.
class ClockWithoutScaling : public Clock {
 protected:
  void SetUp() override {
    Clock::SetUp();
    if (IsSkipped()) return;
    absent_capability = KVM_CAP_TSC_CONTROL;
    state_ = *machine_->vcpu().capture_snapshot();
    host_khz_ = state_.tsc_khz;
  }
  ~ClockWithoutScaling() override { absent_capability = kNoCapability; }

  VcpuState state_;
  uint32_t host_khz_ = 0;
};

TEST_F(ClockWithoutScaling, RefusesAnotherRateAndNamesBoth) {
  state_.tsc_khz = 1'000'000;
  const auto restored = machine_->vcpu().restore_snapshot(state_);
  ASSERT_FALSE(restored) << "its guest has no other clock";
  EXPECT_EQ(restored.error().kind, ErrorKind::kUnsupported);
  EXPECT_THAT(restored.error().message(), HasSubstr("1000000 kHz"));
  EXPECT_THAT(restored.error().message(), HasSubstr(std::to_string(host_khz_) + " kHz"));
}

TEST_F(ClockWithoutScaling, TakesWhatIsNearlyItsOwnRate) {
  state_.tsc_khz = host_khz_ + host_khz_ / 5'000;  // 200 ppm
  EXPECT_TRUE(machine_->vcpu().restore_snapshot(state_));
  state_.tsc_khz = host_khz_ - host_khz_ / 2'000;
  EXPECT_FALSE(machine_->vcpu().restore_snapshot(state_));
}

TEST_F(ClockWithoutScaling, LetsAGuestOfKvmclockIn) {
  set_msr(state_, kMsrKvmclock, contract_tests::kData | 1);
  state_.tsc_khz = host_khz_ / 2;
  ASSERT_TRUE(machine_->vcpu().restore_snapshot(state_));
  EXPECT_EQ(machine_->vcpu().capture_snapshot()->tsc_khz, host_khz_) << "what it now counts";
  state_.tsc_khz = host_khz_ * 2;
  ASSERT_TRUE(machine_->vcpu().restore_snapshot(state_));
  EXPECT_EQ(machine_->vcpu().capture_snapshot()->tsc_khz, host_khz_ * 2) << "KVM helps it along";
}

// What else the guest has asked KVM for.
TEST_F(Clock, StealTimeGoesOnToBeCounted) {
  constexpr uint32_t kStealTime = 0x4b564d03;
  auto state = *machine_->vcpu().capture_snapshot();
  EXPECT_EQ(find_msr(state, kStealTime), nullptr) << "nobody asked";
  const Msr wanted{kStealTime, contract_tests::kData | 1};
  state.msrs.push_back(wanted);
  ASSERT_TRUE(machine_->vcpu().restore_snapshot(state));
  state = *machine_->vcpu().capture_snapshot();
  const Msr* const kept = find_msr(state, kStealTime);
  ASSERT_NE(kept, nullptr);
  EXPECT_EQ(*kept, wanted);
}

// A page as x2APIC mode has it was once written by the built-in CPU.
TEST_F(Clock, TheLocalApicsIdIsTakenInBothForms) {
  contract_tests::Machine<kvm::KvmVm> two(2);
  two.load(PROGRAM(spin), {}, 1);
  auto state = *two.vcpu(1).capture_snapshot();
  constexpr size_t kId = 0x20;
  set_msr(state, kMsrApicBase, 0xfee00000 | 3u << 10);
  for (const uint32_t id : {1u, 1u << 24}) {
    std::memcpy(&state.lapic[kId], &id, sizeof(id));
    ASSERT_TRUE(two.vcpu(1).restore_snapshot(state)) << id;
    uint32_t kept = 0;
    std::memcpy(&kept, &two.vcpu(1).capture_snapshot()->lapic[kId], sizeof(kept));
    EXPECT_EQ(kept, 1u << 24) << id;
  }
  state.lapic[kId] = 2;
  EXPECT_FALSE(two.vcpu(1).restore_snapshot(state)) << "another vCPU's";
}

}  // namespace
}  // namespace husk::kvm_tests
