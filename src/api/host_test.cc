#include "husk/host.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>
#include <map>

namespace husk::host {
namespace {

constexpr uint64_t kMiB = uint64_t{1} << 20, kGiB = uint64_t{1} << 30;

// A host made of files in a directory of its own, 8 GiB and 16 CPUs.
class HostTest : public ::testing::Test {
 protected:
  void SetUp() override {
    std::string pattern = ::testing::TempDir() + "husk-host-XXXXXX";
    ASSERT_NE(::mkdtemp(pattern.data()), nullptr);
    root_ = pattern;
    sources_.proc = root_ + "/proc";
    sources_.sys = root_ + "/sys";
    sources_.physical_memory = 8 * kGiB;
    sources_.usable_cpus = 16;
  }
  void TearDown() override { std::filesystem::remove_all(root_); }

  void put(const std::string& path, const std::string& text) {
    const std::filesystem::path file = root_ + path;
    std::filesystem::create_directories(file.parent_path());
    std::ofstream(file) << text;
  }
  void groups(const std::string& text) { put("/proc/self/cgroup", text); }

  std::string root_;
  Sources sources_;
};

TEST_F(HostTest, WithoutCgroupsItIsPhysicalMemory) {
  EXPECT_EQ(host_memory_size(sources_), 8 * kGiB);
  EXPECT_EQ(default_vm_cpu_count(sources_), 16u);
}

TEST_F(HostTest, V2LimitOfTheOwnGroup) {
  groups("0::/user.slice/a\n");
  put("/sys/fs/cgroup/user.slice/a/memory.max", "1073741824\n");
  put("/sys/fs/cgroup/memory.max", "2147483648\n");
  EXPECT_EQ(host_memory_size(sources_), kGiB);
}

TEST_F(HostTest, V2FallsBackToTheRootsLimit) {
  groups("0::/user.slice/a\n");
  put("/sys/fs/cgroup/memory.max", "2147483648\n");
  EXPECT_EQ(host_memory_size(sources_), 2 * kGiB) << "the own group is not visible";
  put("/sys/fs/cgroup/user.slice/a/memory.max", "max\n");
  EXPECT_EQ(host_memory_size(sources_), 2 * kGiB);
  put("/sys/fs/cgroup/user.slice/a/memory.max", "lots\n");
  EXPECT_EQ(host_memory_size(sources_), 2 * kGiB);
  put("/sys/fs/cgroup/memory.max", "max\n");
  EXPECT_EQ(host_memory_size(sources_), 8 * kGiB);
}

TEST_F(HostTest, LimitsThatAreNone) {
  groups("0::/\n");
  for (const char* text :
       {"0\n", "17179869184\n", "-1\n", "99999999999999999999999\n", "", "12 34\n"}) {
    put("/sys/fs/cgroup/memory.max", text);
    EXPECT_EQ(host_memory_size(sources_), 8 * kGiB) << text;
  }
}

TEST_F(HostTest, V1LimitOfTheMemoryController) {
  groups("7:cpu,cpuacct:/c\n4:hugetlb,memory:/docker/x\n1:name=memory:/wrong\n");
  put("/sys/fs/cgroup/memory/docker/x/memory.limit_in_bytes", "3221225472\n");
  EXPECT_EQ(host_memory_size(sources_), 3 * kGiB);
}

TEST_F(HostTest, V1SentinelIsNoLimit) {
  groups("4:memory:/docker/x\n");
  put("/sys/fs/cgroup/memory/docker/x/memory.limit_in_bytes", "9223372036854771712\n");
  EXPECT_EQ(host_memory_size(sources_), 8 * kGiB);
  put("/sys/fs/cgroup/memory/memory.limit_in_bytes", "1073741824\n");
  EXPECT_EQ(host_memory_size(sources_), kGiB);
  put("/sys/fs/cgroup/memory/docker/x/memory.limit_in_bytes", "4611686018427387904\n");
  EXPECT_EQ(host_memory_size(sources_), kGiB) << "2^62 itself is none";
}

TEST_F(HostTest, HybridPrefersV2AndFallsBackToV1) {
  groups("4:memory:/a\n0::/b\n");
  put("/sys/fs/cgroup/memory/a/memory.limit_in_bytes", "3221225472\n");
  EXPECT_EQ(host_memory_size(sources_), 3 * kGiB) << "version 2 has no memory controller here";
  put("/sys/fs/cgroup/b/memory.max", "2147483648\n");
  EXPECT_EQ(host_memory_size(sources_), 2 * kGiB);
}

TEST_F(HostTest, MalformedMembershipIsNoLimit) {
  for (const char* text : {"", "\n\n", "0:", "0::", "memory", ":::::", "4:memory\n"}) {
    groups(text);
    EXPECT_EQ(host_memory_size(sources_), 8 * kGiB) << text;
    EXPECT_EQ(default_vm_cpu_count(sources_), 16u) << text;
  }
}

TEST_F(HostTest, DefaultMemoryIsHalfWithinBoundsInWholeMegabytes) {
  const std::map<uint64_t, uint64_t> expected = {
      {0, 4 * kGiB},
      {256 * kMiB, 512 * kMiB},
      {kGiB, 512 * kMiB},
      {8 * kGiB, 4 * kGiB},
      {3 * kGiB + 3 * kMiB + 2, 1537 * kMiB},
      {32 * kGiB, 16 * kGiB},
      {~uint64_t{0}, 16 * kGiB},
  };
  for (const auto& [physical, size] : expected) {
    sources_.physical_memory = physical;
    EXPECT_EQ(default_vm_memory_size(sources_), size) << physical;
  }
}

TEST_F(HostTest, WarnsOnlyAboveHalf) {
  EXPECT_EQ(memory_warning(4 * kGiB, sources_), std::nullopt);
  const auto text = memory_warning(4 * kGiB + kMiB, sources_);
  ASSERT_TRUE(text);
  EXPECT_THAT(*text, ::testing::HasSubstr("4097 MB"));
  EXPECT_THAT(*text, ::testing::HasSubstr("8192 MB"));
  sources_.physical_memory = 0;
  EXPECT_EQ(memory_warning(~uint64_t{0}, sources_), std::nullopt);
}

TEST_F(HostTest, TheWarningGoesToTheLog) {
  ::testing::internal::CaptureStderr();
  warn_memory_exceeds_host_half(kGiB, sources_);
  EXPECT_EQ(::testing::internal::GetCapturedStderr(), "");
  ::testing::internal::CaptureStderr();
  warn_memory_exceeds_host_half(5 * kGiB, sources_);
  EXPECT_THAT(::testing::internal::GetCapturedStderr(),
              ::testing::HasSubstr("warning: " + *memory_warning(5 * kGiB, sources_)));
}

TEST_F(HostTest, CpuQuotaOfV2IsTheLeastUpToTheRoot) {
  groups("0::/a/b\n");
  put("/sys/fs/cgroup/a/b/cpu.max", "max 100000\n");
  EXPECT_EQ(default_vm_cpu_count(sources_), 16u);
  put("/sys/fs/cgroup/a/cpu.max", "350000 100000\n");
  EXPECT_EQ(default_vm_cpu_count(sources_), 3u);
  put("/sys/fs/cgroup/a/b/cpu.max", "5000 100000\n");
  EXPECT_EQ(default_vm_cpu_count(sources_), 1u) << "a part of a CPU is one";
  put("/sys/fs/cgroup/a/b/cpu.max", "1000 0\n");
  EXPECT_EQ(default_vm_cpu_count(sources_), 3u) << "a period of 0 is not believed";
  put("/sys/fs/cgroup/a/cpu.max", "6400000 100000\n");
  EXPECT_EQ(default_vm_cpu_count(sources_), 16u) << "no more than the affinity mask";
}

TEST_F(HostTest, CpuQuotaOfV1) {
  groups("2:cpu,cpuacct:/c\n");
  put("/sys/fs/cgroup/cpu,cpuacct/c/cpu.cfs_quota_us", "-1\n");
  put("/sys/fs/cgroup/cpu,cpuacct/c/cpu.cfs_period_us", "100000\n");
  EXPECT_EQ(default_vm_cpu_count(sources_), 16u);
  put("/sys/fs/cgroup/cpu,cpuacct/c/cpu.cfs_quota_us", "250000\n");
  EXPECT_EQ(default_vm_cpu_count(sources_), 2u);
  put("/sys/fs/cgroup/cpu/cpu.cfs_quota_us", "100000\n");
  put("/sys/fs/cgroup/cpu/cpu.cfs_period_us", "100000\n");
  EXPECT_EQ(default_vm_cpu_count(sources_), 1u);
}

TEST_F(HostTest, UnknownCpusAreFour) {
  sources_.usable_cpus = 0;
  EXPECT_EQ(default_vm_cpu_count(sources_), 4u);
}

TEST_F(HostTest, NestedVirtualization) {
  EXPECT_FALSE(nested_virtualization(sources_));
  put("/sys/module/kvm_intel/parameters/nested", "N\n");
  EXPECT_FALSE(nested_virtualization(sources_));
  put("/sys/module/kvm_amd/parameters/nested", "1\n");
  EXPECT_TRUE(nested_virtualization(sources_));
}

TEST_F(HostTest, TranslationIsAnEnabledBinfmtEntryForTheMachine) {
  const std::string entry =
      "enabled\ninterpreter /usr/bin/qemu-aarch64\nflags: OCF\noffset 0\n"
      "magic 7f454c460201010000000000000000000200b700\nmask ff\n";
  put("/proc/sys/fs/binfmt_misc/qemu-aarch64", entry);
  EXPECT_FALSE(translates(CpuArch::kAarch64, sources_)) << "binfmt_misc itself is off";
  put("/proc/sys/fs/binfmt_misc/status", "enabled\n");
  EXPECT_TRUE(translates(CpuArch::kAarch64, sources_));
  EXPECT_FALSE(translates(CpuArch::kX86_64, sources_));
  put("/proc/sys/fs/binfmt_misc/qemu-aarch64", "disabled" + entry.substr(7));
  EXPECT_FALSE(translates(CpuArch::kAarch64, sources_));
  put("/proc/sys/fs/binfmt_misc/short", "enabled\nmagic 7f454c46\n");
  EXPECT_FALSE(translates(CpuArch::kAarch64, sources_));
}

TEST(Host, TheRunningHostHasMemoryAndCpus) {
  EXPECT_GT(host_memory_size(), 64 * kMiB);
  EXPECT_GE(default_vm_cpu_count(), 1u);
  EXPECT_EQ(default_vm_memory_size() % kMiB, 0u);
  EXPECT_EQ(name(native_arch()), native_arch() == CpuArch::kX86_64 ? "x86_64" : "aarch64");
}

TEST(Host, DefaultCapabilities) {
  const PlatformCapabilities capabilities;
  EXPECT_EQ(capabilities.supported_archs, std::vector{native_arch()});
  EXPECT_EQ(capabilities.max_vcpus, 1u);
  EXPECT_EQ(capabilities.max_memory, kGiB);
  EXPECT_FALSE(capabilities.nested_virt || capabilities.rosetta);
}

}  // namespace
}  // namespace husk::host
