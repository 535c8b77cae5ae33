#include "boot/arm64/device_tree.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstdio>
#include <cstdlib>
#include <fstream>

#include "boot/arm64/testing/images.h"
#include "boot/arm64/testing/tree_reader.h"
#include "boot/arm64/tree_writer.h"

namespace husk::boot::arm64 {
namespace {

using namespace testing;  // NOLINT(google-build-using-namespace)
using ::testing::ElementsAre;
using ::testing::IsEmpty;

Result<Bytes> build(const Machine& machine, const Chosen& chosen = {}) {
  return build_device_tree("Image", machine, guest_memory(16 * kMiB)->regions(), chosen);
}

TreeReader tree(const Machine& machine, const Chosen& chosen = {}) {
  const auto built = build(machine, chosen);
  EXPECT_TRUE(built) << why(built);
  TreeReader reader(*built);
  EXPECT_TRUE(reader.sound());
  return reader;
}

TEST(Arm64DeviceTree, Root) {
  const TreeReader read = tree(machine());
  EXPECT_EQ(read.text("/", "compatible"), "linux,dummy-virt");
  EXPECT_EQ(read.text("/", "model"), "Husk");
  EXPECT_THAT(read.cells("/", "#address-cells"), ElementsAre(2));
  EXPECT_THAT(read.cells("/", "#size-cells"), ElementsAre(2));
  EXPECT_EQ(read.node_of(read.cells("/", "interrupt-parent").at(0)), "/intc@8000000");
  EXPECT_THAT(read.children("/"),
              ElementsAre("chosen", "aliases", "memory@40000000", "cpus", "psci", "timer",
                          "intc@8000000", "apb-pclk", "pl011@9000000"));
}

TEST(Arm64DeviceTree, ChosenWithEverything) {
  Machine built = machine();
  built.rng_seed = {std::byte{1}, std::byte{0}, std::byte{0xff}};
  built.kaslr_seed = 0x0123'4567'89ab'cdef;
  const TreeReader read = tree(built, {"console=ttyAMA0 quiet", Gpa{0x4123'0000}, 0x4567});
  EXPECT_EQ(read.text("/chosen", "bootargs"), "console=ttyAMA0 quiet");
  EXPECT_EQ(read.text("/chosen", "stdout-path"), "/pl011@9000000");
  EXPECT_THAT(read.quads("/chosen", "linux,initrd-start"), ElementsAre(0x4123'0000u));
  EXPECT_THAT(read.quads("/chosen", "linux,initrd-end"), ElementsAre(0x4123'4567u));
  EXPECT_EQ(read.bytes("/chosen", "rng-seed"), std::string("\1\0\xff", 3));
  EXPECT_THAT(read.quads("/chosen", "kaslr-seed"), ElementsAre(0x0123'4567'89ab'cdefu));
  EXPECT_EQ(read.text("/aliases", "serial0"), "/pl011@9000000");
}

TEST(Arm64DeviceTree, ChosenWithLittle) {
  const TreeReader read = tree(machine());
  EXPECT_EQ(read.text("/chosen", "bootargs"), "");
  for (const char* absent : {"linux,initrd-start", "linux,initrd-end", "rng-seed", "kaslr-seed"})
    EXPECT_FALSE(read.bytes("/chosen", absent)) << absent;
}

TEST(Arm64DeviceTree, MemoryByRegion) {
  const std::vector<memory::RegionSpec> specs{{Gpa{kRam}, 16 * kMiB},
                                              {Gpa{0x1'0000'0000}, 4 * kMiB}};
  const auto ram = memory::GuestMemory::create(specs).value();
  const TreeReader read(build_device_tree("Image", machine(), ram->regions(), {}).value());
  EXPECT_EQ(read.text("/memory@40000000", "device_type"), "memory");
  EXPECT_THAT(read.quads("/memory@40000000", "reg"), ElementsAre(0x4000'0000u, 16 * kMiB));
  EXPECT_THAT(read.quads("/memory@100000000", "reg"), ElementsAre(0x1'0000'0000u, 4 * kMiB));
}

TEST(Arm64DeviceTree, CpusByAffinity) {
  Machine built = machine(18);
  built.cpus.push_back(0x12'8003'0201);
  const TreeReader read = tree(built);
  EXPECT_THAT(read.cells("/cpus", "#address-cells"), ElementsAre(2));
  EXPECT_THAT(read.cells("/cpus", "#size-cells"), ElementsAre(0));
  const auto cpus = read.children("/cpus");
  ASSERT_EQ(cpus.size(), 19u);
  EXPECT_EQ(cpus[0], "cpu@0");
  EXPECT_EQ(cpus[17], "cpu@101");
  EXPECT_THAT(read.cells("/cpus/cpu@101", "reg"), ElementsAre(0, 0x101));
  EXPECT_THAT(read.cells("/cpus/cpu@1200030201", "reg"), ElementsAre(0x12, 0x30201));
  EXPECT_EQ(read.text("/cpus/cpu@0", "device_type"), "cpu");
  EXPECT_EQ(read.text("/cpus/cpu@0", "compatible"), "arm,armv8");
  EXPECT_EQ(read.text("/cpus/cpu@0", "enable-method"), "psci");
}

TEST(Arm64DeviceTree, PsciByHvc) {
  const TreeReader read = tree(machine());
  EXPECT_EQ(read.text("/psci", "compatible"), std::string("arm,psci-1.0\0arm,psci-0.2", 25));
  EXPECT_EQ(read.text("/psci", "method"), "hvc");
}

TEST(Arm64DeviceTree, TimerInterrupts) {
  const TreeReader read = tree(machine());
  EXPECT_EQ(read.text("/timer", "compatible"), "arm,armv8-timer");
  EXPECT_THAT(read.cells("/timer", "interrupts"),
              ElementsAre(1, 13, 4, 1, 14, 4, 1, 11, 4, 1, 10, 4));
  EXPECT_EQ(read.bytes("/timer", "always-on"), "");
}

TEST(Arm64DeviceTree, InterruptControllerWhereTheMachineHasIt) {
  const char* standard = "/intc@8000000";
  const TreeReader read = tree(machine());
  EXPECT_EQ(read.text(standard, "compatible"), "arm,gic-v3");
  EXPECT_EQ(read.bytes(standard, "interrupt-controller"), "");
  EXPECT_THAT(read.cells(standard, "#interrupt-cells"), ElementsAre(3));
  EXPECT_THAT(read.cells(standard, "#address-cells"), ElementsAre(0));
  EXPECT_THAT(read.cells(standard, "#redistributor-regions"), ElementsAre(1));
  EXPECT_THAT(read.quads(standard, "reg"),
              ElementsAre(0x800'0000, 0x1'0000, 0x80a'0000, 64 * 0x2'0000));

  Machine other = machine(2);
  other.gic = {0x3000'0000, 0x2'0000, 0x3010'0000, 2 * kGicRedistributorSize};
  EXPECT_THAT(tree(other).quads("/intc@30000000", "reg"),
              ElementsAre(0x3000'0000, 0x2'0000, 0x3010'0000, 0x4'0000));
}

TEST(Arm64DeviceTree, SerialPortAndItsClock) {
  const char* serial = "/pl011@9000000";
  const TreeReader read = tree(machine());
  EXPECT_EQ(read.text(serial, "compatible"), std::string("arm,pl011\0arm,primecell", 23));
  EXPECT_THAT(read.quads(serial, "reg"), ElementsAre(0x900'0000, 0x1000));
  EXPECT_THAT(read.cells(serial, "interrupts"), ElementsAre(0, 1, 4));
  EXPECT_EQ(read.text(serial, "clock-names"), std::string("uartclk\0apb_pclk", 16));
  for (const uint32_t clock : read.cells(serial, "clocks"))
    EXPECT_EQ(read.node_of(clock), "/apb-pclk");
  EXPECT_EQ(read.cells(serial, "clocks").size(), 2u);
  EXPECT_EQ(read.text("/apb-pclk", "compatible"), "fixed-clock");
  EXPECT_EQ(read.text("/apb-pclk", "clock-output-names"), "clk24mhz");
  EXPECT_THAT(read.cells("/apb-pclk", "#clock-cells"), ElementsAre(0));
  EXPECT_THAT(read.cells("/apb-pclk", "clock-frequency"), ElementsAre(24'000'000));
}

TEST(Arm64DeviceTree, VirtioByCount) {
  const TreeReader read = tree(machine(1, 3));
  EXPECT_EQ(read.text("/virtio_mmio@a000000", "compatible"), "virtio,mmio");
  EXPECT_EQ(read.bytes("/virtio_mmio@a000000", "dma-coherent"), "");
  EXPECT_THAT(read.cells("/virtio_mmio@a000000", "interrupts"), ElementsAre(0, 16, 4));
  EXPECT_THAT(read.quads("/virtio_mmio@a002000", "reg"), ElementsAre(0xa00'2000, 0x1000));
  EXPECT_THAT(read.cells("/virtio_mmio@a002000", "interrupts"), ElementsAre(0, 18, 4));
  EXPECT_FALSE(read.has_node("/virtio_mmio@a003000"));
}

TEST(Arm64DeviceTree, LimitsAreReachedAndKept) {
  EXPECT_TRUE(build(machine(kMaxVcpus, kMaxVirtioDevices), {std::string(2047, 'x'), Gpa{0}, 0}));
  EXPECT_EQ(why(build(machine(kMaxVcpus + 1))), "Image: 65 vCPUs, at most 64 are possible");
  EXPECT_EQ(why(build(machine(1, kMaxVirtioDevices + 1))),
            "Image: 65 virtio devices, at most 64 are possible");
}

TEST(Arm64DeviceTree, RefusesMachinesThatCannotBe) {
  EXPECT_EQ(why(build(machine(0))), "Image: a machine without vCPUs");
  Machine twins = machine(3);
  twins.cpus.push_back(1);  // as the second, whose MPIDR has bit 31 set
  EXPECT_EQ(why(build(twins)), "Image: two vCPUs with the affinity 0x1");
  Machine narrow = machine(3);
  narrow.gic.redistributors_size = 3 * kGicRedistributorSize - 1;
  EXPECT_EQ(why(build(narrow)), "Image: 3 vCPUs, there are GIC redistributors for 2");
}

TEST(Arm64DeviceTree, RefusesACommandLineThatWouldBeCut) {
  EXPECT_EQ(why(build(machine(), {std::string("a\0b", 3), Gpa{0}, 0})),
            "Image: the command line has a NUL in it");
}

TEST(Arm64DeviceTree, ATreeTooLargeIsAnError) {
  Machine built = machine();
  built.rng_seed.resize(2 * kMiB);
  EXPECT_EQ(build(built).error().kind, ErrorKind::kLimit);
}

TEST(Arm64TreeWriter, TheFirstErrorIsTold) {
  TreeWriter small(8);
  small.begin_node("");
  small.text("a", "b");
  small.end_node();
  const auto full = small.finish("tree");
  ASSERT_FALSE(full);
  EXPECT_EQ(full.error().kind, ErrorKind::kLimit);
  EXPECT_EQ(why(full), "tree: the device tree: FDT_ERR_NOSPACE");
}

// A second reader, with opinions on what a tree should look like.
TEST(Arm64DeviceTree, DtcHasNothingToSay) {
  if (std::system("dtc --version >/dev/null 2>&1") != 0) GTEST_SKIP() << "dtc is not installed";
  Machine built = machine(2, 2);
  built.rng_seed.resize(32);
  const auto blob = build(built, {"quiet", Gpa{0x4123'0000}, 0x1000}).value();
  const std::string stem = ::testing::TempDir() + "husk_arm64_device_tree";
  std::ofstream(stem, std::ios::binary)
      .write(reinterpret_cast<const char*>(blob.data()), static_cast<std::streamsize>(blob.size()));
  EXPECT_EQ(std::system(
                ("dtc -I dtb -O dts -o " + stem + ".dts " + stem + " 2>" + stem + ".log").c_str()),
            0);
  const auto text = [](const std::string& path) {
    std::ifstream file(path);
    return std::string(std::istreambuf_iterator<char>(file), {});
  };
  EXPECT_EQ(text(stem + ".log"), "");
  EXPECT_THAT(text(stem + ".dts"), ::testing::HasSubstr("virtio_mmio@a001000 {"));
  for (const char* suffix : {"", ".dts", ".log"}) std::remove((stem + suffix).c_str());
}

}  // namespace
}  // namespace husk::boot::arm64
