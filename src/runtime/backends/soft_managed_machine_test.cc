#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <chrono>

#include "runtime/hypervisor.h"
#include "runtime/managed_machine.h"
#include "runtime/testing/tiny_kernels.h"

namespace husk::runtime {
namespace {

using machine::VmState;
using ::testing::AllOf;
using ::testing::HasSubstr;
using namespace testing;  // NOLINT(google-build-using-namespace)

constexpr uint64_t kMemory = 64 << 20;

struct Collected : contract::ByteSink {
  void write(std::span<const std::byte> data) override {
    for (const std::byte byte : data) text += static_cast<char>(byte);
  }
  std::string text;
};

class Managed : public ::testing::Test {
 protected:
  ManagedMachine& make(const std::vector<uint8_t>& code, uint32_t vcpus = 1) {
    file_.emplace(code);
    auto vm = hypervisor_->create_vm(machine::VmConfig::builder()
                                         .vcpus(vcpus)
                                         .memory_bytes(kMemory)
                                         .kernel(file_->path())
                                         .build()
                                         .value());
    vm_ = std::move(vm).value();
    auto* machine = vm_->as<ManagedMachine>();
    MachineExtras extras;
    extras.serial_output = &serial_;
    EXPECT_TRUE(machine->set_extras(std::move(extras)));
    return *machine;
  }
  uint32_t counter() {
    uint32_t value = 0;
    EXPECT_TRUE(vm_->memory().read(machine::GuestAddress{kCounter},
                                   std::as_writable_bytes(std::span(&value, 1))));
    return value;
  }
  // Whether the guest counts on, within reason.
  bool counts() {
    const uint32_t before = counter();
    const auto until = std::chrono::steady_clock::now() + std::chrono::seconds(20);
    while (counter() == before) {
      if (std::chrono::steady_clock::now() > until) return false;
      std::this_thread::sleep_for(std::chrono::milliseconds(1));
    }
    return true;
  }

  std::unique_ptr<machine::Hypervisor> hypervisor_ = open_hypervisor("soft").value();
  std::optional<KernelFile> file_;
  Collected serial_;
  std::unique_ptr<machine::VirtualMachine> vm_;
};

template <class T>
std::string error_of(const Result<T>& result) {
  return result ? "no error" : result.error().message();
}

TEST_F(Managed, RunsAGuestUntilItPowersOff) {
  ManagedMachine& vm = make(kGreet);
  EXPECT_EQ(vm.state(), VmState::kCreated);
  EXPECT_TRUE(vm.is_managed_execution());
  ASSERT_TRUE(vm.start());
  EXPECT_EQ(vm.wait().reason(), EndReason::kPowerOff);
  EXPECT_EQ(vm.state(), VmState::kStopped);
  EXPECT_EQ(serial_.text, "hi\n");
}

TEST_F(Managed, RunsAgainFromStoppedWithMemoryAsNew) {
  ManagedMachine& vm = make(kGreet);
  ASSERT_TRUE(vm.start());
  vm.wait();
  const uint32_t mark = 77;
  ASSERT_TRUE(
      vm.memory().write(machine::GuestAddress{kCounter}, std::as_bytes(std::span(&mark, 1))));
  ASSERT_TRUE(vm.start());
  EXPECT_EQ(vm.wait().reason(), EndReason::kPowerOff);
  EXPECT_EQ(serial_.text, "hi\nhi\n");
  EXPECT_EQ(counter(), 0u);
}

TEST_F(Managed, PausesResumesAndStops) {
  ManagedMachine& vm = make(kSpin, 2);
  ASSERT_TRUE(vm.start());
  ASSERT_TRUE(counts());
  for (int round = 0; round < 20; ++round) {
    ASSERT_TRUE(vm.pause());
    EXPECT_EQ(vm.state(), VmState::kPaused);
    const uint32_t before = counter();
    std::this_thread::sleep_for(std::chrono::milliseconds(2));
    EXPECT_EQ(counter(), before);
    ASSERT_TRUE(vm.resume());
    EXPECT_EQ(vm.state(), VmState::kRunning);
    ASSERT_TRUE(counts());
  }
  ASSERT_TRUE(vm.pause());
  ASSERT_TRUE(vm.stop());
  EXPECT_EQ(vm.state(), VmState::kStopped);
}

TEST_F(Managed, RefusesWhatDoesNotFitTheState) {
  ManagedMachine& vm = make(kSpin);
  EXPECT_THAT(error_of(vm.pause()),
              AllOf(HasSubstr("expected state running"), HasSubstr("actual state created")));
  EXPECT_THAT(error_of(vm.resume()), HasSubstr("expected state paused"));
  EXPECT_THAT(error_of(vm.stop()), HasSubstr("expected state running or paused"));
  ASSERT_TRUE(vm.start());
  EXPECT_THAT(error_of(vm.start()),
              HasSubstr("expected state created or stopped, actual state running"));
  EXPECT_THAT(error_of(vm.add_virtio_device(VirtioDeviceConfig::entropy())),
              HasSubstr("expected state created"));
  EXPECT_THAT(error_of(vm.set_extras({})), HasSubstr("expected state created"));
  ASSERT_TRUE(vm.stop());
  EXPECT_THAT(error_of(vm.stop()), HasSubstr("actual state stopped"));
}

TEST_F(Managed, VcpusAreHandlesToWhatIsPaused) {
  ManagedMachine& vm = make(kSpin, 2);
  EXPECT_THAT(error_of(vm.create_vcpu(2)), HasSubstr("the machine has 2"));
  const auto vcpu = vm.create_vcpu(0).value();
  EXPECT_EQ(vcpu->id(), 0u);
  EXPECT_THAT(error_of(vm.create_vcpu(0)), HasSubstr("was created before"));
  EXPECT_THAT(error_of(vcpu->run()), HasSubstr("manual execution"));
  EXPECT_THAT(error_of(vcpu->regs()), HasSubstr("expected state paused, actual state created"));
  ASSERT_TRUE(vm.start());
  ASSERT_TRUE(counts());
  EXPECT_THAT(error_of(vcpu->snapshot()), HasSubstr("actual state running"));
  ASSERT_TRUE(vm.pause());
  Registers registers = vcpu->regs().value();
  EXPECT_EQ(registers.rbx, kCounter);
  EXPECT_GE(registers.rip, boot::testing::kLoadAddress);
  EXPECT_LT(registers.rip, boot::testing::kLoadAddress + kSpin.size());
  ASSERT_FALSE(vcpu->arm64_regs());
  EXPECT_EQ(vcpu->arm64_regs().error().kind, ErrorKind::kUnsupported);
  EXPECT_THAT(error_of(vcpu->set_arm64_regs({})), HasSubstr("this vCPU has those of x86_64"));

  const VcpuSnapshot snapshot = vcpu->snapshot().value();
  EXPECT_FALSE(snapshot.is_placeholder());
  EXPECT_EQ(snapshot.x86_regs, registers);
  registers.rbx = kCounter + 0x100;
  ASSERT_TRUE(vcpu->set_regs(registers));
  ASSERT_TRUE(vm.resume());
  const uint32_t before = counter();
  std::this_thread::sleep_for(std::chrono::milliseconds(5));
  EXPECT_EQ(counter(), before) << "it counts elsewhere now";
  ASSERT_TRUE(vm.pause());
  ASSERT_TRUE(vcpu->restore(snapshot));
  EXPECT_EQ(vcpu->regs().value().rbx, kCounter);
  ASSERT_TRUE(vm.resume());
  EXPECT_TRUE(counts());
  VcpuSnapshot broken = snapshot;
  broken.extra_state.resize(20);
  ASSERT_TRUE(vm.pause());
  EXPECT_FALSE(vcpu->restore(broken));
  broken = snapshot;
  broken.id = 1;
  EXPECT_THAT(error_of(vcpu->restore(broken)), HasSubstr("is of vCPU 1"));
}

TEST_F(Managed, CodeThatTheHostWritesIsExecutedAsItHasBecome) {
  ManagedMachine& vm = make(kSpin);
  ASSERT_TRUE(vm.start());
  ASSERT_TRUE(counts());
  ASSERT_TRUE(vm.pause());
  const uint8_t jump_to_itself[] = {0xeb, 0xfe};
  ASSERT_TRUE(vm.memory().write(machine::GuestAddress{boot::testing::kLoadAddress + 5},
                                std::as_bytes(std::span(jump_to_itself))));
  const uint32_t before = counter();
  ASSERT_TRUE(vm.resume());
  std::this_thread::sleep_for(std::chrono::milliseconds(10));
  EXPECT_LE(counter() - before, 1u);
}

TEST_F(Managed, TripleFaultEndsTheRun) {
  ManagedMachine& vm = make(kDie);
  ASSERT_TRUE(vm.start());
  EXPECT_EQ(vm.wait().reason(), EndReason::kTripleFault);
}

TEST_F(Managed, FailsToStartWithoutAGoodKernelOrDisk) {
  ManagedMachine& vm = make({});
  std::ofstream(file_->path()) << "not a kernel";
  EXPECT_THAT(error_of(vm.start()), HasSubstr(file_->path()));
  EXPECT_EQ(vm.state(), VmState::kError);
  ManagedMachine& other = make(kSpin);
  ASSERT_TRUE(other.add_virtio_device(VirtioDeviceConfig::block("/nonexistent/disk", true)));
  EXPECT_THAT(error_of(other.start()), HasSubstr("/nonexistent/disk"));
}

TEST_F(Managed, TakesEightDevicesOfItsOwnKinds) {
  ManagedMachine& vm = make(kSpin);
  EXPECT_THAT(error_of(vm.add_virtio_device(VirtioDeviceConfig::network())),
              HasSubstr("no device of that type"));
  VirtioDeviceConfig pathless = VirtioDeviceConfig::block("", true);
  pathless.path.reset();
  EXPECT_THAT(error_of(vm.add_virtio_device(pathless)), HasSubstr("no path"));
  for (int i = 0; i < 8; ++i) ASSERT_TRUE(vm.add_virtio_device(VirtioDeviceConfig::entropy()));
  EXPECT_THAT(error_of(vm.add_virtio_device(VirtioDeviceConfig::entropy())),
              HasSubstr("no room for more than 8"));
  ASSERT_TRUE(vm.start());
  EXPECT_TRUE(counts());
}

TEST_F(Managed, DevicesAreNamedAndCompared) {
  ManagedMachine& vm = make(kSpin);
  ASSERT_TRUE(vm.add_virtio_device(VirtioDeviceConfig::block("/images/root.img", true)));
  ASSERT_TRUE(vm.add_virtio_device(VirtioDeviceConfig::console()));
  ASSERT_TRUE(vm.add_virtio_device(VirtioDeviceConfig::entropy()));
  const auto snapshots = vm.snapshot_devices().value();
  std::vector<std::string> names;
  for (const DeviceSnapshot& snapshot : snapshots) names.push_back(snapshot.name);
  EXPECT_THAT(names, ::testing::ElementsAre("block-0-root.img", "console-0", "device-2", "serial-0",
                                            "serial-1"));
  EXPECT_TRUE(vm.restore_devices(snapshots));

  ManagedMachine& other = make(kSpin);
  ASSERT_TRUE(other.add_virtio_device(VirtioDeviceConfig::block("/images/other.img", true)));
  EXPECT_THAT(error_of(other.restore_devices(snapshots)),
              AllOf(HasSubstr("the machine has no block-0-root.img"), HasSubstr("no console-0"),
                    HasSubstr("no device-2"), HasSubstr("the snapshot has no block-0-other.img")));
  std::vector<DeviceSnapshot> damaged = snapshots;
  damaged[0].state.resize(3);
  EXPECT_THAT(error_of(vm_->restore_devices(damaged)),
              HasSubstr("block-0-root.img cannot be read"));
}

TEST_F(Managed, MemoryIsCheckedAndItsWritesAreLogged) {
  ManagedMachine& vm = make(kSpin);
  machine::GuestMemory& memory = vm.memory();
  EXPECT_EQ(memory.size(), kMemory);
  std::array<std::byte, 16> bytes{};
  EXPECT_FALSE(memory.read(machine::GuestAddress{kMemory - 8}, bytes));
  EXPECT_FALSE(memory.write(machine::GuestAddress{~uint64_t{0} - 3}, bytes));
  EXPECT_FALSE(memory.host_address(machine::GuestAddress{uint64_t{1} << 40}));
  EXPECT_THAT(error_of(memory.take_dirty_pages()), HasSubstr("dirty tracking is off"));
  EXPECT_THAT(error_of(memory.dump_all(bytes)), HasSubstr("room for 16"));
  ASSERT_TRUE(vm.start());
  ASSERT_TRUE(counts());
  ASSERT_TRUE(vm.pause());
  ASSERT_TRUE(memory.enable_dirty_tracking());
  EXPECT_TRUE(memory.take_dirty_pages().value().empty());
  ASSERT_TRUE(vm.resume());
  ASSERT_TRUE(counts());
  ASSERT_TRUE(vm.pause());
  const auto pages = memory.take_dirty_pages().value();
  ASSERT_EQ(pages.size(), 1u);
  EXPECT_EQ(pages[0].guest_addr, kCounter);
  std::vector<std::byte> all(kMemory);
  ASSERT_TRUE(memory.dump_all(all));
  uint32_t dumped = 0;
  std::memcpy(&dumped, &all[kCounter], 4);
  EXPECT_EQ(dumped, counter());
  ASSERT_TRUE(memory.disable_dirty_tracking());
}

// No kernel is below it: the contract's section on interrupts wants an error here, none there.
TEST_F(Managed, HasNoInterruptsByDescriptor) {
  ManagedMachine& vm = make(kSpin);
  EXPECT_THAT(error_of(vm.register_irqfd(5, 0, -1)), HasSubstr("expected state running"));
  ASSERT_TRUE(vm.start());
  const auto set = vm.register_irqfd(5, 0, -1);
  ASSERT_FALSE(set);
  EXPECT_EQ(set.error().kind, ErrorKind::kUnsupported);
  EXPECT_TRUE(vm.unregister_irqfd(5, 0));
}

TEST_F(Managed, HypervisorRefusesWhatItCannotGive) {
  const auto& capabilities = hypervisor_->capabilities();
  machine::VmConfig config;
  config.memory_size = kMemory;
  config.vcpu_count = capabilities.max_vcpus + 1;
  EXPECT_THAT(error_of(hypervisor_->create_vm(config)), HasSubstr("vcpu_count"));
  config.vcpu_count = 1;
  config.memory_size = capabilities.max_memory + 4096;
  EXPECT_THAT(error_of(hypervisor_->create_vm(config)), HasSubstr("more than the host's"));
  config.memory_size = 4095;
  EXPECT_THAT(error_of(hypervisor_->create_vm(config)), HasSubstr("memory_size"));
  config.memory_size = kMemory;
  config.cpu_model = CpuModel::kX86_64V2;
  EXPECT_EQ(error_of(hypervisor_->create_vm(config)), "no error");
  config.cpu_model = CpuModel::kHost;
  config.kernel_irqchip = true;
  EXPECT_THAT(error_of(hypervisor_->create_vm(config)),
              HasSubstr("kernel_irqchip: the built-in CPU has no kernel below it"));
  config.kernel_irqchip = false;
  config.arch = CpuArch::kAarch64;
  EXPECT_THAT(error_of(hypervisor_->create_vm(config)), HasSubstr("aarch64"));
}

class Moved : public Managed {
 protected:
  // A new machine that goes on where the present one is paused.
  Result<void> move() {
    auto& from = *vm_->as<ManagedMachine>();
    const auto state = from.capture();
    if (!state) return std::unexpected(state.error());
    std::vector<std::byte> memory(from.memory().size());
    EXPECT_TRUE(from.memory().dump_all(memory));
    const auto old_vm = std::move(vm_);
    ManagedMachine& to = make(kSpin, from.vcpu_count());
    EXPECT_TRUE(to.memory().write(machine::GuestAddress{0}, memory));
    return to.start_from(*state);
  }
};

TEST_F(Moved, GoesOnWhereTheOtherMachineWas) {
  ManagedMachine& vm = make(kSpin, 2);
  ASSERT_TRUE(vm.start());
  ASSERT_TRUE(counts());
  ASSERT_TRUE(vm.pause());
  const uint32_t before = counter();
  const auto moved = move();
  ASSERT_TRUE(moved) << error_of(moved);
  EXPECT_EQ(vm_->state(), VmState::kRunning);
  EXPECT_GE(counter(), before);
  EXPECT_TRUE(counts());
  EXPECT_TRUE(vm_->stop());
}

TEST_F(Moved, RefusesAMachineOfAnotherShape) {
  ManagedMachine& vm = make(kSpin);
  ASSERT_TRUE(vm.add_virtio_device(VirtioDeviceConfig::entropy()));
  ASSERT_TRUE(vm.start());
  ASSERT_TRUE(vm.pause());
  const auto moved = move();
  EXPECT_EQ(error_of(moved), "snapshot: has a virtio-0, which this machine has not");
  EXPECT_EQ(vm_->state(), VmState::kError);
}

}  // namespace
}  // namespace husk::runtime
