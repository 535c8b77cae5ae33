// The canonical form of an x86 vCPU's state: what the architecture defines, nothing of any
// backend's own. Every x86 backend writes it and reads it, so that a machine can move between them
// (ARCHITECTURE.md, decision 5). Plain values; sizes are fixed.
#pragma once

#include <array>
#include <cstdint>
#include <vector>

#include "husk/cpu_model.h"

#include "contract/x86/cpuid.h"

namespace husk::contract::x86 {

// General registers are indexed by their encoding: rax rcx rdx rbx rsp rbp rsi rdi r8..r15.
enum Gpr : uint8_t { kRax, kRcx, kRdx, kRbx, kRsp, kRbp, kRsi, kRdi, kR8, kR15 = 15 };

// Segment registers are indexed by their encoding.
enum Seg : uint8_t { kEs, kCs, kSs, kDs, kFs, kGs, kSegCount };

// A segment register with its hidden part. `attributes` are the descriptor's bits 40..47 and 52..55
// packed as in the VMCB (AMD APM vol. 2, 15.5.1): type 0-3, S 4, DPL 5-6, P 7, AVL 8, L 9, D/B 10,
// G 11. `limit` is in bytes, already scaled by G. A null selector's register has P clear.
struct Segment {
  uint16_t selector = 0;
  uint16_t attributes = 0;
  uint32_t limit = 0;
  uint64_t base = 0;

  bool operator==(const Segment&) const = default;
};

constexpr uint16_t kSegAccessed = 1u << 0, kSegWritable = 1u << 1, kSegConforming = 1u << 2;
constexpr uint16_t kSegCode = 1u << 3, kSegNotSystem = 1u << 4, kSegPresent = 1u << 7;
constexpr uint16_t kSegAvailable = 1u << 8, kSegLong = 1u << 9, kSegBig = 1u << 10,
                   kSegGranular = 1u << 11;

struct DescriptorTable {
  uint64_t base = 0;
  uint16_t limit = 0;

  bool operator==(const DescriptorTable&) const = default;
};

struct Msr {
  uint32_t index = 0;
  uint64_t value = 0;

  bool operator==(const Msr&) const = default;
};

// An event whose delivery has begun and has to be done again from its start.
struct InFlight {
  enum class Kind : uint8_t { kNone, kInterrupt, kNmi, kException, kSoftware };
  Kind kind = Kind::kNone;
  uint8_t vector = 0;
  bool has_error_code = false;
  uint32_t error_code = 0;

  bool operator==(const InFlight&) const = default;
};

// What is on its way into the CPU but has not been taken.
struct PendingEvents {
  bool nmi_pending = false;
  bool nmi_blocked = false;       // between an NMI and its IRET
  bool interrupt_shadow = false;  // after STI or MOV SS
  bool halted = false;
  bool waiting_for_sipi = false;  // an application processor that has not been started
  InFlight in_flight;

  bool operator==(const PendingEvents&) const = default;
};

// The FXSAVE64 image (Intel SDM vol. 1, 10.5.1).
using FxsaveImage = std::array<uint8_t, 512>;

// Empty registers, every exception masked: FCW 0x037f as FNINIT leaves it (Intel SDM vol. 2,
// "FINIT/FNINIT"), MXCSR 0x1f80 as a reset does (vol. 3, "Processor State After Reset").
constexpr FxsaveImage initial_fxsave() {
  FxsaveImage image{};
  image[0] = 0x7f, image[1] = 0x03;
  image[24] = 0x80, image[25] = 0x1f;
  return image;
}

struct VcpuState {
  std::array<uint64_t, 16> gpr{};
  uint64_t rip = 0;
  uint64_t rflags = 2;
  std::array<Segment, kSegCount> segments{};
  Segment ldtr, tr;
  DescriptorTable gdtr, idtr;
  uint64_t cr0 = 0, cr2 = 0, cr3 = 0, cr4 = 0, cr8 = 0;
  uint64_t efer = 0;
  uint64_t xcr0 = 1;
  std::array<uint64_t, 4> dr{};
  uint64_t dr6 = 0xffff0ff0, dr7 = 0x400;
  std::vector<Msr> msrs;  // sorted by index, without EFER
  alignas(16) FxsaveImage fxsave = initial_fxsave();
  // The rest of the XSAVE area in its standard format (SDM vol. 1, 13.4.2 and 13.4.3): the header
  // and what is beyond x87 and SSE. Empty: nothing is.
  std::vector<uint8_t> xsave;
  // The rate of the TSC; its value is MSR 0x10. 0: unknown.
  uint32_t tsc_khz = 0;
  // The xAPIC register page's first KiB, as KVM_GET_LAPIC's: the ID is in bits 24 to 31 in x2APIC
  // mode too. A page with it in all of the register is accepted.
  std::array<uint8_t, 1024> lapic{};
  PendingEvents events;
  // What CPUID has shown the guest, this vCPU's topology included, and as which model. It goes on
  // being shown wherever the state is restored, and who cannot do that refuses the state. Empty:
  // nothing yet, as in a loader's entry state.
  CpuModel cpu_model = CpuModel::kHost;
  CpuidTable cpuid;
};

}  // namespace husk::contract::x86
