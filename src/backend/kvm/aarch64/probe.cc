#include "backend/kvm/aarch64/probe.h"

#include <fmt/core.h>

#include <algorithm>
#include <array>
#include <cstring>

#include "backend/kvm/aarch64/kvm_vm.h"
#include "backend/kvm/aarch64/one_reg.h"
#include "base/clock.h"
#include "base/try.h"

namespace husk::kvm {
namespace {

using namespace contract::aarch64;  // NOLINT(google-build-using-namespace): the names of this
                                    // subject

// As on x86-64: a processor does more than 1000 million, one that is emulated itself about 100.
constexpr uint64_t kEnoughPerSecond = 20'000'000;
constexpr int kRounds = 4;  // the best counts: a busy host may take the processor away

constexpr uint64_t kRam = 0x4000'0000, kSize = 2 << 20, kDevice = 0x0900'0000;
constexpr uint32_t kTurns = 25'000, kInstructionsPerTurn = 4;

constexpr std::array<uint32_t, 7> kProgram{
    0x5280'0001 | kTurns << 5,  // again: mov w1, #kTurns
    0x9100'0400,                // turn:  add x0, x0, #1
    0xca01'0000,                //        eor x0, x0, x1
    0xf100'0421,                //        subs x1, x1, #1
    0x54ff'ffa1,                //        b.ne turn
    0xb900'0040,                //        str w0, [x2]
    0x17ff'fffa,                //        b again
};

// Without its cache, a processor takes each instruction from memory, even in this program: SCTLR's
// I bit is set, as no kernel would leave it (DDI 0487, D19.2.118).
VcpuState entry() {
  constexpr uint64_t kSctlrReset = 0x00c5'0078, kInstructionCache = 1u << 12;
  VcpuState state;
  state.pc = kRam;
  state.x[2] = kDevice;
  state.pstate = kPstateEl1h | kPstateD | kPstateA | kPstateI | kPstateF;
  Register control{kSctlrEl1, std::vector<std::byte>(sizeof(uint64_t))};
  const uint64_t value = kSctlrReset | kInstructionCache;
  std::memcpy(control.value.data(), &value, sizeof(value));
  state.registers.push_back(std::move(control));
  return state;
}

// Nanoseconds of one round of the program.
Result<uint64_t> run_round(KvmVcpu& vcpu) {
  const uint64_t start = base::monotonic_ns();
  seam::VcpuExit exit = vcpu.step();
  while (exit.kind == seam::VcpuExit::Kind::kCanceled) exit = vcpu.step();
  if (exit.kind != seam::VcpuExit::Kind::kMmio || exit.phys_addr != kDevice)
    return fail(ErrorKind::kUnsupported, System::kDevice, "cannot execute ordinary guests");
  return std::max<uint64_t>(base::monotonic_ns() - start, 1);
}

Result<uint64_t> measure() {
  const std::array<memory::RegionSpec, 1> ram{{{Gpa{kRam}, kSize}}};
  auto memory = HUSK_TRY(memory::GuestMemory::create(ram));
  HUSK_TRY(memory->write(Gpa{kRam}, std::as_bytes(std::span(kProgram))));
  auto vm = HUSK_TRY(KvmVm::create(1));
  HUSK_TRY(vm->map_ram(memory->regions()[0].host, kRam, kSize, seam::Prot::kReadWriteExec));
  auto vcpu = HUSK_TRY(vm->create_vcpu(0));
  HUSK_TRY(vcpu->restore_snapshot(entry()));
  uint64_t best = ~uint64_t{0};
  for (int round = 0; round < kRounds; ++round) best = std::min(best, HUSK_TRY(run_round(*vcpu)));
  return uint64_t{kTurns} * kInstructionsPerTurn * 1'000'000'000 / best;
}

}  // namespace

Result<std::string> probe() {
  const uint64_t speed = HUSK_TRY(measure());
  if (speed < kEnoughPerSecond)
    return fail(ErrorKind::kUnsupported, System::kDevice,
                fmt::format("executes only {:.1f} million instructions a second: no hardware "
                            "stands behind it",
                            static_cast<double>(speed) / 1e6));
  return fmt::format("{}; {} million instructions a second in the probe", System::kDevice,
                     speed / 1'000'000);
}

}  // namespace husk::kvm
