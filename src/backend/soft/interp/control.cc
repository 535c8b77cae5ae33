// Control registers, and what the rest of the CPU derives from them.
#include "backend/soft/interp/cpu.h"
#include "contract/x86/cpu_model.h"

namespace husk::soft::interp {

using namespace contract::x86;  // NOLINT(google-build-using-namespace): the names of this subject
using decode::CodeSize;
using mmu::Privilege;

namespace {

constexpr uint64_t kCr0Known = kCr0Pe | kCr0Mp | kCr0Em | kCr0Ts | kCr0Et | kCr0Ne | kCr0Wp |
                               kCr0Am | kCr0Nw | kCr0Cd | kCr0Pg;
constexpr uint64_t kCr4Known = kCr4Vme | kCr4Pvi | kCr4Tsd | kCr4De | kCr4Pse | kCr4Pae | kCr4Mce |
                               kCr4Pge | kCr4Pce | kCr4Osfxsr | kCr4Osxmmexcpt | kCr4Umip |
                               kCr4Fsgsbase | kCr4Pcide | kCr4Smep | kCr4Smap;
constexpr uint64_t kCr3NoFlush = uint64_t{1} << 63;
constexpr uint64_t kCr3Reserved = ~((uint64_t{1} << 48) - 1);

}  // namespace

void Cpu::update_context() {
  const bool smap_override = (rflags_rest & kAc) != 0;
  privilege_ = ring == 3       ? Privilege::kUser
               : smap_override ? Privilege::kSupervisorNoSmap
                               : Privilege::kSupervisor;
  context = context_base_ | static_cast<uint64_t>(privilege_);
  const bool aligned = ring == 3 && (rflags_rest & kAc) != 0 && (cr0 & kCr0Am) != 0;
  if (aligned) context |= mmu::kNeverCached;
}

void Cpu::update_mode() {
  const Segment& cs = seg[kCs];
  if (long_mode() && (cs.attributes & kSegLong) != 0) {
    code_size = CodeSize::k64;
  } else {
    code_size = (cs.attributes & kSegBig) != 0 ? CodeSize::k32 : CodeSize::k16;
  }
  ip_mask = code64() ? ~uint64_t{0} : 0xffffffffu;
  for (uint8_t i = 0; i < kSegCount; ++i) seg_base[i] = code64() && i < kFs ? 0 : seg[i].base;

  bool wrapped = false;
  const bool paging = (cr0 & kCr0Pg) != 0;
  context_base_ = contexts_.context_of(paging && (cr4 & kCr4Pcide) != 0 ? cr3 & 0xfff : 0, wrapped);
  if (wrapped) {
    tlb.flush_all();
    forget_jumps(Jumps::kNotGlobal);
  }
  update_context();
  if (seg[kCs].base != code_base_) {  // jump entries know the offset in CS only
    code_base_ = seg[kCs].base;
    if (!code64()) forget_jumps(Jumps::kAll);
  }
  // Below 2^31, so that translated code can compare it with an immediate.
  const uint64_t mode = static_cast<uint64_t>(code_size) << 1 | (ring == 3 ? 1 : 0);
  code_key = jump_epoch_ << 13 | mode | uint64_t{context_base_} << 1;
  const bool global = paging && (cr4 & kCr4Pge) != 0 && ring != 3;
  global_code_key = global ? global_jump_epoch_ << 13 | mode : code_key;
}

bool Cpu::write_cr(const Op* op, uint8_t index, uint64_t value) {
  switch (index) {
    case 0:
      return write_cr0(op, value);
    case 2:
      cr2 = value;
      return true;
    case 3:
      return write_cr3(op, value);
    case 4:
      return write_cr4(op, value);
    case 8:
      if (value >> 4 != 0) break;
      env.set_cr8(value);
      interrupts_may_come();
      return true;
    default:
      fault(op, kUd);
      return false;
  }
  fault(op, kGp, 0);
  return false;
}

bool Cpu::write_cr0(const Op* op, uint64_t value) {
  const bool paging = (value & kCr0Pg) != 0;
  const bool bad =
      value >> 32 != 0 || (paging && (value & kCr0Pe) == 0) ||
      ((value & kCr0Nw) != 0 && (value & kCr0Cd) == 0) || (!paging && (cr4 & kCr4Pcide) != 0) ||
      (paging && (cr0 & kCr0Pg) == 0 && (efer & kEferLme) != 0 && (cr4 & kCr4Pae) == 0);
  if (bad || (!paging && code64())) {
    fault(op, kGp, 0);
    return false;
  }
  const uint64_t before = cr0;
  cr0 = (value & kCr0Known) | kCr0Et;
  if (((before ^ cr0) & (kCr0Pg | kCr0Wp | kCr0Pe)) != 0) {
    if ((efer & kEferLme) != 0) efer = paging ? efer | kEferLma : efer & ~kEferLma;
    if ((before & kCr0Pe) != 0 && (cr0 & kCr0Pe) == 0) ring = 0;
    forget_translations();
  }
  update_mode();
  return true;
}

bool Cpu::write_cr3(const Op* op, uint64_t value) {
  const bool pcid = (cr4 & kCr4Pcide) != 0;
  const bool keep = pcid && (value & kCr3NoFlush) != 0;
  if (pcid) value &= ~kCr3NoFlush;
  if (long_mode() && (value & kCr3Reserved) != 0) {
    fault(op, kGp, 0);
    return false;
  }
  cr3 = value;
  if (!keep) contexts_.forget(pcid ? value & 0xfff : 0);
  update_mode();
  return true;
}

// False: #GP (Intel SDM vol. 2, XSETBV).
bool Cpu::write_xcr0(uint64_t value) {
  const bool avx_alone = (value & kXcr0Avx) != 0 && (value & kXcr0Sse) == 0;
  if ((value & kXcr0X87) == 0 || (value & ~xcr0_mask(cpuid_shown_)) != 0 || avx_alone) return false;
  xcr0 = value;
  return true;
}

bool Cpu::write_cr4(const Op* op, uint64_t value) {
  const bool pcid_wrong =
      (value & kCr4Pcide) != 0 && (cr4 & kCr4Pcide) == 0 && (!long_mode() || (cr3 & 0xfff) != 0);
  const bool pae_needed = long_mode() && (value & kCr4Pae) == 0;
  const uint64_t known = kCr4Known | (shows_v3_ ? kCr4Osxsave : 0);
  if ((value & ~known) != 0 || pcid_wrong || pae_needed) {
    fault(op, kGp, 0);
    return false;
  }
  const uint64_t changed = cr4 ^ value;
  cr4 = value;
  if ((changed & (kCr4Pge | kCr4Pae | kCr4Pse | kCr4Pcide | kCr4Smep | kCr4Smap)) != 0)
    forget_translations();
  update_mode();
  return true;
}

}  // namespace husk::soft::interp
