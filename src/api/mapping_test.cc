#include "husk/mapping.h"

#include <gtest/gtest.h>

namespace husk::mapping {
namespace {

using lifecycle::VmState;
using M = machine::VmState;
namespace exits = machine::exits;

lifecycle::VmConfig good() {
  lifecycle::VmConfig config;
  config.name = "vm";
  config.kernel = "/boot/vmlinuz";
  config.cpus = 2;
  config.memory_mb = 256;
  return config;
}

TEST(Mapping, MegabytesBecomeBytes) {
  EXPECT_EQ(bytes_from_mb(256), 268435456u);
  EXPECT_EQ(bytes_from_mb((uint64_t{1} << 44) - 1), ~uint64_t{0} << 20);
  EXPECT_EQ(bytes_from_mb(uint64_t{1} << 44).error().subject, "memory_mb");
}

TEST(Mapping, ConfigurationKeepsWhatTheMachineNeeds) {
  auto config = good();
  config.initramfs = "/boot/initrd";
  config.cmdline = "quiet";
  config.rosetta = true;
  if (host::native_arch() == host::CpuArch::kX86_64) config.cpu_model = CpuModel::kX86_64V3;
  const auto machine = to_machine(config);
  ASSERT_TRUE(machine);
  EXPECT_EQ(*machine, (machine::VmConfig{2, 268435456, host::native_arch(), "/boot/vmlinuz",
                                         "quiet", "/boot/initrd", true, config.cpu_model}));
  EXPECT_TRUE(machine->validate());
}

TEST(Mapping, ConfigurationIsValidatedAndMustFit) {
  auto config = good();
  config.name = "../etc";
  EXPECT_EQ(to_machine(config).error().subject, "name");
  config = good();
  config.memory_mb = ~uint64_t{0};
  EXPECT_EQ(to_machine(config).error().subject, "memory_mb");
  config = good();
  config.cpus = uint64_t{1} << 32;
  EXPECT_EQ(to_machine(config).error().subject, "cpus");
}

TEST(Mapping, MachineStatesForTheOperator) {
  const GuestReport ready{.ready_ip = "10.0.0.2", .failure_reason = {}};
  EXPECT_EQ(to_lifecycle(M::kCreated), VmState::starting());
  EXPECT_EQ(to_lifecycle(M::kStarting, ready), VmState::starting());
  EXPECT_EQ(to_lifecycle(M::kRunning), VmState::running());
  EXPECT_EQ(to_lifecycle(M::kRunning, ready), VmState::ready("10.0.0.2"));
  EXPECT_EQ(to_lifecycle(M::kPaused, ready), VmState::paused());
  EXPECT_EQ(to_lifecycle(M::kStopping), VmState::running());
  EXPECT_EQ(to_lifecycle(M::kStopped), VmState::stopped());
  EXPECT_EQ(to_lifecycle(M::kError), VmState::failed("unknown"));
  EXPECT_EQ(to_lifecycle(M::kError, {.ready_ip = {}, .failure_reason = "no kernel"}),
            VmState::failed("no kernel"));
}

TEST(Mapping, OperatorsStatesForTheMachine) {
  EXPECT_EQ(to_machine(VmState::starting()), M::kStarting);
  EXPECT_EQ(to_machine(VmState::running()), M::kRunning);
  EXPECT_EQ(to_machine(VmState::ready("::1")), M::kRunning);
  EXPECT_EQ(to_machine(VmState::paused()), M::kPaused);
  EXPECT_EQ(to_machine(VmState::stopped()), M::kStopped);
  EXPECT_EQ(to_machine(VmState::failed("x")), M::kError);
}

TEST(Mapping, ExitsThatBothLevelsHaveGoBothWays) {
  const machine::VcpuExit both[] = {
      exits::Halt{},
      exits::Shutdown{},
      exits::SystemReset{},
      exits::IoOut{0x3f8, 1, 'x'},
      exits::IoIn{0x60, 2},
      exits::MmioRead{0xfec00000, 4},
      exits::MmioWrite{0xd0000000, 8, ~uint64_t{0}},
      exits::Hypercall{12, {}},
      exits::Debug{},
      exits::Unknown{-7},
  };
  for (const auto& exit : both) EXPECT_EQ(to_machine(to_seam(exit)), exit) << exit.index();
}

TEST(Mapping, ExitsOfOneLevelHaveNoCounterpart) {
  using Kind = seam::VcpuExit::Kind;
  for (const Kind kind : {Kind::kCanceled, Kind::kException, Kind::kVtimerActivated}) {
    EXPECT_EQ(to_machine(seam::VcpuExit{.kind = kind}), std::nullopt);
  }
  // A power-off by firmware is a shutdown to whoever has no other word for it.
  EXPECT_EQ(to_machine(seam::VcpuExit{.kind = Kind::kPowerOff}),
            machine::VcpuExit(exits::Shutdown{}));
  EXPECT_EQ(to_machine(to_seam(exits::Hypercall{1, {2, 3}})),
            machine::VcpuExit(exits::Hypercall{1, {}}))
      << "whose arguments are in the vCPU's registers";
}

}  // namespace
}  // namespace husk::mapping
