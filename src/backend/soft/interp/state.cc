// Reset, start-up, and the canonical state that snapshots and loaders speak.
#include <algorithm>
#include <cstring>

#include "backend/soft/interp/cpu.h"
#include "base/try.h"
#include "contract/x86/state_msrs.h"

namespace husk::soft::interp {

using namespace contract::x86;  // NOLINT(google-build-using-namespace): the names of this subject

namespace {

constexpr uint64_t kPatReset = 0x0007040600070406;

Segment real_mode_segment(uint16_t selector, bool code) {
  return {selector,
          static_cast<uint16_t>(kSegPresent | kSegNotSystem | kSegWritable | kSegAccessed |
                                (code ? kSegCode : 0)),
          0xffff, uint64_t{selector} << 4};
}

constexpr size_t kUpperInRest = kXsaveUpper - kXsaveLegacy;

// The XSAVE area behind its first 512 bytes: a header that says what is not in its initial state,
// and AVX's halves. What x87 and SSE have is in the image whether initial or not.
std::vector<uint8_t> extended_state(const fpu::FpuState& state) {
  std::vector<uint8_t> rest(kXsaveArea - kXsaveLegacy);
  rest[0] = kXcr0X87 | kXcr0Sse | (fpu::has_upper(state) ? kXcr0Avx : 0);
  std::ranges::copy(state.upper, rest.begin() + kUpperInRest);
  return rest;
}

void load_extended(const std::vector<uint8_t>& rest, fpu::FpuState& state) {
  if (rest.size() < kUpperInRest + state.upper.size() || (rest[0] & kXcr0Avx) == 0) return;
  std::copy_n(rest.begin() + kUpperInRest, state.upper.size(), state.upper.begin());
}

}  // namespace

// Table 10-1 of the Intel SDM, volume 3, except that RIP starts at zero: there is no firmware to
// start at.
void Cpu::reset() {
  regs.fill(0);
  set_rflags(2);
  rip = 0;
  for (uint8_t i = 0; i < kSegCount; ++i) seg[i] = real_mode_segment(0, i == kCs);
  ldtr = {};
  tr = {};
  gdtr = idtr = {0, 0xffff};
  cr0 = kCr0Et | kCr0Nw | kCr0Cd;
  cr2 = cr3 = cr4 = efer = 0;
  xcr0 = kXcr0X87;
  dr.fill(0);
  dr6 = 0xffff0ff0;
  dr7 = 0x400;
  pat = kPatReset;
  star = lstar = cstar = fmask = kernel_gs_base = tsc_aux = 0;
  kvm_system_time = kvm_wall_clock = spec_ctrl = mtrr_def_type = 0;
  mtrrs.fill(0);
  shadow = nmi_blocked = false;
  pending_ = {};
  ring = 0;
  device.commit();
  forget_debug_stop();
  fpu_unit->leave(fpu_state);
  fpu_state = fpu::FpuState{};
  flush_tlb_all();
  recheck_interrupts = true;
}

// As INIT does, then CS:IP from the SIPI's vector.
void Cpu::start_at(uint8_t sipi_page) {
  const uint64_t adjust = tsc_adjust;
  reset();
  tsc_adjust = adjust;
  seg[kCs] = real_mode_segment(static_cast<uint16_t>(sipi_page << 8), true);
  update_mode();
}

contract::x86::VcpuState Cpu::capture() {
  VcpuState state;
  std::copy_n(regs.begin(), 16, state.gpr.begin());
  state.rip = rip;
  state.rflags = rflags();
  state.segments = seg;
  state.ldtr = ldtr;
  state.tr = tr;
  state.gdtr = gdtr;
  state.idtr = idtr;
  state.cr0 = cr0;
  state.cr2 = cr2;
  state.cr3 = cr3;
  state.cr4 = cr4;
  state.cr8 = env.cr8();
  state.efer = efer;
  state.dr = dr;
  state.dr6 = dr6;
  state.dr7 = dr7;
  for (const uint32_t index : kStateMsrs) {
    uint64_t value = 0;
    if (read_msr(index, value)) state.msrs.push_back({index, value});
  }
  fpu_unit->leave(fpu_state);
  fpu::save_image(fpu_state, state.fxsave);
  if (shows_v3_) {
    state.xcr0 = xcr0;
    state.xsave = extended_state(fpu_state);
  }
  state.events.nmi_blocked = nmi_blocked;
  state.events.interrupt_shadow = shadow;
  state.cpu_model = cpu_model_;
  state.cpuid = cpuid_shown_;
  return state;
}

Result<void> Cpu::restore(const VcpuState& state) {
  const bool paging = (state.cr0 & kCr0Pg) != 0;
  const bool long_wanted = paging && (state.efer & kEferLme) != 0;
  if (paging && (state.cr0 & kCr0Pe) == 0)
    return fail(ErrorKind::kCorrupt, "vCPU state", "CR0 has paging without protection");
  if (long_wanted && (state.cr4 & kCr4Pae) == 0)
    return fail(ErrorKind::kCorrupt, "vCPU state", "long mode without CR4.PAE");
  HUSK_TRY(adopt_cpuid(state));
  reset();
  std::copy_n(state.gpr.begin(), 16, regs.begin());
  rip = state.rip;
  seg = state.segments;
  ldtr = state.ldtr;
  tr = state.tr;
  gdtr = state.gdtr;
  idtr = state.idtr;
  cr0 = state.cr0 | kCr0Et;
  cr2 = state.cr2;
  cr3 = state.cr3;
  cr4 = state.cr4;
  efer = (state.efer & ~kEferLma) | (long_wanted ? kEferLma : 0);
  dr = state.dr;
  dr6 = state.dr6;
  dr7 = state.dr7;
  // Level 3 exactly where SS says so: its DPL is the CPL.
  ring = protected_mode() ? seg[kSs].attributes >> 5 & 3 : 0;
  set_rflags(state.rflags);
  flush_tlb_all();
  HUSK_TRY(fpu::load_image(fpu_state, state.fxsave));
  if (shows_v3_) {
    if (!write_xcr0(state.xcr0))
      return fail(ErrorKind::kCorrupt, "vCPU state", "XCR0 has a value that is none");
    load_extended(state.xsave, fpu_state);
  }
  for (const Msr& msr : state.msrs) {
    if (!write_msr(msr.index, msr.value))
      return fail(ErrorKind::kCorrupt, "vCPU state",
                  "MSR " + std::to_string(msr.index) + " refuses its value");
  }
  env.set_cr8(state.cr8);
  nmi_blocked = state.events.nmi_blocked;
  shadow = state.events.interrupt_shadow;
  return {};
}

}  // namespace husk::soft::interp
