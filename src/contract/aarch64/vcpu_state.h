// The canonical form of an aarch64 vCPU's state: what the architecture defines (Arm ARM, DDI 0487),
// nothing of any backend's own. A machine moves between hosts, and between backends that agree on
// the registers, by it. Plain values.
//
// The guest has EL1 and EL0 and no SVE. What it reads often has a field; every other register is in
// `registers`, under the number that Linux gives it in its KVM API (Documentation/virt/kvm/api.rst,
// 4.68 KVM_SET_ONE_REG), which names each system register by its encoding.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <vector>

namespace husk::contract::aarch64 {

// PSTATE in the form of SPSR_EL1 (DDI 0487, C5.2.18): EL1 with its own stack pointer, and the masks
// of debug exceptions, SErrors, IRQs and FIQs.
constexpr uint64_t kPstateEl1h = 0x5;
constexpr uint64_t kPstateD = 1u << 9, kPstateA = 1u << 8, kPstateI = 1u << 7, kPstateF = 1u << 6;

// MPIDR_EL1's affinity fields, Aff3 and Aff2-0 (DDI 0487, D19.2.101).
constexpr uint64_t kMpidrAffinity = 0xff'00ff'ffff;

// What PSCI says of a vCPU: one that is off waits for CPU_ON (Arm DEN0022, 5.1.4).
enum class Power : uint8_t { kOff = 0, kOn = 1 };

// One of the registers without a field. The value is little-endian and as long as the id says.
struct Register {
  uint64_t id = 0;
  std::vector<std::byte> value;

  bool operator==(const Register&) const = default;
};

constexpr size_t kMaxRegisters = 4096;
constexpr size_t kMaxRegisterSize = 256;

// The length of a register's value: the id's bits 52 to 55 hold its binary logarithm.
[[nodiscard]] constexpr size_t register_size(uint64_t id) { return size_t{1} << (id >> 52 & 0xf); }

// A V register's 128 bits, low half first.
struct Vector {
  uint64_t low = 0, high = 0;

  bool operator==(const Vector&) const = default;
};

// An SError that is yet to be taken (DDI 0487, HCR_EL2.VSE and VSESR_EL2): it waits as long as
// PSTATE.A masks it. The syndrome is what ESR_EL1.ISS will say; a processor without FEAT_RAS lets
// nobody choose it.
struct PendingSError {
  bool pending = false;
  bool has_syndrome = false;
  uint32_t syndrome = 0;

  bool operator==(const PendingSError&) const = default;
};

struct VcpuState {
  std::array<uint64_t, 31> x{};
  uint64_t sp = 0;  // SP_EL0; SP_EL1 is among `registers`
  uint64_t pc = 0;
  uint64_t pstate = 0;
  uint32_t fpcr = 0, fpsr = 0;
  std::array<Vector, 32> v{};
  uint64_t mpidr = 0;
  Power power = Power::kOn;
  // CNTFRQ_EL0 of where it ran: the guest has counted time by it, and goes on nowhere else. 0:
  // unknown.
  uint64_t counter_hertz = 0;
  PendingSError serror;
  std::vector<Register> registers;  // ascending by id, each once

  bool operator==(const VcpuState&) const = default;
};

}  // namespace husk::contract::aarch64
