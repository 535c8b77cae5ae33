// Interrupts by KVM_IRQFD: of a bare VM, and of a machine.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/eventfd.h>

#include <chrono>
#include <functional>
#include <memory>
#include <thread>

#include "base/clock.h"
#include "contract/x86/irqchip_codec.h"
#include "kernel_irqchip_vm.h"
#include "machine.h"
#include "runtime/hypervisor.h"
#include "runtime/testing/tiny_kernels.h"

extern "C" const std::byte program_ask_pic[], program_ask_pic_end[];

namespace husk::kvm_tests {
namespace {

using contract::x86::IrqchipState;
using ::testing::HasSubstr;
using Kernel = contract_tests::KvmWithKernelIrqchip;

constexpr uint32_t kLine = 5;
constexpr uint8_t kInput = 1u << kLine;  // of the master 8259

// KVM may raise the line on a thread of its own.
bool becomes(const std::function<bool()>& condition) {
  const uint64_t start = base::monotonic_ns();
  while (!condition()) {
    if (base::monotonic_ns() - start > 10'000'000'000) return false;
    std::this_thread::sleep_for(std::chrono::milliseconds(1));
  }
  return true;
}

class Irqfd : public ::testing::Test {
 protected:
  void SetUp() override {
    if (const auto vm = Kernel::create(1); !vm) GTEST_SKIP() << vm.error().message();
    machine_ = std::make_unique<contract_tests::Machine<Kernel>>();
  }
  contract::x86::PicState pic() {
    return contract::x86::read_irqchip_state(*machine_->vm->capture_intc())->pics[0];
  }
  void raise() {
    const uint64_t one = 1;
    ASSERT_EQ(::write(eventfd_.get(), &one, sizeof(one)), 8);
  }
  uint64_t ends() {
    uint64_t count = 0;
    return ::read(ended_.get(), &count, sizeof(count)) == sizeof(count) ? count : 0;
  }

  base::Fd eventfd_{::eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC)};
  base::Fd ended_{::eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC)};
  std::unique_ptr<contract_tests::Machine<Kernel>> machine_;
};

TEST_F(Irqfd, ASignalIsAnEdge) {
  ASSERT_TRUE(machine_->vm->register_irqfd(kLine, eventfd_.get(), -1));
  EXPECT_EQ(pic().requested, 0);
  raise();
  EXPECT_TRUE(becomes([&] { return pic().requested == kInput; }));
  EXPECT_TRUE(becomes([&] { return pic().lines == 0; })) << "up and down again";
}

TEST_F(Irqfd, WhatIsTakenAwayRaisesNothing) {
  ASSERT_TRUE(machine_->vm->register_irqfd(kLine, eventfd_.get(), -1));
  ASSERT_TRUE(machine_->vm->unregister_irqfd(kLine, eventfd_.get()));
  EXPECT_TRUE(machine_->vm->unregister_irqfd(kLine, eventfd_.get())) << "again";
  raise();
  std::this_thread::sleep_for(std::chrono::milliseconds(50));
  EXPECT_EQ(pic().requested, 0);
}

// The guest polls its 8259, which is as good as taking the interrupt and ending it.
TEST_F(Irqfd, AResampledLineIsUpUntilTheGuestHasEndedTheInterrupt) {
  IrqchipState polled;
  polled.pics[0].level = kInput;
  polled.pics[0].mask = 0;
  polled.pics[0].poll = true;
  ASSERT_TRUE(machine_->vm->restore_intc(contract::x86::write_irqchip_state(polled)));
  const auto set = machine_->vm->register_irqfd(kLine, eventfd_.get(), ended_.get());
  ASSERT_TRUE(set) << set.error().message();
  raise();
  ASSERT_TRUE(becomes([&] { return pic().lines == kInput; }));
  std::this_thread::sleep_for(std::chrono::milliseconds(20));
  EXPECT_EQ(pic().lines, kInput);
  EXPECT_EQ(ends(), 0U);
  machine_->load(PROGRAM(ask_pic));
  constexpr uint64_t kRequest = 0x80;  // which Linux leaves out up to 6.x
  EXPECT_EQ(machine_->report() & ~kRequest, kLine);
  EXPECT_EQ(ends(), 1U);
  EXPECT_EQ(pic().lines, 0);
}

TEST_F(Irqfd, WhatCannotInterruptIsRefused) {
  for (const uint32_t gsi : {2U, 24U, ~0U}) {
    const auto set = machine_->vm->register_irqfd(gsi, eventfd_.get(), -1);
    ASSERT_FALSE(set) << gsi;
    EXPECT_EQ(set.error().kind, ErrorKind::kInvalidArgument);
  }
  const auto set = machine_->vm->register_irqfd(kLine, -1, -1);
  ASSERT_FALSE(set);
  EXPECT_THAT(set.error().message(), HasSubstr("KVM_IRQFD"));
}

TEST_F(Irqfd, ASplitIrqchipHasNone) {
  contract_tests::Machine<kvm::KvmVm> split;
  const auto set = split.vm->register_irqfd(kLine, eventfd_.get(), -1);
  ASSERT_FALSE(set);
  EXPECT_EQ(set.error().kind, ErrorKind::kUnsupported);
  EXPECT_THAT(set.error().message(), HasSubstr("split"));
  EXPECT_TRUE(split.vm->unregister_irqfd(kLine, eventfd_.get()));
}

TEST_F(Irqfd, AMachineHasThemWhileItIsThere) {
  const runtime::testing::KernelFile kernel(runtime::testing::kSpin);
  const auto hypervisor = *runtime::open_hypervisor("kvm");
  for (const bool on : {true, false}) {
    const auto vm = *hypervisor->create_vm(*machine::VmConfig::builder()
                                                .memory_bytes(64 << 20)
                                                .kernel(kernel.path())
                                                .kernel_irqchip(on)
                                                .build());
    const auto early = vm->register_irqfd(kLine, eventfd_.get(), -1);
    ASSERT_FALSE(early);
    EXPECT_EQ(early.error().kind, ErrorKind::kState);
    ASSERT_TRUE(vm->start());
    const auto set = vm->register_irqfd(kLine, eventfd_.get(), ended_.get());
    EXPECT_EQ(set.has_value(), on);
    if (!on) {
      EXPECT_EQ(set.error().kind, ErrorKind::kUnsupported);
    }
    EXPECT_TRUE(vm->unregister_irqfd(kLine, eventfd_.get()));
    ASSERT_TRUE(vm->stop());
    EXPECT_FALSE(vm->register_irqfd(kLine, eventfd_.get(), -1));
  }
}

}  // namespace
}  // namespace husk::kvm_tests
