#include <gmock/gmock.h>
#include <sys/ioctl.h>

#include <cstring>
#include <random>
#include <sstream>

#include "backend/kvm/aarch64/one_reg.h"
#include "backend/kvm/aarch64/testing/bare_vm.h"
#include "base/clock.h"

namespace husk::kvm::testing {
namespace {

using contract::aarch64::Power;
using contract::aarch64::Register;
using contract::aarch64::VcpuState;
using seam::CoreReg;

constexpr uint64_t kMidrEl1 = system_reg_id(3, 0, 0, 0, 0);
constexpr uint64_t kTpidrEl1 = system_reg_id(3, 0, 13, 0, 4);
constexpr uint64_t kSecond = 1'000'000'000;

class State : public KvmTest {};

HUSK_GUEST(nothing, "b .")

// Adds up what it reads, and tells the sum.
HUSK_GUEST(adder, R"(
1:  ldr  x2, [x1]
    add  x3, x3, x2
    str  x3, [x1, #8]
    b    1b
)")

Register* find(VcpuState& state, uint64_t id) {
  const auto found = std::ranges::find(state.registers, id, &Register::id);
  return found == state.registers.end() ? nullptr : &*found;
}

uint64_t value_of(const Register& reg) {
  uint64_t value = 0;
  std::memcpy(&value, reg.value.data(), std::min(sizeof(value), reg.value.size()));
  return value;
}

// Without what time alone changes.
VcpuState timeless(VcpuState state) {
  std::erase_if(state.registers, [](const Register& reg) {
    return reg.id == KVM_REG_ARM_TIMER_CNT || reg.id == KVM_REG_ARM_PTIMER_CNT;
  });
  return state;
}

VcpuState through_bytes(const VcpuState& state) {
  std::stringstream bytes;
  EXPECT_TRUE(KvmVcpu::write_snapshot_state(state, bytes));
  return KvmVcpu::read_snapshot_state(bytes).value();
}

TEST_F(State, GoesOnInAnotherVm) {
  BareVm first(adder());
  uint64_t sum = 0;
  for (uint64_t n = 1; n < 20; ++n) {
    EXPECT_FALSE(first.next().write);
    first.vcpu().set_read_data(n);
    EXPECT_EQ(first.written(), sum += n);
  }
  EXPECT_FALSE(first.next().write);
  first.vcpu().set_read_data(1000);  // on its way when the state is taken
  const VcpuState state = through_bytes(first.vcpu().capture_snapshot().value());
  EXPECT_EQ(state.x[2], 1000u);

  BareVm second(adder());
  ASSERT_TRUE(second.vcpu().restore_snapshot(state));
  EXPECT_EQ(second.written(), sum + 1000);
  EXPECT_EQ(first.written(), sum + 1000) << "and in the first as well";
}

TEST_F(State, EveryFieldComesBack) {
  BareVm bare(nothing());
  std::mt19937_64 chance(2023);
  VcpuState state = bare.vcpu().capture_snapshot().value();
  for (uint64_t& x : state.x) x = chance();
  for (auto& v : state.v) v = {chance(), chance()};
  state.sp = chance();
  state.pc = chance() & ~uint64_t{3};
  state.pstate = contract::aarch64::kPstateEl1h | uint64_t{0xf} << 28;
  state.fpcr = 3u << 22;
  state.fpsr = 0x1f;
  ASSERT_NE(find(state, kTpidrEl1), nullptr);
  for (std::byte& byte : find(state, kTpidrEl1)->value) byte = std::byte(chance());
  ASSERT_TRUE(bare.vcpu().restore_snapshot(state));
  EXPECT_EQ(timeless(bare.vcpu().capture_snapshot().value()), timeless(state));

  BareVm other(nothing());
  ASSERT_TRUE(other.vcpu().restore_snapshot(through_bytes(state)));
  EXPECT_EQ(timeless(other.vcpu().capture_snapshot().value()), timeless(state));
}

TEST_F(State, HoldsWhatEl1Needs) {
  BareVm bare(nothing());
  VcpuState state = bare.vcpu().capture_snapshot().value();
  const uint64_t wanted[] = {
      kSctlrEl1,
      system_reg_id(3, 0, 2, 0, 0),   // TTBR0_EL1
      system_reg_id(3, 0, 2, 0, 1),   // TTBR1_EL1
      system_reg_id(3, 0, 2, 0, 2),   // TCR_EL1
      system_reg_id(3, 0, 10, 2, 0),  // MAIR_EL1
      system_reg_id(3, 0, 12, 0, 0),  // VBAR_EL1
      system_reg_id(3, 0, 5, 2, 0),   // ESR_EL1
      system_reg_id(3, 0, 6, 0, 0),   // FAR_EL1
      system_reg_id(3, 3, 13, 0, 2),  // TPIDR_EL0
      core_reg_id(offsetof(kvm_regs, sp_el1), KVM_REG_SIZE_U64),
      core_reg_id(offsetof(kvm_regs, elr_el1), KVM_REG_SIZE_U64),
      core_reg_id(offsetof(kvm_regs, spsr), KVM_REG_SIZE_U64),
      KVM_REG_ARM_TIMER_CTL,
      KVM_REG_ARM_TIMER_CVAL,
      KVM_REG_ARM_TIMER_CNT,
      KVM_REG_ARM_PSCI_VERSION,
  };
  for (const uint64_t id : wanted) EXPECT_NE(find(state, id), nullptr) << std::hex << id;
  EXPECT_EQ(find(state, kPcId), nullptr) << "it has a field";
  EXPECT_EQ(find(state, kMpidrEl1), nullptr) << "it has a field";
  EXPECT_EQ(state.mpidr & contract::aarch64::kMpidrAffinity, 0u);
}

TEST_F(State, AnotherProcessorsIsRefused) {
  BareVm bare(nothing());
  VcpuState state = bare.vcpu().capture_snapshot().value();
  ASSERT_NE(find(state, kMidrEl1), nullptr);
  ASSERT_TRUE(bare.vcpu().restore_snapshot(state)) << "read-only registers that agree";
  find(state, kMidrEl1)->value[0] ^= std::byte{1};
  const auto restored = bare.vcpu().restore_snapshot(state);
  ASSERT_FALSE(restored);
  EXPECT_EQ(restored.error().kind, ErrorKind::kUnsupported);
  EXPECT_THAT(restored.error().message(), ::testing::HasSubstr("603000000013c000"));
}

TEST_F(State, AnotherCountersIsRefused) {
  BareVm bare(nothing());
  VcpuState state = bare.vcpu().capture_snapshot().value();
  ASSERT_NE(state.counter_hertz, 0u);
  const std::string here = std::to_string(state.counter_hertz);
  state.counter_hertz += 1;
  state.x[5] = 55;
  const auto restored = bare.vcpu().restore_snapshot(state);
  ASSERT_FALSE(restored);
  EXPECT_EQ(restored.error().kind, ErrorKind::kUnsupported);
  EXPECT_THAT(restored.error().message(), ::testing::HasSubstr("this host at " + here + " Hz"));
  EXPECT_THAT(restored.error().message(),
              ::testing::HasSubstr(std::to_string(state.counter_hertz) + " Hz"));
  EXPECT_NE(bare.vcpu().get_core(CoreReg::x(5)).value(), 55u) << "before anything is restored";
  state.counter_hertz = 0;
  EXPECT_TRUE(bare.vcpu().restore_snapshot(state)) << "of one that nobody captured";
}

// Says that it is there with SErrors masked, then unmasks them; tells the syndrome of the one that
// comes (the vector at 0x380 of a table at 0x800; DDI 0487, "Exception vectors").
HUSK_GUEST(struck, R"(
9:  mov  x2, #0x40000000
    add  x2, x2, #0x800
    msr  vbar_el1, x2
    isb
    str  w0, [x1]
    msr  daifclr, #4
    isb
1:  b    1b
    .skip 0xb80 - (. - 9b)
    mrs  x3, esr_el1
    str  x3, [x1, #8]
2:  b    2b
)")

class SError : public KvmTest {
 protected:
  void SetUp() override {
    KvmTest::SetUp();
    if (IsSkipped() || HasFatalFailure()) return;
    if (System::open()->check(KVM_CAP_VCPU_EVENTS) == 0) GTEST_SKIP() << "no vCPU events";
    syndromes_ = System::open()->check(KVM_CAP_ARM_INJECT_SERROR_ESR) != 0;
  }
  // A guest with SErrors masked, before which one waits.
  VcpuState with_pending(BareVm& bare) {
    bare.written();
    kvm_vcpu_events events{};
    events.exception.serror_pending = 1;
    events.exception.serror_has_esr = syndromes_ ? 1 : 0;
    events.exception.serror_esr = syndromes_ ? kSyndrome : 0;
    EXPECT_EQ(::ioctl(bare.vcpu().fd(), KVM_SET_VCPU_EVENTS, &events), 0);
    return bare.vcpu().capture_snapshot().value();
  }

  static constexpr uint32_t kSyndrome = 0x1234;
  bool syndromes_ = false;
};

TEST_F(SError, ThatWaitsIsPartOfTheStateAndStrikesInAnotherVm) {
  BareVm first(struck());
  const VcpuState state = through_bytes(with_pending(first));
  EXPECT_TRUE(state.serror.pending);
  EXPECT_EQ(state.serror.has_syndrome, syndromes_);
  if (syndromes_) {
    EXPECT_EQ(state.serror.syndrome, kSyndrome);
  }

  BareVm second(struck());
  ASSERT_TRUE(second.vcpu().restore_snapshot(state));
  EXPECT_EQ(second.vcpu().capture_snapshot().value().serror, state.serror);
  const uint64_t esr = second.written();
  EXPECT_EQ(esr >> 26, 0x2fU) << "the class of an SError";
  if (syndromes_) {
    EXPECT_EQ(esr & 0x1ff'ffff, kSyndrome);
  }
  EXPECT_FALSE(second.vcpu().capture_snapshot().value().serror.pending) << "taken";
}

TEST_F(SError, CannotBeTakenBack) {
  BareVm first(struck());
  VcpuState state = with_pending(first);
  ASSERT_TRUE(first.vcpu().restore_snapshot(state)) << "the same";
  state.serror = {};
  const auto restored = first.vcpu().restore_snapshot(state);
  ASSERT_FALSE(restored);
  EXPECT_EQ(restored.error().kind, ErrorKind::kState);
}

TEST_F(State, PowerIsPartOfIt) {
  BareVm bare(nothing(), 2);
  VcpuState state = bare.vcpu(1).capture_snapshot().value();
  EXPECT_EQ(state.power, Power::kOff);
  EXPECT_EQ(state.mpidr & contract::aarch64::kMpidrAffinity, 1u);
  state.power = Power::kOn;
  ASSERT_TRUE(bare.vcpu(1).restore_snapshot(state));
  EXPECT_EQ(bare.vcpu(1).capture_snapshot().value().power, Power::kOn);
  state.power = Power::kOff;
  ASSERT_TRUE(bare.vcpu(1).restore_snapshot(state));
  EXPECT_EQ(bare.vcpu(1).capture_snapshot().value().power, Power::kOff);
}

TEST_F(State, RegistersByRole) {
  BareVm bare(nothing());
  KvmVcpu& vcpu = bare.vcpu();
  for (uint8_t n = 0; n < 31; ++n) ASSERT_TRUE(vcpu.set_core(CoreReg::x(n), 1000u + n));
  ASSERT_TRUE(vcpu.set_core(CoreReg::pc(), kRam + 64));
  ASSERT_TRUE(vcpu.set_core({CoreReg::Role::kFpcr, 0}, 1u << 24));
  ASSERT_TRUE(vcpu.set_core({CoreReg::Role::kFpsr, 0}, 4));
  const VcpuState state = vcpu.capture_snapshot().value();
  for (uint8_t n = 0; n < 31; ++n) {
    EXPECT_EQ(state.x[n], 1000u + n);
    EXPECT_EQ(vcpu.get_core(CoreReg::x(n)).value(), 1000u + n);
  }
  EXPECT_EQ(state.pc, kRam + 64);
  EXPECT_EQ(state.fpcr, 1u << 24);
  EXPECT_EQ(vcpu.get_core({CoreReg::Role::kFpsr, 0}).value(), 4u);
  EXPECT_EQ(vcpu.get_core({CoreReg::Role::kFp, 0}).value(), 1029u);
  EXPECT_EQ(vcpu.get_core({CoreReg::Role::kLr, 0}).value(), 1030u);
  EXPECT_EQ(vcpu.get_core(CoreReg::cpsr()).value(), entry().pstate);
  EXPECT_FALSE(vcpu.get_core(CoreReg::x(31)));
  EXPECT_FALSE(vcpu.set_core(CoreReg::x(31), 0));
  EXPECT_FALSE(vcpu.set_core({CoreReg::Role::kFpcr, 0}, uint64_t{1} << 32));
  EXPECT_EQ(vcpu.get_sys(seam::SysReg::kMpidrEl1).value() & 0xff, 0u);
}

TEST_F(State, TheClockGoesOnFromItsReference) {
  BareVm first(nothing());
  const uint64_t taken = KvmVm::host_monotonic_ticks();
  const seam::ClockRef ref =
      KvmVcpu::capture_clock_ref(first.vcpu().capture_snapshot().value(), taken);
  EXPECT_EQ(ref.host_monotonic_ns, taken);

  BareVm second(nothing());
  const auto now = [&] {
    const VcpuState state = second.vcpu().capture_snapshot().value();
    return KvmVcpu::capture_clock_ref(state, KvmVm::host_monotonic_ticks()).guest_ns;
  };
  seam::ClockRef later = ref;
  later.guest_ns += 1000 * kSecond;
  const uint64_t before = now();
  const uint64_t offset = second.vcpu().restore_clock(later, base::monotonic_ns());
  const uint64_t after = now();
  EXPECT_GE(after, later.guest_ns);
  EXPECT_LT(after, later.guest_ns + 30 * kSecond);
  EXPECT_GT(offset, 0u);
  EXPECT_GT(after, before);

  // Five seconds that the host has lived through since.
  second.vcpu().restore_clock(later, base::monotonic_ns() - 5 * kSecond);
  EXPECT_GE(now(), later.guest_ns + 5 * kSecond);
  EXPECT_LT(now(), later.guest_ns + 35 * kSecond);
}

TEST_F(State, TheCounterIsNotTheSnapshots) {
  BareVm bare(nothing());
  VcpuState state = bare.vcpu().capture_snapshot().value();
  const uint64_t taken = value_of(*find(state, KVM_REG_ARM_TIMER_CNT));
  for (std::byte& byte : find(state, KVM_REG_ARM_TIMER_CNT)->value) byte = std::byte{0};
  ASSERT_TRUE(bare.vcpu().restore_snapshot(state));
  VcpuState after = bare.vcpu().capture_snapshot().value();
  EXPECT_GE(value_of(*find(after, KVM_REG_ARM_TIMER_CNT)), taken);
}

}  // namespace
}  // namespace husk::kvm::testing
