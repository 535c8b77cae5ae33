// KVM's registers and the canonical state, both ways (api.rst: the structures' sections).

#include <algorithm>
#include <array>
#include <cstring>

#include "backend/kvm/common/calls.h"
#include "backend/kvm/x86_64/kvm_msr.h"
#include "backend/kvm/x86_64/kvm_vcpu.h"
#include "backend/kvm/x86_64/nested_state.h"
#include "base/try.h"
#include "contract/x86/cpu_model.h"
#include "contract/x86/nested.h"
#include "contract/x86/state_codec.h"
#include "contract/x86/state_msrs.h"

namespace husk::kvm {

using namespace contract::x86;  // NOLINT(google-build-using-namespace): the names of this subject
using seam::CoreReg;

namespace {

constexpr size_t kLegacyArea = 512;  // of an XSAVE area: the FXSAVE image

Segment from_kvm(const kvm_segment& in) {
  Segment out;
  out.selector = in.selector;
  out.limit = in.limit;
  out.base = in.base;
  const auto bit = [&](uint16_t mask, bool set) {
    if (set) out.attributes |= mask;
  };
  out.attributes = static_cast<uint16_t>((in.type & 15) | (in.dpl & 3) << 5);
  bit(kSegNotSystem, in.s != 0);
  bit(kSegPresent, in.present != 0 && in.unusable == 0);
  bit(kSegAvailable, in.avl != 0);
  bit(kSegLong, in.l != 0);
  bit(kSegBig, in.db != 0);
  bit(kSegGranular, in.g != 0);
  return out;
}

kvm_segment to_kvm(const Segment& in) {
  const auto bit = [&](uint16_t mask) {
    return static_cast<uint8_t>((in.attributes & mask) != 0 ? 1 : 0);
  };
  kvm_segment out{};
  out.selector = in.selector;
  out.limit = in.limit;
  out.base = in.base;
  out.type = in.attributes & 15;
  out.dpl = in.attributes >> 5 & 3;
  out.s = bit(kSegNotSystem);
  out.present = bit(kSegPresent);
  out.avl = bit(kSegAvailable);
  out.l = bit(kSegLong);
  out.db = bit(kSegBig);
  out.g = bit(kSegGranular);
  out.unusable = out.present != 0 ? 0 : 1;
  return out;
}

kvm_segment kvm_sregs::* const kSegments[kSegCount] = {
    &kvm_sregs::es, &kvm_sregs::cs, &kvm_sregs::ss, &kvm_sregs::ds, &kvm_sregs::fs, &kvm_sregs::gs};

// By encoding.
__u64 kvm_regs::* const kGeneral[16] = {
    &kvm_regs::rax, &kvm_regs::rcx, &kvm_regs::rdx, &kvm_regs::rbx, &kvm_regs::rsp, &kvm_regs::rbp,
    &kvm_regs::rsi, &kvm_regs::rdi, &kvm_regs::r8,  &kvm_regs::r9,  &kvm_regs::r10, &kvm_regs::r11,
    &kvm_regs::r12, &kvm_regs::r13, &kvm_regs::r14, &kvm_regs::r15};

Result<void> get_general(int fd, VcpuState& state) {
  kvm_regs regs{};
  HUSK_TRY(call(fd, HUSK_KVM_CALL(KVM_GET_REGS), &regs));
  for (size_t i = 0; i < 16; ++i) state.gpr[i] = regs.*kGeneral[i];
  state.rip = regs.rip;
  state.rflags = regs.rflags;
  return {};
}

Result<void> set_general(int fd, const VcpuState& state) {
  kvm_regs regs{};
  for (size_t i = 0; i < 16; ++i) regs.*kGeneral[i] = state.gpr[i];
  regs.rip = state.rip;
  regs.rflags = state.rflags;
  HUSK_TRY(call(fd, HUSK_KVM_CALL(KVM_SET_REGS), &regs));
  return {};
}

Result<uint64_t> get_system(int fd, VcpuState& state) {
  kvm_sregs sregs{};
  HUSK_TRY(call(fd, HUSK_KVM_CALL(KVM_GET_SREGS), &sregs));
  for (size_t i = 0; i < kSegCount; ++i) state.segments[i] = from_kvm(sregs.*kSegments[i]);
  state.ldtr = from_kvm(sregs.ldt);
  state.tr = from_kvm(sregs.tr);
  state.gdtr = {sregs.gdt.base, sregs.gdt.limit};
  state.idtr = {sregs.idt.base, sregs.idt.limit};
  state.cr0 = sregs.cr0;
  state.cr2 = sregs.cr2;
  state.cr3 = sregs.cr3;
  state.cr4 = sregs.cr4;
  state.cr8 = sregs.cr8;
  state.efer = sregs.efer;
  return sregs.apic_base;
}

Result<void> set_system(int fd, const VcpuState& state) {
  kvm_sregs sregs{};
  HUSK_TRY(call(fd, HUSK_KVM_CALL(KVM_GET_SREGS), &sregs));  // for the APIC's base
  for (size_t i = 0; i < kSegCount; ++i) sregs.*kSegments[i] = to_kvm(state.segments[i]);
  sregs.ldt = to_kvm(state.ldtr);
  sregs.tr = to_kvm(state.tr);
  sregs.gdt.base = state.gdtr.base;
  sregs.gdt.limit = state.gdtr.limit;
  sregs.idt.base = state.idtr.base;
  sregs.idt.limit = state.idtr.limit;
  sregs.cr0 = state.cr0;
  sregs.cr2 = state.cr2;
  sregs.cr3 = state.cr3;
  sregs.cr4 = state.cr4;
  sregs.cr8 = state.cr8;
  sregs.efer = state.efer;
  for (const Msr& msr : state.msrs) {
    if (msr.index == kMsrApicBase) sregs.apic_base = msr.value;
  }
  std::memset(sregs.interrupt_bitmap, 0, sizeof(sregs.interrupt_bitmap));
  HUSK_TRY(call(fd, HUSK_KVM_CALL(KVM_SET_SREGS), &sregs));
  return {};
}

// What the guest cannot have by its CPUID is not part of the state.
Result<void> get_fpu(int fd, size_t size, const CpuidTable& shown, VcpuState& state) {
  std::vector<uint8_t> area(std::max(size, sizeof(kvm_xsave)));
  if (size > sizeof(kvm_xsave)) {
    HUSK_TRY(call(fd, HUSK_KVM_CALL(KVM_GET_XSAVE2), area.data()));
  } else {
    HUSK_TRY(call(fd, HUSK_KVM_CALL(KVM_GET_XSAVE), area.data()));
  }
  std::copy_n(area.begin(), kLegacyArea, state.fxsave.begin());
  const size_t rest = std::min(area.size() - kLegacyArea, xsave_rest(shown));
  state.xsave.assign(area.begin() + kLegacyArea,
                     area.begin() + static_cast<ptrdiff_t>(kLegacyArea + rest));
  kvm_xcrs xcrs{};
  HUSK_TRY(call(fd, HUSK_KVM_CALL(KVM_GET_XCRS), &xcrs));
  for (uint32_t i = 0; i < std::min<uint32_t>(xcrs.nr_xcrs, KVM_MAX_XCRS); ++i) {
    if (xcrs.xcrs[i].xcr == 0) state.xcr0 = xcrs.xcrs[i].value;
  }
  return {};
}

Result<void> set_fpu(int fd, size_t size, const CpuidTable& shown, const VcpuState& state) {
  HUSK_TRY(require_components(state, shown));
  constexpr size_t kXstateBv = kLegacyArea;
  std::vector<uint8_t> area(std::max(size, sizeof(kvm_xsave)));
  std::ranges::copy(state.fxsave, area.begin());
  if (state.xsave.size() + kLegacyArea > area.size() &&
      std::any_of(state.xsave.begin() + static_cast<ptrdiff_t>(area.size() - kLegacyArea),
                  state.xsave.end(), [](uint8_t byte) { return byte != 0; }))
    return fail(ErrorKind::kUnsupported, "vCPU state", "has registers that this host lacks");
  std::copy_n(state.xsave.begin(), std::min(state.xsave.size(), area.size() - kLegacyArea),
              area.begin() + kLegacyArea);
  area[kXstateBv] |= 3;  // the FXSAVE image counts, whatever the header says
  kvm_xcrs xcrs{};
  xcrs.nr_xcrs = 1;
  xcrs.xcrs[0].value = state.xcr0;
  HUSK_TRY(call(fd, HUSK_KVM_CALL(KVM_SET_XCRS), &xcrs));
  HUSK_TRY(call(fd, HUSK_KVM_CALL(KVM_SET_XSAVE), area.data()));
  return {};
}

Result<void> get_events(int fd, VcpuState& state) {
  kvm_vcpu_events events{};
  HUSK_TRY(call(fd, HUSK_KVM_CALL(KVM_GET_VCPU_EVENTS), &events));
  PendingEvents& out = state.events;
  out.nmi_pending = events.nmi.pending != 0;
  out.nmi_blocked = events.nmi.masked != 0;
  out.interrupt_shadow = events.interrupt.shadow != 0;
  if (events.exception.injected != 0) {
    out.in_flight = {InFlight::Kind::kException, events.exception.nr,
                     events.exception.has_error_code != 0, events.exception.error_code};
  } else if (events.nmi.injected != 0) {
    out.in_flight = {InFlight::Kind::kNmi, 2, false, 0};
  } else if (events.interrupt.injected != 0) {
    out.in_flight = {
        events.interrupt.soft != 0 ? InFlight::Kind::kSoftware : InFlight::Kind::kInterrupt,
        events.interrupt.nr, false, 0};
  }
  kvm_mp_state mp{};
  HUSK_TRY(call(fd, HUSK_KVM_CALL(KVM_GET_MP_STATE), &mp));
  out.halted = mp.mp_state == KVM_MP_STATE_HALTED;
  out.waiting_for_sipi =
      mp.mp_state == KVM_MP_STATE_UNINITIALIZED || mp.mp_state == KVM_MP_STATE_INIT_RECEIVED;
  return {};
}

Result<void> set_events(int fd, const PendingEvents& in) {
  kvm_vcpu_events events{};
  events.nmi.pending = in.nmi_pending;
  events.nmi.masked = in.nmi_blocked;
  events.interrupt.shadow = in.interrupt_shadow ? KVM_X86_SHADOW_INT_STI : 0;
  events.flags = KVM_VCPUEVENT_VALID_NMI_PENDING | KVM_VCPUEVENT_VALID_SHADOW;
  const InFlight& event = in.in_flight;
  switch (event.kind) {
    case InFlight::Kind::kNone:
      break;
    case InFlight::Kind::kException:
      events.exception.injected = 1;
      events.exception.nr = event.vector;
      events.exception.has_error_code = event.has_error_code;
      events.exception.error_code = event.error_code;
      break;
    case InFlight::Kind::kNmi:
      events.nmi.injected = 1;
      break;
    case InFlight::Kind::kInterrupt:
    case InFlight::Kind::kSoftware:
      events.interrupt.injected = 1;
      events.interrupt.nr = event.vector;
      events.interrupt.soft = event.kind == InFlight::Kind::kSoftware;
      break;
  }
  HUSK_TRY(call(fd, HUSK_KVM_CALL(KVM_SET_VCPU_EVENTS), &events));
  kvm_mp_state mp{};
  mp.mp_state = in.waiting_for_sipi ? KVM_MP_STATE_UNINITIALIZED
                : in.halted         ? KVM_MP_STATE_HALTED
                                    : KVM_MP_STATE_RUNNABLE;
  HUSK_TRY(call(fd, HUSK_KVM_CALL(KVM_SET_MP_STATE), &mp));
  return {};
}

Result<void> get_debug_registers(int fd, VcpuState& state) {
  kvm_debugregs regs{};
  HUSK_TRY(call(fd, HUSK_KVM_CALL(KVM_GET_DEBUGREGS), &regs));
  std::copy_n(regs.db, 4, state.dr.begin());
  state.dr6 = regs.dr6;
  state.dr7 = regs.dr7;
  return {};
}

Result<void> set_debug_registers(int fd, const VcpuState& state) {
  kvm_debugregs regs{};
  std::copy_n(state.dr.begin(), 4, regs.db);
  regs.dr6 = state.dr6;
  regs.dr7 = state.dr7;
  HUSK_TRY(call(fd, HUSK_KVM_CALL(KVM_SET_DEBUGREGS), &regs));
  return {};
}

bool has_lapic(const VcpuState& state) {
  return std::ranges::any_of(state.lapic, [](uint8_t byte) { return byte != 0; });
}

// KVM wants the ID in bits 24 to 31 in both modes (api.rst, KVM_SET_LAPIC); a page as x2APIC mode
// has it is told by that.
Result<void> set_lapic(int fd, uint32_t id, const VcpuState& state) {
  constexpr size_t kIdAt = 0x20;
  kvm_lapic_state lapic{};
  std::memcpy(lapic.regs, state.lapic.data(), state.lapic.size());
  uint32_t found = 0;
  std::memcpy(&found, lapic.regs + kIdAt, sizeof(found));
  const uint32_t wanted = id << 24;
  if (found != wanted && found != id)
    return fail(ErrorKind::kCorrupt, "local APIC " + std::to_string(id),
                "the state is of another vCPU");
  std::memcpy(lapic.regs + kIdAt, &wanted, sizeof(wanted));
  HUSK_TRY(call(fd, HUSK_KVM_CALL(KVM_SET_LAPIC), &lapic));
  return {};
}

}  // namespace

Result<void> KvmVcpu::refuse_nested_guest() const {
  const int size = home_.system->check(KVM_CAP_NESTED_STATE);
  if (size <= 0) return {};  // a KVM that has no such guests
  const size_t bytes = std::max(static_cast<size_t>(size), sizeof(kvm_nested_state));
  std::vector<uint64_t> buffer((bytes + 7) / 8);
  auto* nested = reinterpret_cast<kvm_nested_state*>(buffer.data());
  nested->size = static_cast<uint32_t>(bytes);
  HUSK_TRY(call(fd(), HUSK_KVM_CALL(KVM_GET_NESTED_STATE), nested));
  return kvm::require_no_nesting(*nested);
}

Result<KvmVcpu::SnapshotState> KvmVcpu::capture_snapshot() {
  HUSK_TRY(complete_access());
  VcpuState state;
  HUSK_TRY(get_general(fd(), state));
  const uint64_t apic_base = HUSK_TRY(get_system(fd(), state));
  HUSK_TRY(contract::x86::require_no_nesting(state));
  HUSK_TRY(refuse_nested_guest());
  HUSK_TRY(get_fpu(fd(), home_.xsave_size, cpuid_.table(), state));
  HUSK_TRY(get_events(fd(), state));
  HUSK_TRY(get_debug_registers(fd(), state));
  kvm_lapic_state lapic{};
  HUSK_TRY(call(fd(), HUSK_KVM_CALL(KVM_GET_LAPIC), &lapic));
  std::memcpy(state.lapic.data(), lapic.regs, state.lapic.size());
  for (const uint32_t index : kStateMsrs) {
    if (const auto value = get_msr(fd(), index)) state.msrs.push_back({index, *value});
  }
  for (const uint32_t index : kKvmServiceMsrs) {
    if (const auto value = get_msr(fd(), index); value.value_or(0) != 0)
      state.msrs.push_back({index, *value});
  }
  state.msrs.push_back({kMsrApicBase, apic_base});
  for (const uint32_t index : {kMsrTsc, kMsrTscDeadline}) {
    if (const auto value = get_msr(fd(), index)) state.msrs.push_back({index, *value});
  }
  std::ranges::sort(state.msrs, {}, &Msr::index);
  state.tsc_khz = static_cast<uint32_t>(HUSK_TRY(call(fd(), HUSK_KVM_CALL(KVM_GET_TSC_KHZ))));
  cpuid_.describe(state);
  settle_time(state, HUSK_TRY(kvmclock_ns()));
  return state;
}

Result<void> KvmVcpu::restore_snapshot(const SnapshotState& state) {
  HUSK_TRY(contract::x86::require_no_nesting(state));
  // Whatever the last exit asked for belongs to another life.
  io_at_ = io_count_ = 0;
  if (access_open_) (void)area_.complete();
  access_open_ = unanswered_ = exit_kept_ = step_kept_ = false;
  forget_stop();
  HUSK_TRY(cpuid_.adopt(fd(), state));
  HUSK_TRY(adopt_tsc_rate(state));
  HUSK_TRY(set_general(fd(), state));
  HUSK_TRY(set_fpu(fd(), home_.xsave_size, cpuid_.table(), state));
  HUSK_TRY(set_system(fd(), state));
  if (has_lapic(state)) HUSK_TRY(set_lapic(fd(), id_, state));
  for (const Msr& msr : state.msrs) {
    // The deadline last, for the APIC's mode and the clock decide on it; the clock is
    // restore_clock()'s.
    if (msr.index == kMsrApicBase || msr.index == kMsrTscDeadline || msr.index == kMsrTsc) continue;
    HUSK_TRY(set_msr(fd(), msr));
  }
  for (const Msr& msr : state.msrs) {
    if (msr.index == kMsrTscDeadline) HUSK_TRY(set_msr(fd(), msr));
  }
  HUSK_TRY(set_debug_registers(fd(), state));
  HUSK_TRY(set_events(fd(), state.events));
  return {};
}

Result<void> KvmVcpu::write_snapshot_state(const SnapshotState& state, std::ostream& out) {
  return write_state(state, out);
}

Result<KvmVcpu::SnapshotState> KvmVcpu::read_snapshot_state(std::istream& in) {
  return read_state(in);
}

Result<uint64_t> KvmVcpu::get_core(CoreReg reg) {
  kvm_regs regs{};
  HUSK_TRY(call(fd(), HUSK_KVM_CALL(KVM_GET_REGS), &regs));
  switch (reg.role) {
    case CoreReg::Role::kX:
      if (reg.index < 16) return regs.*kGeneral[reg.index];
      break;
    case CoreReg::Role::kPc:
      return regs.rip;
    case CoreReg::Role::kCpsr:
      return regs.rflags;
    default:
      break;
  }
  return fail(ErrorKind::kInvalidArgument, "core register", "x86-64 has no such register");
}

Result<void> KvmVcpu::set_core(CoreReg reg, uint64_t value) {
  HUSK_TRY(complete_access());
  kvm_regs regs{};
  HUSK_TRY(call(fd(), HUSK_KVM_CALL(KVM_GET_REGS), &regs));
  if (reg.role == CoreReg::Role::kX && reg.index < 16) {
    regs.*kGeneral[reg.index] = value;
  } else if (reg.role == CoreReg::Role::kPc) {
    if (regs.rip != value) forget_stop();
    regs.rip = value;
  } else if (reg.role == CoreReg::Role::kCpsr) {
    regs.rflags = value;
  } else {
    return fail(ErrorKind::kInvalidArgument, "core register", "x86-64 has no such register");
  }
  HUSK_TRY(call(fd(), HUSK_KVM_CALL(KVM_SET_REGS), &regs));
  return {};
}

Result<uint64_t> KvmVcpu::get_sys(seam::SysReg) const { return uint64_t{id_}; }

Result<void> KvmVcpu::set_sys(seam::SysReg, uint64_t) {
  return fail(ErrorKind::kUnsupported, "APIC ID", "is read-only on x86-64");
}

}  // namespace husk::kvm
