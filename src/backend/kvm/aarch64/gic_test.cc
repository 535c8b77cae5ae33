#include "backend/kvm/aarch64/gic.h"

#include <poll.h>
#include <sys/eventfd.h>

#include <algorithm>
#include <chrono>
#include <sstream>

#include "backend/kvm/aarch64/testing/bare_vm.h"
#include "base/fd.h"
#include "contract/aarch64/gic_codec.h"

namespace husk::kvm::testing {
namespace {

using contract::aarch64::GicRegister;
using contract::aarch64::GicState;

constexpr uint32_t kDist = KVM_DEV_ARM_VGIC_GRP_DIST_REGS;
constexpr uint32_t kCpu = KVM_DEV_ARM_VGIC_GRP_CPU_SYSREGS;
constexpr uint32_t kLevels = KVM_DEV_ARM_VGIC_GRP_LEVEL_INFO;
constexpr uint64_t kCtlr = 0, kEnable = 0x100, kPending = 0x200, kPriority = 0x400, kConfig = 0xc00,
                   kRouter = 0x6000;
constexpr uint64_t kPmr = 3 << 14 | 4 << 7 | 6 << 3, kGroup1 = 3 << 14 | 12 << 7 | 12 << 3 | 7;

class GicTest : public KvmTest {};

HUSK_GUEST(idle, "b .")

GicState decode(const std::vector<std::byte>& bytes) {
  std::istringstream in(std::string(reinterpret_cast<const char*>(bytes.data()), bytes.size()));
  return contract::aarch64::read_gic_state(in).value();
}

std::vector<std::byte> encode(const GicState& state) {
  std::ostringstream out;
  EXPECT_TRUE(contract::aarch64::write_gic_state(state, out));
  const std::string text = out.str();
  const auto bytes = std::as_bytes(std::span(text));
  return {bytes.begin(), bytes.end()};
}

uint64_t& at(std::vector<GicRegister>& list, uint32_t group, uint64_t attr) {
  const auto found = std::ranges::find_if(
      list, [&](const GicRegister& reg) { return reg.group == group && reg.attr == attr; });
  if (found != list.end()) return found->value;
  ADD_FAILURE() << "no register " << group << ":" << std::hex << attr;
  static uint64_t none;
  return none;
}

// SPI 3 for vCPU 0, with group 1 on everywhere.
GicState with_spi_3(GicState state) {
  at(state.distributor, kDist, kCtlr) |= 2;
  at(state.distributor, kDist, 0x80 + 4) = ~uint32_t{0};
  at(state.distributor, kDist, kEnable + 4) = 1u << 3;
  at(state.distributor, kDist, kPriority + 32) = 0x80'00'00'00;
  at(state.distributor, kDist, kConfig + 8) = 0;  // by level
  for (auto& vcpu : state.vcpus) {
    at(vcpu.cpu_interface, kCpu, kPmr) = 0xf0;
    at(vcpu.cpu_interface, kCpu, kGroup1) = 1;
  }
  return state;
}

// Tells which interrupt came, ends it, and does so again.
HUSK_GUEST(take_interrupts, R"(
1:  wfi
    mrs  x0, s3_0_c12_c12_0    // ICC_IAR1_EL1
    cmp  x0, #1020             // what is left when there is none
    b.hs 1b
    str  x0, [x1]
    msr  s3_0_c12_c12_1, x0    // ICC_EOIR1_EL1
    b    1b
)")

TEST_F(GicTest, ALineReachesTheGuest) {
  BareVm bare(take_interrupts());
  ASSERT_TRUE(bare.vm->restore_intc(encode(with_spi_3(decode(bare.vm->capture_intc().value())))));
  const contract::IrqLine line = bare.vm->irq_line(3);
  for (int round = 0; round < 3; ++round) {
    std::thread device([&] {
      std::this_thread::sleep_for(std::chrono::milliseconds(20));
      line.set(true);
    });
    EXPECT_EQ(bare.written(), 35u);
    device.join();
    line.set(false);
  }
  bare.vm->set_irq(4, true);           // not enabled
  bare.vm->set_irq(Gic::kSpis, true);  // there is none
  bare.vm->set_irq(~uint32_t{0}, true);
  line.set(true);
  EXPECT_EQ(bare.written(), 35u);
}

// The device raises again what the guest has ended.
TEST_F(GicTest, AnEventfdsSignalReachesTheGuest) {
  BareVm bare(take_interrupts());
  ASSERT_TRUE(bare.vm->restore_intc(encode(with_spi_3(decode(bare.vm->capture_intc().value())))));
  const base::Fd raised(::eventfd(0, EFD_CLOEXEC)), ended(::eventfd(0, EFD_CLOEXEC));
  const auto set = bare.vm->register_irqfd(3, raised.get(), ended.get());
  ASSERT_TRUE(set) << set.error().message();
  ASSERT_EQ(::eventfd_write(raised.get(), 1), 0);
  EXPECT_EQ(bare.written(), 35u);
  std::thread device([&] {
    pollfd end{ended.get(), POLLIN, 0};
    EXPECT_EQ(::poll(&end, 1, 10'000), 1) << "the guest has not ended it";
    EXPECT_EQ(::eventfd_write(raised.get(), 1), 0);
  });
  EXPECT_EQ(bare.written(), 35u);
  device.join();
  EXPECT_TRUE(bare.vm->unregister_irqfd(3, raised.get()));
  EXPECT_FALSE(bare.vm->register_irqfd(Gic::kSpis, raised.get(), -1));
  EXPECT_FALSE(bare.vm->register_irqfd(3, -1, -1));
}

TEST_F(GicTest, AnInterruptOnItsWayArrivesInAnotherVm) {
  BareVm first(take_interrupts());
  ASSERT_TRUE(first.vm->restore_intc(encode(with_spi_3(decode(first.vm->capture_intc().value())))));
  first.vm->set_irq(3, true);
  const auto state = first.vm->capture_intc().value();
  GicState decoded = decode(state);
  EXPECT_EQ(at(decoded.distributor, kLevels, 32), 1u << 3);

  BareVm second(take_interrupts());
  ASSERT_TRUE(second.vm->restore_intc(state));
  EXPECT_EQ(second.written(), 35u);
}

TEST_F(GicTest, EveryRegisterComesBack) {
  BareVm bare(idle(), 2);
  GicState state = with_spi_3(decode(bare.vm->capture_intc().value()));
  ASSERT_EQ(state.vcpus.size(), 2u);
  at(state.distributor, kDist, kEnable + 8) = 0xdeadbeef;
  at(state.distributor, kDist, kPending + 8) = 0x00ff00ff;
  at(state.distributor, kDist, 0x300 + 8) = 0x5;  // active
  at(state.distributor, kDist, kPriority + 64) = 0x10203040;
  at(state.distributor, kDist, kConfig + 16) = 0xaaaaaaaa;  // by edge
  at(state.distributor, kDist, kRouter + 64 * 8) = 1;       // to vCPU 1
  auto& own = state.vcpus[1].redistributor;
  at(own, KVM_DEV_ARM_VGIC_GRP_REDIST_REGS, 0x10100) = 0x0800ffff;
  at(own, KVM_DEV_ARM_VGIC_GRP_REDIST_REGS, 0x1041c) = 0x20304050;
  at(state.vcpus[1].cpu_interface, kCpu, kPmr) = 0x40;
  ASSERT_TRUE(bare.vm->restore_intc(encode(state)));
  EXPECT_EQ(decode(bare.vm->capture_intc().value()), state);

  BareVm other(idle(), 2);
  const auto fresh = other.vm->capture_intc().value();
  ASSERT_TRUE(other.vm->restore_intc(encode(state)));
  EXPECT_EQ(decode(other.vm->capture_intc().value()), state);
  // Back to nothing: what is on by now goes off.
  ASSERT_TRUE(other.vm->restore_intc(fresh));
  EXPECT_EQ(decode(other.vm->capture_intc().value()), decode(fresh));
}

TEST_F(GicTest, WhatIsNoneIsRefused) {
  BareVm bare(idle());
  const GicState good = decode(bare.vm->capture_intc().value());
  const auto refused = [&](const GicState& state) {
    const auto result = bare.vm->restore_intc(encode(state));
    return result ? "accepted" : result.error().message();
  };
  GicState state = good;
  state.distributor.push_back({KVM_DEV_ARM_VGIC_GRP_CTRL, 0, 0});
  std::ranges::sort(state.distributor, [](const auto& a, const auto& b) { return a.order(b) < 0; });
  EXPECT_EQ(refused(state), "GIC state: has no such register as 4:0x0");
  state = good;
  state.distributor.front().value = uint64_t{1} << 32;
  EXPECT_EQ(refused(state), "GIC state: has no such register as 1:0x0");
  state = good;
  state.vcpus[0].redistributor.back().attr |= uint64_t{1} << 32;
  EXPECT_EQ(refused(state), "GIC state: has no such register as 7:0x100000000");
  state = good;
  state.distributor.push_back({kLevels, 1024, 0});
  EXPECT_NE(refused(state), "accepted");
  state = good;
  state.vcpus[0].mpidr = 7;
  EXPECT_EQ(refused(state), "GIC state: is of a machine with other vCPUs");
  auto bytes = encode(good);
  bytes.pop_back();
  EXPECT_FALSE(bare.vm->restore_intc(bytes));
  EXPECT_TRUE(bare.vm->restore_intc(encode(good)));
}

}  // namespace
}  // namespace husk::kvm::testing
