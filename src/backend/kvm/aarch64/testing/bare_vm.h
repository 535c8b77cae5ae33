// A VM with a guest of a few instructions, for tests: no operating system, MMU off, EL1.
#pragma once

#include <gtest/gtest.h>

#include <array>
#include <cstdlib>
#include <memory>
#include <span>
#include <thread>
#include <vector>

#include "backend/kvm/aarch64/kvm_vm.h"

// A guest as assembler text that runs wherever it lies; `name`() are its bytes. The names are
// global, for the linker mistakes a local one for its section's start, and so are all tests'
// together.
#define HUSK_GUEST(name, text)                                            \
  asm(".pushsection .rodata\n.balign 8\n"                                 \
      ".global guest_" #name "\n.hidden guest_" #name                     \
      "\n"                                                                \
      ".global guest_" #name "_end\n.hidden guest_" #name                 \
      "_end\n"                                                            \
      "guest_" #name ":\n" text "\nguest_" #name "_end:\n.popsection\n"); \
  extern "C" const std::byte guest_##name[], guest_##name##_end[];        \
  inline std::span<const std::byte> name() { return {guest_##name, guest_##name##_end}; }

namespace husk::kvm::testing {

constexpr uint64_t kRam = 0x4000'0000, kSize = 2 << 20;
constexpr uint64_t kDevice = 0x0900'0000;  // no RAM: accesses come out; x1 of every guest

using Kind = seam::VcpuExit::Kind;

// Where there is no KVM its tests say so, except in the lab, which is for them.
class KvmTest : public ::testing::Test {
 protected:
  void SetUp() override {
    const auto system = System::open();
    if (system) return;
    if (std::getenv("HUSK_NEED_KVM") != nullptr) FAIL() << system.error().message();
    GTEST_SKIP() << system.error().message();
  }
};

inline contract::aarch64::VcpuState entry() {
  using namespace contract::aarch64;  // NOLINT(google-build-using-namespace)
  VcpuState state;
  state.pc = kRam;
  state.x[1] = kDevice;
  state.pstate = kPstateEl1h | kPstateD | kPstateA | kPstateI | kPstateF;
  return state;
}

struct BareVm {
  explicit BareVm(std::span<const std::byte> code, uint32_t count = 1)
      : vm(KvmVm::create(count).value()) {
    EXPECT_FALSE(code.empty());
    EXPECT_TRUE(memory->write(Gpa{kRam}, code));
    vm->attach_memory(*memory);
    EXPECT_TRUE(vm->map_ram(memory->regions()[0].host, kRam, kSize, seam::Prot::kReadWriteExec));
    for (uint32_t id = 0; id < count; ++id) vcpus.push_back(vm->create_vcpu(id).value());
    EXPECT_TRUE(vcpu().restore_snapshot(entry()));
  }
  KvmVcpu& vcpu(size_t id = 0) { return *vcpus[id]; }

  // Runs to the next exit that is one.
  seam::VcpuExit next(size_t id = 0) {
    seam::VcpuExit exit = vcpu(id).step();
    while (exit.kind == Kind::kCanceled) exit = vcpu(id).step();
    return exit;
  }
  // The value that the guest writes next, wherever to.
  uint64_t written(size_t id = 0) {
    const seam::VcpuExit exit = next(id);
    EXPECT_EQ(exit.kind, Kind::kMmio);
    EXPECT_TRUE(exit.write);
    return exit.data;
  }

  std::unique_ptr<memory::GuestMemory> memory =
      memory::GuestMemory::create(std::array<memory::RegionSpec, 1>{{{Gpa{kRam}, kSize}}}).value();
  std::unique_ptr<KvmVm> vm;
  std::vector<std::unique_ptr<KvmVcpu>> vcpus;
};

}  // namespace husk::kvm::testing
