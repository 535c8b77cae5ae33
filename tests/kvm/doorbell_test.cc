// Doorbells by KVM_IOEVENTFD: of a bare vCPU, and of a machine with a device.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/eventfd.h>

#include <atomic>
#include <memory>
#include <optional>

#include "backend/kvm/common/kvm_api.h"
#include "backend/kvm/x86_64/kvm_vm.h"
#include "interpose.h"
#include "machine.h"
#include "runtime/hypervisor.h"
#include "runtime/managed_machine.h"
#include "runtime/testing/tiny_kernels.h"
#include "statistics.h"

extern "C" const std::byte program_ring[], program_ring_end[];
extern "C" const std::byte program_driver[], program_driver_end[];

namespace husk::kvm_tests {
namespace {

using contract_tests::kDevice;
using contract_tests::Machine;
using ::testing::HasSubstr;

constexpr uint32_t kRings = 1000;

class Doorbell : public ::testing::Test {
 protected:
  void SetUp() override {
    if (const auto vm = kvm::KvmVm::create(1); !vm) GTEST_SKIP() << vm.error().message();
    if (kvm::System::open()->check(KVM_CAP_IOEVENTFD) == 0) GTEST_SKIP() << "no doorbells";
  }
  ~Doorbell() override {
    on_ioctl = nullptr;
    absent_capability = kNoCapability;
  }
};

uint64_t taken(const base::Fd& eventfd) {
  uint64_t count = 0;
  return ::read(eventfd.get(), &count, sizeof(count)) == sizeof(count) ? count : 0;
}

class BareDoorbell : public Doorbell {
 protected:
  // What happened until the guest's report, that included.
  struct Stepped {
    uint64_t exits = 0;        // as step() tells them
    uint64_t calls = 0;        // ioctls, of which KVM_RUN is the only one
    Result<uint64_t> counted;  // accesses that KVM itself says it brought to user space
  };

  void SetUp() override {
    Doorbell::SetUp();
    if (!IsSkipped()) machine_ = std::make_unique<Machine<kvm::KvmVm>>();
  }
  void load(uint64_t value) { machine_->load(PROGRAM(ring), {kDevice, value, kRings}); }

  Stepped step_to_report() {
    const int vcpu = machine_->vcpu().fd();
    Stepped stepped;
    const auto before = statistic(vcpu, "mmio_exits");
    const uint64_t calls = ioctls;
    while (machine_->next().phys_addr == kDevice) ++stepped.exits;
    ++stepped.exits;
    stepped.calls = ioctls - calls;
    stepped.counted = statistic(vcpu, "mmio_exits");
    if (stepped.counted && before) *stepped.counted -= *before;
    return stepped;
  }

  base::Fd bell_{::eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC)};
  std::unique_ptr<Machine<kvm::KvmVm>> machine_;
};

TEST_F(BareDoorbell, ARingIsNoExitToUserSpace) {
  ASSERT_TRUE(machine_->vm->ring_on_write(kDevice, 4, 7, bell_.get()));
  load(7);
  const Stepped stepped = step_to_report();
  EXPECT_EQ(stepped.exits, 1U) << "the report's";
  EXPECT_EQ(stepped.calls, 1U) << "one KVM_RUN";
  EXPECT_EQ(taken(bell_), kRings);
  if (!stepped.counted) GTEST_SKIP() << "no statistics: " << stepped.counted.error().message();
  EXPECT_EQ(*stepped.counted, 1U);
}

TEST_F(BareDoorbell, AnotherValueIsAnExit) {
  ASSERT_TRUE(machine_->vm->ring_on_write(kDevice, 4, 7, bell_.get()));
  load(8);
  const Stepped stepped = step_to_report();
  EXPECT_EQ(stepped.exits, kRings + 1);
  EXPECT_EQ(stepped.calls, kRings + 1);
  EXPECT_EQ(taken(bell_), 0U);
  if (!stepped.counted) GTEST_SKIP() << "no statistics: " << stepped.counted.error().message();
  EXPECT_EQ(*stepped.counted, kRings + 1);
}

TEST_F(BareDoorbell, SoIsAnotherSizeAndAnotherAddress) {
  ASSERT_TRUE(machine_->vm->ring_on_write(kDevice, 2, 7, bell_.get()));
  ASSERT_TRUE(machine_->vm->ring_on_write(kDevice + 4, 4, 7, bell_.get()));
  load(7);
  EXPECT_EQ(machine_->next().phys_addr, kDevice);
  EXPECT_EQ(taken(bell_), 0U);
}

TEST_F(BareDoorbell, EachValueHasItsOwn) {
  const base::Fd other(::eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC));
  ASSERT_TRUE(machine_->vm->ring_on_write(kDevice, 4, 7, bell_.get()));
  ASSERT_TRUE(machine_->vm->ring_on_write(kDevice, 4, 8, other.get()));
  load(8);
  EXPECT_EQ(machine_->report(), 8U);
  EXPECT_EQ(taken(bell_), 0U);
  EXPECT_EQ(taken(other), kRings);
}

TEST_F(BareDoorbell, TheVmKeepsABellThatItsOwnerHasClosed) {
  ASSERT_TRUE(machine_->vm->ring_on_write(kDevice, 4, 7, bell_.get()));
  bell_.reset();
  load(7);
  EXPECT_EQ(machine_->report(), 7U);
}

TEST_F(BareDoorbell, WhatCannotRingIsRefused) {
  for (const uint32_t size : {0U, 3U, 16U}) {
    const auto hung = machine_->vm->ring_on_write(kDevice, size, 7, bell_.get());
    ASSERT_FALSE(hung) << size;
    EXPECT_EQ(hung.error().kind, ErrorKind::kInvalidArgument);
  }
  const auto hung = machine_->vm->ring_on_write(kDevice, 4, 7, -1);
  ASSERT_FALSE(hung);
  EXPECT_THAT(hung.error().message(), HasSubstr("KVM_IOEVENTFD"));
  ASSERT_TRUE(machine_->vm->ring_on_write(kDevice, 4, 7, bell_.get()));
  EXPECT_FALSE(machine_->vm->ring_on_write(kDevice, 4, 7, bell_.get())) << "there is one";
}

TEST_F(BareDoorbell, AKvmWithoutThemIsOneAndSaysWhatItLacks) {
  absent_capability = KVM_CAP_IOEVENTFD;
  const auto vm = kvm::KvmVm::create(1);
  ASSERT_TRUE(vm) << vm.error().message();
  const auto hung = (*vm)->ring_on_write(kDevice, 4, 7, bell_.get());
  ASSERT_FALSE(hung);
  EXPECT_EQ(hung.error().kind, ErrorKind::kUnsupported);
  EXPECT_THAT(hung.error().message(), HasSubstr("KVM_CAP_IOEVENTFD"));
}

// Notes what the driver had said when it was last looked at.
class Noting : public virtio::Device {
 public:
  struct Notes {
    std::atomic<uint32_t> notifications{0}, left{~0U};
  };
  Noting(Notes& notes, machine::GuestMemory& memory) : notes_(notes), memory_(memory) {}
  [[nodiscard]] uint32_t id() const override { return 4; }
  [[nodiscard]] uint64_t features() const override { return 0; }
  [[nodiscard]] uint32_t queue_count() const override { return 2; }
  [[nodiscard]] uint8_t read_config(uint64_t) const override { return 0; }
  void activate(uint64_t, std::vector<virtio::Queue>&, virtio::Notifier&) override {}
  void reset() override {}
  Result<void> notified(uint32_t) override {
    uint32_t left = 0;
    const auto read = memory_.read(machine::GuestAddress{runtime::testing::kCounter},
                                   std::as_writable_bytes(std::span(&left, 1)));
    notes_.left = left;
    ++notes_.notifications;
    return read;
  }

 private:
  Notes& notes_;
  machine::GuestMemory& memory_;
};

class MachineDoorbell : public Doorbell {
 protected:
  runtime::ManagedMachine& make() {
    const auto* code = reinterpret_cast<const uint8_t*>(program_driver);
    const auto* end = reinterpret_cast<const uint8_t*>(program_driver_end);
    file_.emplace(std::vector<uint8_t>(code, end));
    hypervisor_ = *runtime::open_hypervisor("kvm");
    vm_ = *hypervisor_->create_vm(
        *machine::VmConfig::builder().memory_bytes(64 << 20).kernel(file_->path()).build());
    auto* machine = vm_->as<runtime::ManagedMachine>();
    EXPECT_TRUE(machine->add_device(VirtioDeviceConfig::entropy(), [this] {
      return Result<std::unique_ptr<virtio::Device>>(
          std::make_unique<Noting>(notes_, vm_->memory()));
    }));
    return *machine;
  }

  Noting::Notes notes_;
  std::unique_ptr<machine::Hypervisor> hypervisor_;
  std::optional<runtime::testing::KernelFile> file_;
  std::unique_ptr<machine::VirtualMachine> vm_;
};

TEST_F(MachineDoorbell, NotificationsOfAQueueAreServedWithoutExits) {
  runtime::ManagedMachine& machine = make();
  std::atomic<uint32_t> runs{0};
  std::atomic<int> vcpu{-1};
  on_ioctl = [&](int fd, unsigned long request) {
    if (request == KVM_RUN) {
      ++runs;
      vcpu = fd;
    }
    return 0;
  };
  ASSERT_TRUE(machine.start());
  EXPECT_EQ(machine.wait().reason(), runtime::EndReason::kPowerOff);
  on_ioctl = nullptr;
  EXPECT_GE(notes_.notifications, 1U);
  EXPECT_EQ(notes_.left, 1U) << "the last one is served as well";
  EXPECT_LT(runs, 100U) << "the driver's set-up, and what interrupted it";
  if (const auto mmio = statistic(vcpu, "mmio_exits")) {
    EXPECT_EQ(*mmio, 11U) << "the set-up's";
  }
}

TEST_F(MachineDoorbell, OnAKvmWithoutThemEachNotificationIsAnExit) {
  absent_capability = KVM_CAP_IOEVENTFD;
  runtime::ManagedMachine& machine = make();
  ASSERT_TRUE(machine.start());
  EXPECT_EQ(machine.wait().reason(), runtime::EndReason::kPowerOff);
  EXPECT_EQ(notes_.notifications, kRings);
  EXPECT_EQ(notes_.left, 1U);
}

TEST_F(MachineDoorbell, WithoutItsBellsAMachineDoesNotStart) {
  runtime::ManagedMachine& machine = make();
  on_ioctl = [](int, unsigned long request) { return request == KVM_IOEVENTFD ? ENOSPC : 0; };
  const auto started = machine.start();
  on_ioctl = nullptr;
  ASSERT_FALSE(started);
  EXPECT_THAT(started.error().message(), HasSubstr("KVM_IOEVENTFD"));
  EXPECT_EQ(machine.state(), machine::VmState::kError);
}

}  // namespace
}  // namespace husk::kvm_tests
