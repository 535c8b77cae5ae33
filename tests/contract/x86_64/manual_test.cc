// The high-level machine in manual execution (contract, section 3), on every backend of the build:
// 32-bit code, for that is how its vCPUs begin.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstdlib>
#include <thread>

#include "runtime/backend.h"
#include "runtime/hypervisor.h"

namespace husk::contract_tests {
namespace {

using machine::VmState;
using ::testing::AllOf;
using ::testing::HasSubstr;
namespace exits = machine::exits;

constexpr uint64_t kCode = 0x10000, kMemory = 16 << 20;

class Manual : public ::testing::TestWithParam<const runtime::Backend*> {
 protected:
  void SetUp() override {
    auto opened = GetParam()->open();
    if (!opened) GTEST_SKIP() << opened.error().message();
    hypervisor = std::move(*opened);
    auto made = make(2);
    if (!made) GTEST_SKIP() << made.error().message();
    vm = std::move(*made);
  }
  Result<std::unique_ptr<machine::VirtualMachine>> make(uint32_t vcpus) {
    return hypervisor->create_vm(
        *machine::VmConfig::builder().vcpus(vcpus).memory_bytes(kMemory).build());
  }
  // vCPU 0, about to execute this.
  std::unique_ptr<machine::Vcpu> at(const std::vector<uint8_t>& code, uint32_t id = 0) {
    EXPECT_TRUE(vm->memory().write(machine::GuestAddress{kCode}, std::as_bytes(std::span(code))));
    auto vcpu = std::move(*vm->create_vcpu(id));
    Registers regs;
    regs.rip = kCode;
    regs.rflags = 2;
    EXPECT_TRUE(vcpu->set_regs(regs));
    return vcpu;
  }

  std::unique_ptr<machine::Hypervisor> hypervisor;
  std::unique_ptr<machine::VirtualMachine> vm;
};

template <class T>
std::string error_of(const Result<T>& result) {
  return result ? "no error" : result.error().message();
}

TEST_P(Manual, IsToldApartAndMarksItsStates) {
  EXPECT_FALSE(vm->is_managed_execution());
  EXPECT_EQ(vm->state(), VmState::kCreated);
  EXPECT_EQ(vm->vcpu_count(), 2U);
  EXPECT_FALSE(vm->pause());
  EXPECT_TRUE(vm->start());
  EXPECT_TRUE(vm->pause());
  EXPECT_EQ(vm->state(), VmState::kPaused);
  EXPECT_THAT(error_of(vm->start()), AllOf(HasSubstr("created"), HasSubstr("paused")));
  EXPECT_TRUE(vm->resume());
  EXPECT_TRUE(vm->stop());
  EXPECT_EQ(vm->state(), VmState::kStopped);
}

TEST_P(Manual, PortsExitAndAreAnswered) {
  // mov dx,1234h; mov al,5ah; out dx,al; in eax,dx; out dx,eax
  auto vcpu = at({0x66, 0xba, 0x34, 0x12, 0xb0, 0x5a, 0xee, 0xed, 0xef, 0xeb, 0xfe});
  ASSERT_TRUE(vm->start());
  EXPECT_EQ(*vcpu->run(), machine::VcpuExit(exits::IoOut{0x1234, 1, 0x5a}));
  EXPECT_EQ(*vcpu->run(), machine::VcpuExit(exits::IoIn{0x1234, 4}));
  EXPECT_EQ(error_of(vcpu->set_mmio_result(1)),
            "vCPU 0: its last exit was not an MmioRead exit, or was answered");
  ASSERT_TRUE(vcpu->set_io_result(0xcafebabe));
  EXPECT_FALSE(vcpu->set_io_result(1)) << "once";
  EXPECT_EQ(*vcpu->run(), machine::VcpuExit(exits::IoOut{0x1234, 4, 0xcafebabe}));
}

TEST_P(Manual, DeviceSpaceExitsAndIsAnswered) {
  // mov eax,[0d0000000h]; mov [0d0000004h],eax
  auto vcpu = at({0xa1, 0, 0, 0, 0xd0, 0xa3, 4, 0, 0, 0xd0, 0xeb, 0xfe});
  ASSERT_TRUE(vm->start());
  EXPECT_EQ(*vcpu->run(), machine::VcpuExit(exits::MmioRead{0xd0000000, 4}));
  EXPECT_FALSE(vcpu->set_io_result(1));
  ASSERT_TRUE(vcpu->set_mmio_result(0x11223344));
  EXPECT_EQ(*vcpu->run(), machine::VcpuExit(exits::MmioWrite{0xd0000004, 4, 0x11223344}));
}

TEST_P(Manual, RegistersAreTheGuests) {
  // add rax: inc eax; out 80h,al
  auto vcpu = at({0x40, 0xe6, 0x80, 0xeb, 0xfe});
  Registers regs = *vcpu->regs();
  EXPECT_EQ(regs.rip, kCode);
  EXPECT_THAT(error_of(vcpu->arm64_regs()), HasSubstr("this vCPU has those of x86_64"));
  EXPECT_THAT(error_of(vcpu->set_arm64_regs({})), HasSubstr("this vCPU has those of x86_64"));
  regs.rax = 0x41;
  regs.rsi = 0x1234;
  ASSERT_TRUE(vcpu->set_regs(regs));
  ASSERT_TRUE(vm->start());
  EXPECT_EQ(*vcpu->run(), machine::VcpuExit(exits::IoOut{0x80, 1, 0x42}));
  EXPECT_EQ(vcpu->regs()->rax, 0x42U);
  EXPECT_EQ(vcpu->regs()->rsi, 0x1234U);
}

TEST_P(Manual, ATripleFaultIsAShutdown) {
  auto vcpu = at({0x0f, 0x0b});  // ud2, and no IDT
  ASSERT_TRUE(vm->start());
  EXPECT_EQ(*vcpu->run(), machine::VcpuExit(exits::Shutdown{}));
}

TEST_P(Manual, StopsForADebugger) {
  if (const char* why = std::getenv("HUSK_NO_DEBUG_POINTS");
      why != nullptr && GetParam()->name == "kvm")
    GTEST_SKIP() << why;
  // again: inc eax; nop; out 80h,al; jmp again
  auto vcpu = at({0x40, 0x90, 0xe6, 0x80, 0xeb, 0xfa});
  ASSERT_TRUE(vm->start());
  EXPECT_FALSE(vcpu->debug_stop()) << "nothing has stopped it";
  const auto set = vcpu->set_debug({.points = {{DebugPoint::Kind::kExecute, 1, kCode + 1}}});
  if (!set && set.error().kind == ErrorKind::kUnsupported) GTEST_SKIP() << set.error().message();
  ASSERT_TRUE(set) << set.error().message();
  for (uint64_t round = 1; round < 4; ++round) {
    EXPECT_EQ(*vcpu->run(), machine::VcpuExit(exits::Debug{}));
    EXPECT_EQ(*vcpu->debug_stop(), (DebugStop{DebugCause::kBreakpoint, kCode + 1}));
    EXPECT_EQ(vcpu->regs()->rax, round);
    EXPECT_EQ(*vcpu->run(), machine::VcpuExit(exits::IoOut{0x80, 1, round}));
  }
  EXPECT_EQ(error_of(vcpu->debug_stop()), "vCPU 0: its last exit was not Debug");
  ASSERT_TRUE(vcpu->set_debug({.single_step = true}));
  EXPECT_EQ(*vcpu->run(), machine::VcpuExit(exits::Debug{}));
  EXPECT_EQ(*vcpu->debug_stop(), (DebugStop{DebugCause::kStep, kCode + 4}));
  ASSERT_TRUE(vcpu->set_debug({}));
  EXPECT_EQ(*vcpu->run(), machine::VcpuExit(exits::IoOut{0x80, 1, 4}));
  EXPECT_EQ(error_of(vcpu->set_debug({.points = std::vector<DebugPoint>(5)})),
            "debug points: are more than 4");
}

TEST_P(Manual, HypercallsExitAndAreAnswered) {
  // again: vmmcall; out 80h,eax; mov eax,12; jmp again
  const std::vector<uint8_t> code{0x0f, 0x01, 0xd9, 0xe7, 0x80, 0xb8, 12, 0, 0, 0, 0xeb, 0xf4};
  auto vcpu = at(code);
  const auto asked = vm->exit_on_hypercalls(true);
  if (!asked && asked.error().kind == ErrorKind::kUnsupported)
    GTEST_SKIP() << asked.error().message();
  if (GetParam()->name == "kvm" && !GetParam()->probe())
    GTEST_SKIP() << GetParam()->probe().error().message();
  Registers regs = *vcpu->regs();
  regs.rax = 12;
  regs.rbx = 0x2000;
  regs.rcx = 1;
  regs.rdx = 3;
  regs.rsi = 4;
  regs.rdi = 5;
  regs.rbp = 6;
  ASSERT_TRUE(vcpu->set_regs(regs));
  ASSERT_TRUE(vm->start());
  const machine::VcpuExit call = exits::Hypercall{12, {0x2000, 1, 3, 4, 5, 6}};
  EXPECT_EQ(*vcpu->run(), call);
  EXPECT_FALSE(vcpu->set_io_result(1));
  ASSERT_TRUE(vcpu->set_hypercall_result(0x1'2345'6789));
  EXPECT_FALSE(vcpu->set_hypercall_result(1)) << "once";
  EXPECT_EQ(*vcpu->run(), machine::VcpuExit(exits::IoOut{0x80, 4, 0x23456789}))
      << "cut to the mode's registers";
  EXPECT_EQ(*vcpu->run(), call);
}

TEST_P(Manual, NestedVirtualizationIsRefused) {
  const auto refused = hypervisor->create_vm(
      *machine::VmConfig::builder().memory_bytes(kMemory).nested_virtualization(true).build());
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().kind, ErrorKind::kUnsupported);
  EXPECT_THAT(refused.error().message(), HasSubstr("nested virtualization"));
}

TEST_P(Manual, RunsOnlyWhileTheMachineDoes) {
  auto vcpu = at({0xeb, 0xfe});
  EXPECT_THAT(error_of(vcpu->run()), AllOf(HasSubstr("running"), HasSubstr("created")));
  ASSERT_TRUE(vm->start());
  Result<machine::VcpuExit> outcome = exits::Halt{};
  std::thread runner([&] { outcome = vcpu->run(); });
  ::usleep(20'000);
  ASSERT_TRUE(vm->pause());
  runner.join();
  EXPECT_THAT(error_of(outcome), HasSubstr("actual state paused"));
  ASSERT_TRUE(vm->stop());
  EXPECT_THAT(error_of(vcpu->run()), HasSubstr("actual state stopped"));
}

TEST_P(Manual, RefusesVcpusThatThereAreNot) {
  EXPECT_EQ(error_of(vm->create_vcpu(2)), "vCPU 2: the machine has 2");
  auto second = vm->create_vcpu(1);
  ASSERT_TRUE(second);
  EXPECT_EQ((*second)->id(), 1U);
  EXPECT_EQ(error_of(vm->create_vcpu(1)), "vCPU 1: was created before");
  EXPECT_FALSE(make(0xffffff));
}

TEST_P(Manual, DevicesAreTheCallers) {
  const auto added = vm->add_virtio_device(VirtioDeviceConfig::entropy());
  ASSERT_FALSE(added);
  EXPECT_EQ(added.error().kind, ErrorKind::kUnsupported);
  EXPECT_TRUE(vm->snapshot_devices()->empty());
  EXPECT_TRUE(vm->restore_devices({}));
}

TEST_P(Manual, ASnapshotComesBackAndAnothersDoesNot) {
  // again: inc eax; out 80h,al; jmp again
  auto vcpu = at({0x40, 0xe6, 0x80, 0xeb, 0xfb});
  ASSERT_TRUE(vm->start());
  EXPECT_EQ(*vcpu->run(), machine::VcpuExit(exits::IoOut{0x80, 1, 1}));
  const auto snapshot = vcpu->snapshot();
  ASSERT_TRUE(snapshot) << snapshot.error().message();
  EXPECT_FALSE(snapshot->is_placeholder());
  EXPECT_EQ(snapshot->x86_regs->rax, 1U);
  EXPECT_EQ(*vcpu->run(), machine::VcpuExit(exits::IoOut{0x80, 1, 2}));
  EXPECT_EQ(*vcpu->run(), machine::VcpuExit(exits::IoOut{0x80, 1, 3}));
  ASSERT_TRUE(vcpu->restore(*snapshot));
  EXPECT_EQ(*vcpu->run(), machine::VcpuExit(exits::IoOut{0x80, 1, 2}));
  VcpuSnapshot foreign = *snapshot;
  foreign.id = 1;
  EXPECT_EQ(error_of(vcpu->restore(foreign)), "snapshot: is of vCPU 1, not 0");
  foreign = *snapshot;
  foreign.extra_state.resize(7);
  EXPECT_FALSE(vcpu->restore(foreign));
}

std::string name_of(const ::testing::TestParamInfo<const runtime::Backend*>& info) {
  return std::string(info.param->name);
}
INSTANTIATE_TEST_SUITE_P(Backends, Manual, ::testing::ValuesIn(runtime::backends()), name_of);

}  // namespace
}  // namespace husk::contract_tests
