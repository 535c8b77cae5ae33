// A bare machine over the seam: RAM, a VM of one backend with the interrupt controllers that it has
// not itself, vCPUs that run one of the programs.
#pragma once

#include <gtest/gtest.h>

#include <memory>
#include <vector>

#include "husk/cpu_model.h"

#include "arch.h"
#include "programs.h"

namespace husk::contract_tests {

constexpr uint64_t kRamSize = 32 << 20;
constexpr uint64_t kCode = kRamBase + 0x10000, kStack = kRamBase + 0x20000;
constexpr uint64_t kData = kRamBase + 0x100000;  // free for tests from here on
// Nothing is mapped there.
constexpr uint64_t kDevice = kRamBase + 0x30000000, kReport = kRamBase + 0x31000000;

// A backend's VM, or why it cannot be had here: "" when it can.
template <class Vm>
struct Backend;

template <class Vm>
class Machine {
 public:
  using Vcpu = typename Vm::Vcpu;

  explicit Machine(uint32_t count = 1, CpuModel model = CpuModel::kHost) {
    const std::array<memory::RegionSpec, 1> ram{{{Gpa{kRamBase}, kRamSize}}};
    memory = std::move(*memory::GuestMemory::create(ram));
    auto made = Vm::create(count, model);
    if (!made) {
      ADD_FAILURE() << made.error().message();
      std::abort();
    }
    vm = std::move(*made);
    vm->attach_memory(*memory);
    chips = std::make_unique<Chips>(*vm);
    EXPECT_TRUE(
        vm->map_ram(memory->regions()[0].host, kRamBase, kRamSize, seam::Prot::kReadWriteExec));
    for (uint32_t id = 0; id < count; ++id) {
      auto vcpu = vm->create_vcpu(id);
      if (!vcpu) {
        ADD_FAILURE() << vcpu.error().message();
        std::abort();
      }
      vcpus.push_back(std::move(*vcpu));
    }
  }

  Vcpu& vcpu(uint32_t id = 0) { return *vcpus[id]; }

  // Puts the vCPU before the program's first instruction.
  void load(std::span<const std::byte> program, std::initializer_list<uint64_t> arguments = {},
            uint32_t id = 0) {
    ASSERT_TRUE(memory->write(Gpa{kCode}, program));
    const auto entry = entry_state(*memory, kCode, kStack);
    ASSERT_TRUE(entry) << entry.error().message();
    const auto restored = vcpu(id).restore_snapshot(*entry);
    ASSERT_TRUE(restored) << restored.error().message();
    ASSERT_TRUE(vcpu(id).set_core(kReportRegister, kReport));
    for (size_t n = 0; const uint64_t value : arguments)
      ASSERT_TRUE(vcpu(id).set_core(kArguments[n++], value));
  }

  // The next exit that is not a cancellation.
  seam::VcpuExit next(uint32_t id = 0) {
    seam::VcpuExit exit = vcpu(id).step();
    while (exit.kind == seam::VcpuExit::Kind::kCanceled) exit = vcpu(id).step();
    return exit;
  }
  // The next value that the guest reports.
  uint64_t report(uint32_t id = 0) {
    const seam::VcpuExit exit = next(id);
    EXPECT_EQ(exit.kind, seam::VcpuExit::Kind::kMmio) << "raw " << exit.raw;
    EXPECT_EQ(exit.phys_addr, kReport);
    EXPECT_TRUE(exit.write);
    EXPECT_EQ(exit.size, 8);
    return exit.data;
  }

  std::unique_ptr<memory::GuestMemory> memory;
  typename decltype(Vm::create(1, CpuModel::kHost))::value_type vm;
  std::unique_ptr<Chips> chips;  // go before the VM that they interrupt
  std::vector<std::unique_ptr<Vcpu>> vcpus;
};

}  // namespace husk::contract_tests
