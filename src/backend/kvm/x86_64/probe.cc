#include "backend/kvm/x86_64/probe.h"

#include <fmt/core.h>

#include <algorithm>
#include <array>
#include <cstring>

#include "backend/kvm/x86_64/kvm_vm.h"
#include "base/clock.h"
#include "base/try.h"
#include "contract/x86/flat_state.h"

namespace husk::kvm {
namespace {

using namespace contract::x86;  // NOLINT(google-build-using-namespace): the names of this subject

// Below this a guest is better off on the built-in CPU: emulation inside the kernel does about 4
// million, a processor more than 1000, one that is emulated itself about 100.
constexpr uint64_t kEnoughPerSecond = 20'000'000;
constexpr int kRounds = 4;  // the best counts: a busy host may take the processor away

constexpr uint64_t kSize = 2 << 20, kPml4 = 0x1000, kPdpt = 0x2000, kDirectory = 0x3000,
                   kCode = 0x4000, kData = 0x5000;
constexpr uint32_t kTurns = 25'000, kInstructionsPerTurn = 4;

// again: cmpxchg16b [rdi]; mov ecx, kTurns
// turn: inc rax; xor rax, rcx; dec rcx; jnz turn
//       out 0x80, al; jmp again
constexpr std::array<uint8_t, 24> kProgram{
    0x48,         0x0f, 0xc7, 0x0f, 0xb9, kTurns & 0xff, kTurns >> 8 & 0xff,
    kTurns >> 16, 0,    0x48, 0xff, 0xc0, 0x48,          0x31,
    0xc8,         0x48, 0xff, 0xc9, 0x75, 0xf5,          0xe6,
    0x80,         0xeb, 0xe8};

VcpuState entry() {
  VcpuState state = flat_state(CodeSize::k64);
  state.cr0 |= 0x80000000;  // PG
  state.cr3 = kPml4;
  state.cr4 = 0x20;    // PAE
  state.efer = 0x500;  // LMA LME
  state.rip = kCode;
  state.gpr[kRdi] = kData;
  return state;
}

Result<void> fill(memory::GuestMemory& memory) {
  HUSK_TRY(memory.store<uint64_t>(Gpa{kPml4}, kPdpt | 3));
  HUSK_TRY(memory.store<uint64_t>(Gpa{kPdpt}, kDirectory | 3));
  HUSK_TRY(memory.store<uint64_t>(Gpa{kDirectory}, 0x83));  // 2 MiB
  return memory.write(Gpa{kCode}, std::as_bytes(std::span(kProgram)));
}

}  // namespace

Result<std::string> probe() {
  const std::array<memory::RegionSpec, 1> ram{{{Gpa{0}, kSize}}};
  auto memory = HUSK_TRY(memory::GuestMemory::create(ram));
  HUSK_TRY(fill(*memory));
  auto vm = HUSK_TRY(KvmVm::create(1));
  HUSK_TRY(vm->map_ram(memory->regions()[0].host, 0, kSize, seam::Prot::kReadWriteExec));
  auto vcpu = HUSK_TRY(vm->create_vcpu(0));
  HUSK_TRY(vcpu->restore_snapshot(entry()));
  uint64_t best = ~uint64_t{0};
  for (int round = 0; round < kRounds; ++round) {
    const uint64_t start = base::monotonic_ns();
    seam::VcpuExit exit = vcpu->step();
    while (exit.kind == seam::VcpuExit::Kind::kCanceled) exit = vcpu->step();
    if (exit.kind != seam::VcpuExit::Kind::kIo || exit.port != 0x80)
      return fail(ErrorKind::kUnsupported, System::kDevice,
                  "cannot execute ordinary guests (it gave up on cmpxchg16b): a software KVM");
    best = std::min(best, base::monotonic_ns() - start);
  }
  const uint64_t speed =
      uint64_t{kTurns} * kInstructionsPerTurn * 1'000'000'000 / std::max<uint64_t>(best, 1);
  if (speed < kEnoughPerSecond)
    return fail(ErrorKind::kUnsupported, System::kDevice,
                fmt::format("executes only {:.1f} million instructions a second: a software KVM, "
                            "slower than the built-in CPU",
                            static_cast<double>(speed) / 1e6));
  HUSK_TRY(KvmVm::can_show(CpuModel::kX86_64V2));
  return fmt::format("{}; {} million instructions a second in the probe", System::kDevice,
                     speed / 1'000'000);
}

}  // namespace husk::kvm
