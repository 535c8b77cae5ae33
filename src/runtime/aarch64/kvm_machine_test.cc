// The whole machine on arm64's KVM, with kernels of a few instructions.
#include <gmock/gmock.h>

#include <chrono>
#include <fstream>

#include "backend/kvm/aarch64/testing/bare_vm.h"
#include "boot/arm64/testing/images.h"
#include "oci/testing/temp_directory.h"
#include "runtime/hypervisor.h"
#include "runtime/managed_machine.h"

namespace husk::runtime {
namespace {

using machine::VmState;
using ::testing::HasSubstr;

constexpr uint64_t kMemory = 64 << 20;
constexpr uint64_t kCounter = 0x4300'0000;

HUSK_GUEST(greet, R"(
    mov  x1, #0x09000000
    mov  w2, #'h'
    strb w2, [x1]
    mov  w2, #'i'
    strb w2, [x1]
    ldr  w0, =0x84000008
    hvc  #0
    .ltorg
)")
HUSK_GUEST(restart, "ldr w0, =0x84000009\n hvc #0\n .ltorg")
HUSK_GUEST(count, R"(
    mov  x2, #0x43000000
1:  add  x5, x5, #1
    str  x5, [x2]
    b    1b
)")

struct Collected : contract::ByteSink {
  void write(std::span<const std::byte> data) override {
    text.append(reinterpret_cast<const char*>(data.data()), data.size());
  }
  std::string text;
};

class KvmMachine : public kvm::testing::KvmTest {
 protected:
  ManagedMachine& make(std::span<const std::byte> code, uint32_t vcpus = 1) {
    auto image = boot::arm64::testing::plain_image();
    std::ranges::copy(code, image.begin() + 64);
    const std::string path = directory_ / "kernel";
    std::ofstream(path, std::ios::binary)
        .write(reinterpret_cast<const char*>(image.data()),
               static_cast<std::streamsize>(image.size()));
    machine::VmConfig config;
    config.memory_size = kMemory;
    config.vcpu_count = vcpus;
    config.kernel_path = path;
    hypervisor_ = open_hypervisor("kvm").value();
    vm_ = hypervisor_->create_vm(config).value();
    auto& managed = *vm_->as<ManagedMachine>();
    MachineExtras extras;
    extras.serial_output = &serial_;
    EXPECT_TRUE(managed.set_extras(std::move(extras)));
    return managed;
  }
  uint64_t counter() {
    uint64_t value = 0;
    EXPECT_TRUE(vm_->memory().read(machine::GuestAddress{kCounter},
                                   std::as_writable_bytes(std::span(&value, 1))));
    return value;
  }
  bool counts() {
    const uint64_t before = counter();
    const auto limit = std::chrono::steady_clock::now() + std::chrono::seconds(20);
    while (counter() == before && std::chrono::steady_clock::now() < limit)
      std::this_thread::sleep_for(std::chrono::milliseconds(1));
    return counter() != before;
  }

  oci::testing::TempDirectory directory_;
  Collected serial_;
  std::unique_ptr<machine::Hypervisor> hypervisor_;
  std::unique_ptr<machine::VirtualMachine> vm_;
};

TEST_F(KvmMachine, GreetsAndPowersOffAndDoesSoAgain) {
  ManagedMachine& vm = make(greet(), 2);
  ASSERT_TRUE(vm.start());
  EXPECT_EQ(vm.wait().reason(), EndReason::kPowerOff);
  EXPECT_EQ(vm.state(), VmState::kStopped);
  EXPECT_EQ(serial_.text, "hi");
  ASSERT_TRUE(vm.start());
  EXPECT_EQ(vm.wait().reason(), EndReason::kPowerOff);
  EXPECT_EQ(serial_.text, "hihi");
}

TEST_F(KvmMachine, AResetEndsTheRun) {
  ManagedMachine& vm = make(restart());
  ASSERT_TRUE(vm.start());
  EXPECT_EQ(vm.wait().reason(), EndReason::kReset);
}

TEST_F(KvmMachine, RegistersOfAPausedVcpuCanBeSet) {
  ManagedMachine& vm = make(count());
  ASSERT_TRUE(vm.start());
  ASSERT_TRUE(counts());
  ASSERT_TRUE(vm.pause());
  const auto vcpu = vm.create_vcpu(0).value();
  Arm64Registers registers = vcpu->arm64_regs().value();
  EXPECT_EQ(registers.x[2], kCounter);
  registers.x[2] = kCounter + 8;
  registers.x[20] = 20;
  registers.sp = 0x1230;
  registers.v[31] = {1, 2};
  registers.fpsr = 4;
  ASSERT_TRUE(vcpu->set_arm64_regs(registers));
  EXPECT_EQ(vcpu->arm64_regs().value(), registers);
  const uint64_t before = counter();
  ASSERT_TRUE(vm.resume());
  std::this_thread::sleep_for(std::chrono::milliseconds(20));
  EXPECT_EQ(counter(), before) << "it counts elsewhere now";
  ASSERT_TRUE(vm.pause());
  const Arm64Registers after = vcpu->arm64_regs().value();
  EXPECT_GT(after.x[5], registers.x[5]);
  EXPECT_EQ(after.x[20], 20u);
  EXPECT_EQ(after.v[31], registers.v[31]);
  registers.fpcr = uint64_t{1} << 32;
  EXPECT_FALSE(vcpu->set_arm64_regs(registers));
  ASSERT_TRUE(vm.stop());
}

TEST_F(KvmMachine, PausesWithAVcpuThatIsOffAndGoesBackToASnapshot) {
  ManagedMachine& vm = make(count(), 2);
  ASSERT_TRUE(vm.start());
  ASSERT_TRUE(counts());
  ASSERT_TRUE(vm.pause());
  const uint64_t still = counter();
  std::this_thread::sleep_for(std::chrono::milliseconds(20));
  EXPECT_EQ(counter(), still);

  const auto vcpu = vm.create_vcpu(0).value();
  const auto foreign = vcpu->regs();
  ASSERT_FALSE(foreign) << "they are x86-64's";
  EXPECT_EQ(foreign.error().kind, ErrorKind::kUnsupported);
  EXPECT_THAT(foreign.error().message(), HasSubstr("those of aarch64"));
  const VcpuSnapshot snapshot = vcpu->snapshot().value();
  EXPECT_EQ(snapshot.arch, CpuArch::kAarch64);
  ASSERT_TRUE(snapshot.arm64_regs);
  EXPECT_FALSE(snapshot.is_placeholder());
  EXPECT_EQ(snapshot.arm64_regs->x[2], kCounter);
  EXPECT_EQ(vcpu->arm64_regs().value(), *snapshot.arm64_regs);
  const uint64_t then = snapshot.arm64_regs->x[5];
  EXPECT_LE(then - still, 1u) << "counted, perhaps not told yet";

  ASSERT_TRUE(vm.resume());
  ASSERT_TRUE(counts());
  ASSERT_TRUE(vm.pause());
  EXPECT_GT(vcpu->snapshot().value().arm64_regs->x[5], then + 1);
  ASSERT_TRUE(vcpu->restore(snapshot));
  EXPECT_EQ(vcpu->snapshot().value().arm64_regs->x[5], then);
  VcpuSnapshot broken = snapshot;
  broken.extra_state.resize(20);
  EXPECT_FALSE(vcpu->restore(broken));
  ASSERT_TRUE(vm.resume());
  EXPECT_TRUE(counts());
  ASSERT_TRUE(vm.stop());
}

}  // namespace
}  // namespace husk::runtime
