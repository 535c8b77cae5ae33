#include "husk/types.h"

#include <gtest/gtest.h>

namespace husk {
namespace {

TEST(VirtioDeviceConfig, NamedConstructorsSetWhatTheirTypeUses) {
  using Device = VirtioDeviceConfig;
  const Device block = Device::block("/a.img", true);
  EXPECT_EQ(block.device_type, VirtioDeviceType::kBlock);
  EXPECT_EQ(block.path, "/a.img");
  EXPECT_TRUE(block.read_only);
  EXPECT_FALSE(block.tag || block.net_fd || block.mac_address);

  const Device share = Device::filesystem("/srv", "data", false);
  EXPECT_EQ(share.device_type, VirtioDeviceType::kFs);
  EXPECT_EQ(share.path, "/srv");
  EXPECT_EQ(share.tag, "data");
  EXPECT_FALSE(share.read_only);

  EXPECT_FALSE(Device::network().net_fd || Device::network().mac_address);
  EXPECT_EQ(Device::network_with_mac("02:00:00:00:00:01").mac_address, "02:00:00:00:00:01");
  EXPECT_EQ(Device::network_file_handle(7).net_fd, 7);
  EXPECT_FALSE(Device::network_file_handle(7).mac_address);
  const Device both = Device::network_file_handle_with_mac(7, "02:00:00:00:00:02");
  EXPECT_EQ(both.device_type, VirtioDeviceType::kNet);
  EXPECT_EQ(both.net_fd, 7);
  EXPECT_EQ(both.mac_address, "02:00:00:00:00:02");

  EXPECT_EQ(Device::console().device_type, VirtioDeviceType::kConsole);
  EXPECT_EQ(Device::vsock().device_type, VirtioDeviceType::kVsock);
  EXPECT_EQ(Device::entropy().device_type, VirtioDeviceType::kRng);
  EXPECT_EQ(Device::balloon().device_type, VirtioDeviceType::kBalloon);
  EXPECT_EQ(Device::gpu().device_type, VirtioDeviceType::kGpu);
}

TEST(BalloonStats, EffectiveMemorySaturates) {
  EXPECT_EQ((BalloonStats{0, 300, 1000}.effective_memory()), 700u);
  EXPECT_EQ((BalloonStats{0, 1000, 1000}.effective_memory()), 0u);
  EXPECT_EQ((BalloonStats{0, 1001, 1000}.effective_memory()), 0u);
}

TEST(BalloonStats, TargetPercentOfNothingIsAll) {
  EXPECT_DOUBLE_EQ((BalloonStats{250, 0, 1000}.target_percent()), 25.0);
  EXPECT_DOUBLE_EQ((BalloonStats{250, 0, 0}.target_percent()), 100.0);
}

TEST(VcpuSnapshot, PlaceholderHasNoStateThatCounts) {
  EXPECT_TRUE(VcpuSnapshot().is_placeholder());
  EXPECT_TRUE(VcpuSnapshot::new_x86(3, {.rax = 5}).is_placeholder())
      << "only rip, rsp and rflags count";
  EXPECT_FALSE(VcpuSnapshot::new_x86(3, {.rip = 1}).is_placeholder());
  EXPECT_FALSE(VcpuSnapshot::new_x86(3, {.rsp = 1}).is_placeholder());
  EXPECT_FALSE(VcpuSnapshot::new_x86(3, {.rflags = 2}).is_placeholder());
  EXPECT_TRUE(VcpuSnapshot::new_arm64(3, {.fpcr = 9}).is_placeholder());
  EXPECT_FALSE(VcpuSnapshot::new_arm64(3, {.pc = 1}).is_placeholder());
  EXPECT_FALSE(VcpuSnapshot::new_arm64(3, {.sp = 1}).is_placeholder());
  EXPECT_FALSE(VcpuSnapshot::new_arm64(3, {.pstate = 1}).is_placeholder());
  VcpuSnapshot both = VcpuSnapshot::new_x86(3, {});
  both.arm64_regs = Arm64Registers{.pc = 1};
  EXPECT_TRUE(both.is_placeholder()) << "the x86 registers decide";
}

TEST(VcpuSnapshot, KnowsItsArchitecture) {
  EXPECT_EQ(VcpuSnapshot::new_x86(3, {}).arch, CpuArch::kX86_64);
  EXPECT_EQ(VcpuSnapshot::new_arm64(4, {}).arch, CpuArch::kAarch64);
  EXPECT_EQ(VcpuSnapshot::new_arm64(4, {}).id, 4u);
}

}  // namespace
}  // namespace husk
