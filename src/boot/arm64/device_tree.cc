#include "boot/arm64/device_tree.h"

#include <fmt/core.h>

#include <algorithm>
#include <ranges>

#include "base/try.h"
#include "boot/arm64/tree_writer.h"
#include "contract/aarch64/vcpu_state.h"

namespace husk::boot::arm64 {
namespace {

using contract::aarch64::kMpidrAffinity;

// interrupt-controller/arm,gic-v3.yaml: the kind of interrupt, its number, its trigger.
constexpr uint32_t kSpi = 0, kPpi = 1;
constexpr uint32_t kLevelHigh = 4;

constexpr uint32_t kGicPhandle = 1, kClockPhandle = 2;
// What a PL011 is usually fed with. It has no bit rate here; Linux wants to reckon one.
constexpr uint32_t kSerialClockHz = 24'000'000;

std::string at(const char* name, uint64_t address) { return fmt::format("{}@{:x}", name, address); }

uint64_t affinity(uint64_t mpidr) { return mpidr & kMpidrAffinity; }

void put_root_properties(TreeWriter& tree) {
  tree.text("compatible", "linux,dummy-virt");
  tree.text("model", "Husk");
  tree.cell("#address-cells", 2);
  tree.cell("#size-cells", 2);
  tree.cell("interrupt-parent", kGicPhandle);
}

void put_chosen(TreeWriter& tree, const Machine& machine, const Chosen& chosen) {
  tree.begin_node("chosen");
  tree.text("bootargs", chosen.command_line);
  tree.text("stdout-path", "/" + at("pl011", kSerial));
  if (chosen.initrd_size != 0) {
    tree.quad("linux,initrd-start", chosen.initrd.value);
    tree.quad("linux,initrd-end", chosen.initrd.value + chosen.initrd_size);
  }
  if (!machine.rng_seed.empty()) tree.bytes("rng-seed", machine.rng_seed);
  if (machine.kaslr_seed) tree.quad("kaslr-seed", *machine.kaslr_seed);
  tree.end_node();
}

void put_aliases(TreeWriter& tree) {
  tree.begin_node("aliases");
  tree.text("serial0", "/" + at("pl011", kSerial));
  tree.end_node();
}

void put_memory(TreeWriter& tree, std::span<const memory::Region> ram) {
  for (const memory::Region& region : ram) {
    tree.begin_node(at("memory", region.start.value));
    tree.text("device_type", "memory");
    tree.quads("reg", {region.start.value, region.size});
    tree.end_node();
  }
}

// arm/cpus.yaml: with two cells, the first is Aff3 and the second Aff2 to Aff0, which is how they
// lie in MPIDR_EL1.
void put_cpus(TreeWriter& tree, const Machine& machine) {
  tree.begin_node("cpus");
  tree.cell("#address-cells", 2);
  tree.cell("#size-cells", 0);
  for (const uint64_t mpidr : machine.cpus) {
    tree.begin_node(at("cpu", affinity(mpidr)));
    tree.text("device_type", "cpu");
    tree.text("compatible", "arm,armv8");
    tree.quad("reg", affinity(mpidr));
    tree.text("enable-method", "psci");
    tree.end_node();
  }
  tree.end_node();
}

// arm/psci.yaml. Since 0.2 the functions have fixed numbers.
void put_psci(TreeWriter& tree) {
  using namespace std::string_view_literals;
  tree.begin_node("psci");
  tree.text("compatible", "arm,psci-1.0\0arm,psci-0.2"sv);
  tree.text("method", "hvc");
  tree.end_node();
}

// timer/arm,arch_timer.yaml: secure, non-secure, virtual and hypervisor timer. A GICv3's PPIs have
// no mask of CPUs in the third cell.
void put_timer(TreeWriter& tree) {
  tree.begin_node("timer");
  tree.text("compatible", "arm,armv8-timer");
  tree.cells("interrupts", {kPpi, 13, kLevelHigh, kPpi, 14, kLevelHigh, kPpi, 11, kLevelHigh, kPpi,
                            10, kLevelHigh});
  tree.flag("always-on");
  tree.end_node();
}

void put_interrupt_controller(TreeWriter& tree, const GicPlace& gic) {
  tree.begin_node(at("intc", gic.distributor));
  tree.text("compatible", "arm,gic-v3");
  tree.flag("interrupt-controller");
  tree.cell("#interrupt-cells", 3);
  tree.cell("#address-cells", 0);
  tree.cell("#redistributor-regions", 1);
  tree.quads("reg",
             {gic.distributor, gic.distributor_size, gic.redistributors, gic.redistributors_size});
  tree.cell("phandle", kGicPhandle);
  tree.end_node();
}

void put_serial(TreeWriter& tree) {
  using namespace std::string_view_literals;
  tree.begin_node("apb-pclk");
  tree.text("compatible", "fixed-clock");
  tree.cell("#clock-cells", 0);
  tree.cell("clock-frequency", kSerialClockHz);
  tree.text("clock-output-names", "clk24mhz");
  tree.cell("phandle", kClockPhandle);
  tree.end_node();

  tree.begin_node(at("pl011", kSerial));
  tree.text("compatible", "arm,pl011\0arm,primecell"sv);
  tree.quads("reg", {kSerial, kSerialSize});
  tree.cells("interrupts", {kSpi, kSerialSpi, kLevelHigh});
  tree.cells("clocks", {kClockPhandle, kClockPhandle});
  tree.text("clock-names", "uartclk\0apb_pclk"sv);
  tree.end_node();
}

// virtio/mmio.yaml. The transport holds its line until the driver acknowledges.
void put_virtio(TreeWriter& tree, uint32_t devices) {
  for (uint32_t i = 0; i < devices; ++i) {
    const uint64_t base = kVirtio + i * kVirtioStride;
    tree.begin_node(at("virtio_mmio", base));
    tree.text("compatible", "virtio,mmio");
    tree.quads("reg", {base, kVirtioStride});
    tree.cells("interrupts", {kSpi, kVirtioFirstSpi + i, kLevelHigh});
    tree.flag("dma-coherent");
    tree.end_node();
  }
}

Result<void> check_cpus(const std::string& subject, const std::vector<uint64_t>& cpus) {
  if (cpus.empty()) return fail(ErrorKind::kInvalidArgument, subject, "a machine without vCPUs");
  if (cpus.size() > kMaxVcpus)
    return fail(ErrorKind::kLimit, subject,
                fmt::format("{} vCPUs, at most {} are possible", cpus.size(), kMaxVcpus));
  std::vector<uint64_t> sorted;
  for (const uint64_t mpidr : cpus) sorted.push_back(affinity(mpidr));
  std::ranges::sort(sorted);
  const auto twin = std::ranges::adjacent_find(sorted);
  if (twin != sorted.end())
    return fail(ErrorKind::kInvalidArgument, subject,
                fmt::format("two vCPUs with the affinity {:#x}", *twin));
  return {};
}

Result<void> check(const std::string& subject, const Machine& machine, const Chosen& chosen) {
  HUSK_TRY(check_cpus(subject, machine.cpus));
  if (machine.gic.redistributors_size / kGicRedistributorSize < machine.cpus.size())
    return fail(ErrorKind::kInvalidArgument, subject,
                fmt::format("{} vCPUs, there are GIC redistributors for {}", machine.cpus.size(),
                            machine.gic.redistributors_size / kGicRedistributorSize));
  if (machine.virtio_devices > kMaxVirtioDevices)
    return fail(ErrorKind::kLimit, subject,
                fmt::format("{} virtio devices, at most {} are possible", machine.virtio_devices,
                            kMaxVirtioDevices));
  if (chosen.command_line.find('\0') != std::string::npos)
    return fail(ErrorKind::kInvalidArgument, subject, "the command line has a NUL in it");
  return {};
}

}  // namespace

Result<std::vector<std::byte>> build_device_tree(const std::string& subject, const Machine& machine,
                                                 std::span<const memory::Region> ram,
                                                 const Chosen& chosen) {
  HUSK_TRY(check(subject, machine, chosen));
  TreeWriter tree(kKernelBase - kDeviceTree);
  tree.begin_node("");
  put_root_properties(tree);
  put_chosen(tree, machine, chosen);
  put_aliases(tree);
  put_memory(tree, ram);
  put_cpus(tree, machine);
  put_psci(tree);
  put_timer(tree);
  put_interrupt_controller(tree, machine.gic);
  put_serial(tree);
  put_virtio(tree, machine.virtio_devices);
  tree.end_node();
  return tree.finish(subject);
}

}  // namespace husk::boot::arm64
