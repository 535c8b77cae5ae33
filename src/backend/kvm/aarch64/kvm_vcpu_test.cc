#include "backend/kvm/aarch64/kvm_vcpu.h"

#include <atomic>
#include <chrono>

#include "backend/kvm/aarch64/testing/bare_vm.h"

namespace husk::kvm::testing {
namespace {

using std::chrono::steady_clock;

class Vcpu : public KvmTest {};

HUSK_GUEST(accesses, R"(
    mov  w2, #0x5a
    strb w2, [x1]
    ldr  w3, [x1, #4]
    str  x3, [x1, #8]
)")

TEST_F(Vcpu, AccessesComeOutAndGoOn) {
  BareVm bare(accesses());
  seam::VcpuExit exit = bare.next();
  EXPECT_EQ(exit.kind, Kind::kMmio);
  EXPECT_TRUE(exit.write);
  EXPECT_EQ(exit.size, 1);
  EXPECT_EQ(exit.phys_addr, kDevice);
  EXPECT_EQ(exit.data, 0x5au);

  exit = bare.next();
  EXPECT_EQ(exit.kind, Kind::kMmio);
  EXPECT_FALSE(exit.write);
  EXPECT_EQ(exit.size, 4);
  EXPECT_EQ(exit.phys_addr, kDevice + 4);
  bare.vcpu().set_read_data(0xffff'ffff'8000'0001);

  exit = bare.next();
  EXPECT_EQ(exit.size, 8);
  EXPECT_EQ(exit.phys_addr, kDevice + 8);
  EXPECT_EQ(exit.data, 0x8000'0001u) << "a word's upper half is zero";
}

HUSK_GUEST(power_off, "ldr w0, =0x84000008\n hvc #0\n .ltorg")
HUSK_GUEST(reset, "ldr w0, =0x84000009\n hvc #0\n .ltorg")

TEST_F(Vcpu, PsciEndsTheMachine) {
  EXPECT_EQ(BareVm(power_off()).next().kind, Kind::kPowerOff);
  EXPECT_EQ(BareVm(reset()).next().kind, Kind::kReset);
}

HUSK_GUEST(unexplained, "ldr x0, [x1], #8")

TEST_F(Vcpu, AnAccessThatTheProcessorDoesNotDescribeIsUnknown) {
  EXPECT_EQ(BareVm(unexplained()).next().kind, Kind::kUnknown);
}

// vCPU 0 turns vCPU 1 on with 0x1234 for its x0, and waits.
HUSK_GUEST(turn_on, R"(
    ldr  x0, =0xc4000003
    mov  x1, #1
    adr  x2, 1f
    mov  x3, #0x1234
    hvc  #0
    mov  x1, #0x09000000
    str  x0, [x1]
    b    .
1:  mov  x1, #0x09000000
    str  x0, [x1, #16]
    b    .
    .ltorg
)")

TEST_F(Vcpu, ASecondOneWaitsUntilItIsTurnedOn) {
  BareVm bare(turn_on(), 2);
  EXPECT_EQ(bare.vcpu(0).capture_snapshot().value().power, contract::aarch64::Power::kOn);
  EXPECT_EQ(bare.vcpu(1).capture_snapshot().value().power, contract::aarch64::Power::kOff);
  std::atomic<bool> out{false};
  seam::VcpuExit second;
  std::thread thread([&] {
    second = bare.next(1);
    out = true;
  });
  std::this_thread::sleep_for(std::chrono::milliseconds(50));
  EXPECT_FALSE(out);
  EXPECT_EQ(bare.written(0), 0u) << "PSCI's success";
  thread.join();
  EXPECT_EQ(second.phys_addr, kDevice + 16);
  EXPECT_EQ(second.data, 0x1234u);
}

TEST_F(Vcpu, ForceExitReachesOneThatIsOff) {
  BareVm bare(turn_on(), 2);
  std::thread thread([&] { EXPECT_EQ(bare.vcpu(1).step().kind, Kind::kCanceled); });
  std::this_thread::sleep_for(std::chrono::milliseconds(20));
  const KvmVcpu::Handle handle = bare.vcpu(1).exit_token();
  KvmVcpu::Handle::force_exit({&handle, 1});
  thread.join();
}

HUSK_GUEST(spin, "b .")

TEST_F(Vcpu, ForceExitBringsABatchOutEveryTime) {
  constexpr uint32_t kVcpus = 8, kRounds = 300;
  BareVm bare(spin(), kVcpus);
  std::vector<KvmVcpu::Handle> handles;
  for (uint32_t id = 0; id < kVcpus; ++id) {
    ASSERT_TRUE(bare.vcpu(id).restore_snapshot(entry())) << "turns it on";
    handles.push_back(bare.vcpu(id).exit_token());
  }
  std::array<std::atomic<uint32_t>, kVcpus> exits{};
  std::atomic<bool> done{false};
  std::vector<std::thread> threads;
  for (uint32_t id = 0; id < kVcpus; ++id)
    threads.emplace_back([&, id] {
      while (!done) {
        EXPECT_EQ(bare.vcpu(id).step().kind, Kind::kCanceled);
        ++exits[id];
      }
    });
  for (uint32_t round = 0; round < kRounds; ++round) {
    std::array<uint32_t, kVcpus> before{};
    for (uint32_t id = 0; id < kVcpus; ++id) before[id] = exits[id];
    KvmVcpu::Handle::force_exit(handles);
    const auto limit = steady_clock::now() + std::chrono::seconds(10);
    for (uint32_t id = 0; id < kVcpus; ++id) {
      while (exits[id] == before[id] && steady_clock::now() < limit) std::this_thread::yield();
      EXPECT_NE(exits[id].load(), before[id]) << "vCPU " << id << ", round " << round;
    }
  }
  done = true;
  KvmVcpu::Handle::force_exit(handles);
  for (std::thread& thread : threads) thread.join();
}

TEST_F(Vcpu, ARequestBeforeTheStepCountsForIt) {
  BareVm bare(spin());
  const KvmVcpu::Handle handle = bare.vcpu().exit_token();
  KvmVcpu::Handle::force_exit({&handle, 1});
  EXPECT_EQ(bare.vcpu().step().kind, Kind::kCanceled);
}

}  // namespace
}  // namespace husk::kvm::testing
