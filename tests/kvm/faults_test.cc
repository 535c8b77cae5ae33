// Every call of the way from nothing to a vCPU that could run is made to fail once.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/eventfd.h>

#include <cerrno>
#include <filesystem>
#include <fstream>
#include <set>

#include "backend/kvm/common/kvm_api.h"
#include "backend/kvm/x86_64/kvm_vm.h"
#include "base/fd.h"
#include "base/try.h"
#include "interpose.h"
#include "machine.h"

namespace husk::kvm_tests {
namespace {

using ::testing::HasSubstr;

// KVM does without: a fallback takes over, or the answer only limits what is offered.
const std::set<unsigned long> kOptional{KVM_CHECK_EXTENSION, KVM_GET_MSRS, KVM_SET_MSRS};

Result<void> use_irqchip(kvm::KvmVm& vm) {
  const auto state = HUSK_TRY(vm.capture_intc());
  HUSK_TRY(vm.restore_intc(state));
  const base::Fd raised(::eventfd(0, EFD_CLOEXEC)), ended(::eventfd(0, EFD_CLOEXEC));
  HUSK_TRY(vm.register_irqfd(5, raised.get(), ended.get()));
  return vm.unregister_irqfd(5, raised.get());
}

Result<void> start(seam::Irqchip irqchip = seam::Irqchip::kSplit) {
  const std::array<memory::RegionSpec, 1> ram{{{Gpa{0}, 4 << 20}}};
  const auto memory = HUSK_TRY(memory::GuestMemory::create(ram));
  const auto vm = HUSK_TRY(kvm::KvmVm::create(2, {.irqchip = irqchip}));
  vm->attach_memory(*memory);
  HUSK_TRY(vm->map_ram(memory->regions()[0].host, 0, 4 << 20, seam::Prot::kReadWriteExec));
  const auto boot = HUSK_TRY(vm->create_vcpu(0));
  const auto second = HUSK_TRY(vm->create_vcpu(1));
  const auto entry = HUSK_TRY(contract_tests::entry_state(*memory, 0x10000, 0));
  HUSK_TRY(boot->restore_snapshot(entry));
  HUSK_TRY(boot->capture_snapshot());
  HUSK_TRY(memory->enable_dirty_tracking());
  if (irqchip == seam::Irqchip::kKernel) HUSK_TRY(use_irqchip(*vm));
  return {};
}

size_t open_descriptors() {
  const std::filesystem::directory_iterator all("/proc/self/fd");
  return static_cast<size_t>(std::distance(begin(all), end(all)));
}

// Shared mappings: KVM's areas, guest memory. The C library's own are private.
size_t shared_mappings() {
  std::ifstream maps("/proc/self/maps");
  size_t count = 0;
  for (std::string line; std::getline(maps, line);)
    if (line.find("-s ") != std::string::npos || line.find("ws ") != std::string::npos) ++count;
  return count;
}

class Faults : public ::testing::Test {
 protected:
  void SetUp() override {
    if (const auto possible = start(); !possible) GTEST_SKIP() << possible.error().message();
  }
  ~Faults() override { on_ioctl = nullptr; }
  static void fail_each_call(seam::Irqchip irqchip);
};

void Faults::fail_each_call(seam::Irqchip irqchip) {
  size_t calls = 0;
  std::vector<unsigned long> requests;
  on_ioctl = [&](int, unsigned long request) {
    requests.push_back(request);
    return 0;
  };
  ASSERT_TRUE(start(irqchip));
  on_ioctl = nullptr;
  ASSERT_GT(requests.size(), 30U);
  const size_t descriptors = open_descriptors(), mappings = shared_mappings();
  constexpr std::array kErrors{ENOMEM, EINVAL, EFAULT};
  for (size_t failing = 0; failing < requests.size(); ++failing) {
    calls = 0;
    on_ioctl = [&](int, unsigned long) { return calls++ == failing ? kErrors[failing % 3] : 0; };
    const auto result = start(irqchip);
    on_ioctl = nullptr;
    if (!result) {
      EXPECT_EQ(result.error().message().find('\n'), std::string::npos);
      EXPECT_FALSE(result.error().subject.empty() || result.error().why.empty());
    } else {
      EXPECT_TRUE(kOptional.contains(requests[failing]))
          << "call " << failing << " (" << std::hex << requests[failing] << ") was ignored";
    }
    ASSERT_EQ(open_descriptors(), descriptors) << "call " << failing;
    ASSERT_EQ(shared_mappings(), mappings) << "call " << failing;
  }
}

TEST_F(Faults, EveryCallsFailureIsOneErrorAndLeavesNothing) {
  fail_each_call(seam::Irqchip::kSplit);
}

TEST_F(Faults, SoIsOneOfTheKernelsInterruptControllers) {
  if (const auto possible = start(seam::Irqchip::kKernel); !possible)
    GTEST_SKIP() << possible.error().message();
  fail_each_call(seam::Irqchip::kKernel);
}

TEST_F(Faults, AnErrorNamesTheCall) {
  on_ioctl = [](int, unsigned long request) { return request == KVM_CREATE_VCPU ? EMFILE : 0; };
  const auto result = start();
  ASSERT_FALSE(result);
  EXPECT_EQ(result.error().kind, ErrorKind::kBackend);
  EXPECT_THAT(result.error().message(), HasSubstr("KVM_CREATE_VCPU"));
  EXPECT_THAT(result.error().message(), HasSubstr("Too many open files"));
}

TEST_F(Faults, AnInterruptedCallIsMadeAgain) {
  int interruptions = 0;
  on_ioctl = [&](int, unsigned long request) {
    return request == KVM_CREATE_VM && ++interruptions < 5 ? EINTR : 0;
  };
  EXPECT_TRUE(start());
  EXPECT_EQ(interruptions, 5);
}

TEST_F(Faults, AKvmRunThatFailsEndsTheStepAndTheVcpuLives) {
  contract_tests::Machine<kvm::KvmVm> machine;
  machine.load(PROGRAM(spin));
  on_ioctl = [](int, unsigned long request) { return request == KVM_RUN ? EFAULT : 0; };
  const seam::VcpuExit exit = machine.vcpu().step();
  on_ioctl = nullptr;
  EXPECT_EQ(exit.kind, seam::VcpuExit::Kind::kUnknown);
  EXPECT_EQ(exit.raw, static_cast<uint32_t>(EFAULT));
  machine.load(PROGRAM(store), {contract_tests::kData, 5});
  EXPECT_EQ(machine.report(), 5U);
}

}  // namespace
}  // namespace husk::kvm_tests
