#include "husk/machine.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <map>

namespace husk::machine {
namespace {

using S = VmState;
constexpr S kStates[] = {S::kCreated,  S::kStarting, S::kRunning, S::kPaused,
                         S::kStopping, S::kStopped,  S::kError};

TEST(MachineState, EachOperationHasItsStates) {
  const std::map<Operation, std::vector<S>> allowed = {
      {Operation::kAddDevice, {S::kCreated}},
      {Operation::kStart, {S::kCreated, S::kStopped}},
      {Operation::kPause, {S::kRunning}},
      {Operation::kResume, {S::kPaused}},
      {Operation::kStop, {S::kRunning, S::kPaused}},
  };
  for (const auto& [operation, from] : allowed) {
    for (const S state : kStates) {
      const bool expected = std::ranges::find(from, state) != from.end();
      EXPECT_EQ(check_state(operation, state).has_value(), expected) << to_string(state);
    }
  }
}

TEST(MachineState, TheErrorNamesExpectedAndActual) {
  const auto result = check_state(Operation::kStop, S::kCreated);
  ASSERT_FALSE(result);
  EXPECT_EQ(result.error().kind, ErrorKind::kState);
  EXPECT_THAT(result.error().why,
              ::testing::HasSubstr("expected state running or paused, actual state created"));
}

TEST(MachineConfig, DefaultsOfTheBuilder) {
  const auto config = VmConfig::builder().build();
  ASSERT_TRUE(config);
  EXPECT_EQ(config->vcpu_count, 1u);
  EXPECT_EQ(config->memory_size, host::default_vm_memory_size());
  EXPECT_EQ(config->arch, host::native_arch());
  EXPECT_FALSE(config->kernel_path || config->kernel_cmdline || config->initrd_path ||
               config->enable_rosetta || config->nested_virtualization);
}

TEST(MachineConfig, BuilderSetsEveryField) {
  const auto config = VmConfig::builder()
                          .vcpus(3)
                          .memory_bytes(8192)
                          .arch(CpuArch::kX86_64)
                          .kernel("k")
                          .cmdline("c")
                          .initrd("i")
                          .rosetta(true)
                          .cpu_model(CpuModel::kX86_64V2)
                          .nested_virtualization(true)
                          .build();
  ASSERT_TRUE(config);
  EXPECT_EQ(*config,
            (VmConfig{3, 8192, CpuArch::kX86_64, "k", "c", "i", true, CpuModel::kX86_64V2, true}));
}

TEST(MachineConfig, RefusesWhatNoMachineHas) {
  EXPECT_EQ(VmConfig::builder().vcpus(0).build().error().subject, "vcpu_count");
  EXPECT_EQ(VmConfig::builder().memory_bytes(0).build().error().subject, "memory_size");
  EXPECT_EQ(VmConfig::builder().memory_bytes(4097).build().error().subject, "memory_size");
}

TEST(MachineConfig, RefusesAProcessorOfAnotherArchitectureOrTooSmall) {
  auto config = VmConfig::builder().arch(CpuArch::kAarch64).cpu_model(CpuModel::kX86_64V2);
  EXPECT_EQ(config.build().error().message(), "cpu_model: x86-64-v2 is no processor of aarch64");
  EXPECT_TRUE(config.cpu_model(CpuModel::kHost).build());
  constexpr uint64_t kMost = uint64_t{256} << 30;
  EXPECT_TRUE(config.memory_bytes(kMost + 4096).build());
  config.arch(CpuArch::kX86_64).cpu_model(CpuModel::kX86_64V3);
  EXPECT_EQ(config.build().error().subject, "memory_size");
  EXPECT_TRUE(config.memory_bytes(kMost).build());
}

// A machine with nothing in it, to look down on.
class EmptyMachine : public VirtualMachine {
 public:
  [[nodiscard]] VmState state() const override { return S::kCreated; }
  [[nodiscard]] uint32_t vcpu_count() const override { return 1; }
  [[nodiscard]] GuestMemory& memory() override { std::abort(); }
  [[nodiscard]] Result<std::unique_ptr<Vcpu>> create_vcpu(uint32_t) override { return refuse(); }
  [[nodiscard]] Result<void> exit_on_hypercalls(bool) override { return refuse(); }
  [[nodiscard]] Result<void> add_virtio_device(const VirtioDeviceConfig&) override {
    return refuse();
  }
  [[nodiscard]] Result<void> start() override { return refuse(); }
  [[nodiscard]] Result<void> pause() override { return refuse(); }
  [[nodiscard]] Result<void> resume() override { return refuse(); }
  [[nodiscard]] Result<void> stop() override { return refuse(); }
  [[nodiscard]] Result<std::vector<DeviceSnapshot>> snapshot_devices() const override {
    return refuse();
  }
  [[nodiscard]] Result<void> restore_devices(std::span<const DeviceSnapshot>) override {
    return refuse();
  }

 private:
  static std::unexpected<Error> refuse() { return fail(ErrorKind::kUnsupported, "VM", "is empty"); }
};
class OtherMachine final : public EmptyMachine {};

TEST(VirtualMachine, ShowsItsConcreteTypeToWhoAsks) {
  OtherMachine other;
  EmptyMachine empty;
  VirtualMachine& machine = other;
  EXPECT_EQ(machine.as<OtherMachine>(), &other);
  EXPECT_EQ(static_cast<VirtualMachine&>(empty).as<OtherMachine>(), nullptr);
  EXPECT_FALSE(machine.is_managed_execution()) << "manual unless said otherwise";
}

}  // namespace
}  // namespace husk::machine
