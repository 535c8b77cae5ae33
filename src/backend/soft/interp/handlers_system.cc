// Instructions of operating systems: control, debug and model-specific registers, descriptor-table
// registers, system calls, TLB control, segment-base access.
#include "backend/soft/interp/handlers.h"
#include "backend/soft/interp/segments.h"
#include "backend/soft/interp/stack.h"

namespace husk::soft::interp {
namespace {

using namespace contract::x86;  // NOLINT(google-build-using-namespace): the names of this subject

#define HUSK_REQUIRE_CPL0(cpu, o) \
  if ((cpu).cpl() != 0) return (cpu).fault((o), kGp, 0)

// `aux` names the control or debug register, `dst`/`src` the general one.
const Op* mov_from_cr(Cpu& cpu, const Op* o) {
  HUSK_REQUIRE_CPL0(cpu, o);
  uint64_t value = 0;
  switch (o->aux) {
    case 0:
      value = cpu.cr0;
      break;
    case 2:
      value = cpu.cr2;
      break;
    case 3:
      value = cpu.cr3;
      break;
    case 4:
      value = cpu.cr4;
      break;
    case 8:
      value = cpu.env.cr8();
      break;
    default:
      return cpu.fault(o, kUd);
  }
  set_reg<uint64_t>(cpu, o->dst, cpu.code64() ? value : static_cast<uint32_t>(value));
  return o + 1;
}
const Op* mov_to_cr(Cpu& cpu, const Op* o) {
  HUSK_REQUIRE_CPL0(cpu, o);
  const uint64_t value = cpu.code64() ? reg<uint64_t>(cpu, o->src) : reg<uint32_t>(cpu, o->src);
  if (!cpu.write_cr(o, o->aux, value)) return nullptr;
  return cpu.leave(o);
}

// What comes before every access to a debug register (Intel SDM vol. 3, 18.2). False: raised.
bool may_access_dr(Cpu& cpu, const Op* o, uint8_t& index) {
  constexpr uint64_t kGeneralDetect = 1u << 13;  // of DR7; in DR6 the bit that tells
  const bool alias = o->aux == 4 || o->aux == 5;
  index = alias ? o->aux + 2 : o->aux;
  if (cpu.cpl() != 0) {
    cpu.fault(o, kGp, 0);
  } else if (index >= 8 || (alias && (cpu.cr4 & kCr4De) != 0)) {
    cpu.fault(o, kUd);
  } else if ((cpu.dr7 & kGeneralDetect) != 0) {
    cpu.dr6 |= kGeneralDetect;
    cpu.fault(o, kDb);
  } else {
    return true;
  }
  return false;
}

const Op* mov_from_dr(Cpu& cpu, const Op* o) {
  uint8_t index = 0;
  if (!may_access_dr(cpu, o, index)) return nullptr;
  const uint64_t value = index == 6 ? cpu.dr6 : index == 7 ? cpu.dr7 : cpu.dr[index & 3];
  set_reg<uint64_t>(cpu, o->dst, cpu.code64() ? value : static_cast<uint32_t>(value));
  return o + 1;
}
const Op* mov_to_dr(Cpu& cpu, const Op* o) {
  uint8_t index = 0;
  if (!may_access_dr(cpu, o, index)) return nullptr;
  const uint64_t value = cpu.code64() ? reg<uint64_t>(cpu, o->src) : reg<uint32_t>(cpu, o->src);
  if (index >= 6 && value >> 32 != 0) return cpu.fault(o, kGp, 0);
  if (index == 6) {
    cpu.dr6 = (value & 0xe00f) | 0xffff0ff0;
  } else if (index == 7) {
    cpu.dr7 = (value & 0xffff2bff) | 0x400;
  } else {
    cpu.dr[index] = value;
  }
  return cpu.leave(o);
}

const Op* rdmsr(Cpu& cpu, const Op* o) {
  HUSK_REQUIRE_CPL0(cpu, o);
  uint64_t value = 0;
  if (!cpu.read_msr(reg<uint32_t>(cpu, kRcx * 8), value)) return cpu.fault(o, kGp, 0);
  cpu.regs[kRax] = static_cast<uint32_t>(value);
  cpu.regs[kRdx] = value >> 32;
  return o + 1;
}
const Op* wrmsr(Cpu& cpu, const Op* o) {
  HUSK_REQUIRE_CPL0(cpu, o);
  const uint64_t value =
      uint64_t{reg<uint32_t>(cpu, kRdx * 8)} << 32 | reg<uint32_t>(cpu, kRax * 8);
  if (!cpu.write_msr(reg<uint32_t>(cpu, kRcx * 8), value)) return cpu.fault(o, kGp, 0);
  return cpu.leave(o);
}

const Op* clts(Cpu& cpu, const Op* o) {
  HUSK_REQUIRE_CPL0(cpu, o);
  cpu.cr0 &= ~kCr0Ts;
  cpu.update_mode();
  return cpu.leave(o);
}

// Nothing is cached that memory does not know.
const Op* cache_control(Cpu& cpu, const Op* o) {
  HUSK_REQUIRE_CPL0(cpu, o);
  return o + 1;
}

// SGDT and SIDT; `aux` 0 or 1.
const Op* store_table(Cpu& cpu, const Op* o) {
  if ((cpu.cr4 & kCr4Umip) != 0 && cpu.cpl() != 0) return cpu.fault(o, kGp, 0);
  const DescriptorTable& table = o->aux == 0 ? cpu.gdtr : cpu.idtr;
  const uint64_t linear = linear_address(cpu, o);
  const uint32_t base_size = cpu.code64() ? 8 : 4;
  if (!cpu.probe_write(o, linear, 2 + base_size)) return nullptr;
  if (!store<uint16_t>(cpu, o, linear, table.limit)) return nullptr;
  const bool done = base_size == 8
                        ? store<uint64_t>(cpu, o, linear + 2, table.base)
                        : store<uint32_t>(cpu, o, linear + 2, static_cast<uint32_t>(table.base));
  if (!done) return nullptr;
  return o + 1;
}
const Op* load_table(Cpu& cpu, const Op* o) {
  HUSK_REQUIRE_CPL0(cpu, o);
  const uint64_t linear = linear_address(cpu, o);
  DescriptorTable table;
  if (!load<uint16_t>(cpu, o, linear, table.limit)) return nullptr;
  if (cpu.code64()) {
    if (!load<uint64_t>(cpu, o, linear + 2, table.base)) return nullptr;
    if (!canonical(table.base)) return cpu.fault(o, kGp, 0);
  } else {
    uint32_t base = 0;
    if (!load<uint32_t>(cpu, o, linear + 2, base)) return nullptr;
    table.base = o->size == 2 ? base & 0xffffff : base;
  }
  (o->aux == 0 ? cpu.gdtr : cpu.idtr) = table;
  return o + 1;
}

// SLDT STR SMSW: into a register of the operand's size or 16 bits of memory. `aux`: 0 LDTR, 1 TR, 2
// CR0.
uint64_t system_word(const Cpu& cpu, const Op* o) {
  return o->aux == 0 ? cpu.ldtr.selector : o->aux == 1 ? cpu.tr.selector : cpu.cr0;
}
const Op* store_word_r(Cpu& cpu, const Op* o) {
  if ((cpu.cr4 & kCr4Umip) != 0 && cpu.cpl() != 0) return cpu.fault(o, kGp, 0);
  if (o->aux < 2 && cpu.real_mode()) return cpu.fault(o, kUd);
  with_size(o->size, [&]<class T>() {
    set_reg<T>(cpu, o->dst, static_cast<T>(system_word(cpu, o)));
    return 0;
  });
  return o + 1;
}
const Op* store_word_m(Cpu& cpu, const Op* o) {
  if ((cpu.cr4 & kCr4Umip) != 0 && cpu.cpl() != 0) return cpu.fault(o, kGp, 0);
  if (o->aux < 2 && cpu.real_mode()) return cpu.fault(o, kUd);
  if (!store<uint16_t>(cpu, o, linear_address(cpu, o), static_cast<uint16_t>(system_word(cpu, o))))
    return nullptr;
  return o + 1;
}

template <bool memory>
const Op* lmsw(Cpu& cpu, const Op* o) {
  HUSK_REQUIRE_CPL0(cpu, o);
  uint16_t value;
  if (!source<uint16_t, memory>(cpu, o, value)) return nullptr;
  // PE can be set but not cleared.
  const uint64_t next = (cpu.cr0 & ~uint64_t{0xe}) | (value & 0xf);
  if (!cpu.write_cr(o, 0, next)) return nullptr;
  return cpu.leave(o);
}

// LLDT and LTR; `aux` 0 or 1. In long mode their descriptors have sixteen bytes.
template <bool memory>
const Op* load_system_segment(Cpu& cpu, const Op* o) {
  if (cpu.real_mode()) return cpu.fault(o, kUd);
  HUSK_REQUIRE_CPL0(cpu, o);
  uint16_t selector;
  if (!source<uint16_t, memory>(cpu, o, selector)) return nullptr;
  const bool task = o->aux == 1;
  if ((selector & 0xfffc) == 0) {
    if (task) return cpu.fault(o, kGp, 0);
    cpu.ldtr = {};
    cpu.ldtr.selector = selector;
    return o + 1;
  }
  if ((selector & 4) != 0) return cpu.fault(o, kGp, selector & 0xfffcu);
  uint64_t descriptor = 0;
  uint64_t address = 0;
  if (!read_descriptor(cpu, o, selector, kGp, descriptor, address)) return nullptr;
  Segment segment = unpack_descriptor(selector, descriptor);
  const uint8_t type = segment.attributes & 0x1f;
  const bool good =
      task ? type == kTypeTss || (type == kTypeTss16 && !cpu.long_mode()) : type == kTypeLdt;
  if (!good) return cpu.fault(o, kGp, selector & 0xfffcu);
  if ((segment.attributes & kSegPresent) == 0) return cpu.fault(o, kNp, selector & 0xfffcu);
  if (cpu.long_mode()) {
    uint64_t high = 0;
    if (!cpu.system_load(o, address + 8, &high, 8)) return nullptr;
    segment.base |= high << 32;
    if (!canonical(segment.base)) return cpu.fault(o, kGp, selector & 0xfffcu);
  }
  if (task) {
    const auto busy = static_cast<uint8_t>(descriptor >> 40 | 2);
    if (!cpu.system_store(o, address + 5, &busy, 1)) return nullptr;
    segment.attributes |= 2;
    cpu.tr = segment;
  } else {
    cpu.ldtr = segment;
  }
  return o + 1;
}

// What VERR, VERW, LAR and LSL find behind a selector, and whether they may look at it; they never
// fault on a bad one.
struct Inspected {
  Segment segment;
  uint64_t descriptor = 0;
  bool visible = false;
};

bool inspect(Cpu& cpu, const Op* o, uint16_t selector, Inspected& found) {
  const bool local = (selector & 4) != 0;
  const uint32_t limit = local ? cpu.ldtr.limit : cpu.gdtr.limit;
  const uint64_t base = local ? cpu.ldtr.base : cpu.gdtr.base;
  if ((selector & 0xfffc) == 0 || (selector & ~7u) + 7 > limit) return true;
  if (local && (cpu.ldtr.attributes & kSegPresent) == 0) return true;
  if (!cpu.system_load(o, base + (selector & ~7u), &found.descriptor, 8)) return false;
  found.segment = unpack_descriptor(selector, found.descriptor);
  const uint16_t attributes = found.segment.attributes;
  const bool conforming = (attributes & kSegNotSystem) != 0 && (attributes & kSegCode) != 0 &&
                          (attributes & kSegConforming) != 0;
  const uint8_t level = attributes >> 5 & 3;
  found.visible = conforming || (level >= cpu.cpl() && level >= (selector & 3));
  return true;
}

template <bool memory>
bool inspect_operand(Cpu& cpu, const Op* o, Inspected& found) {
  uint16_t selector;
  return source<uint16_t, memory>(cpu, o, selector) && inspect(cpu, o, selector, found);
}

void set_zf(Cpu& cpu, bool value) {
  cpu.status = static_cast<Status>((cpu.status & ~kStZf) | (value ? kStZf : 0));
}

// `aux`: 0 VERR, 1 VERW.
template <bool memory>
const Op* verify(Cpu& cpu, const Op* o) {
  if (cpu.real_mode()) return cpu.fault(o, kUd);
  Inspected found;
  if (!inspect_operand<memory>(cpu, o, found)) return nullptr;
  const uint16_t type = found.segment.attributes;
  const bool code = (type & kSegCode) != 0;
  const bool readable = !code || (type & kSegWritable) != 0;
  const bool writable = !code && (type & kSegWritable) != 0;
  set_zf(cpu, found.visible && (type & kSegNotSystem) != 0 && (o->aux == 0 ? readable : writable));
  return o + 1;
}

// `aux`: 0 LAR, 1 LSL.
template <bool memory>
const Op* load_rights(Cpu& cpu, const Op* o) {
  if (cpu.real_mode()) return cpu.fault(o, kUd);
  Inspected found;
  if (!inspect_operand<memory>(cpu, o, found)) return nullptr;
  const uint8_t type = found.segment.attributes & 0xf;
  if ((found.segment.attributes & kSegNotSystem) == 0) {
    const bool tss = type == kTypeTss || type == kTypeTssBusy;
    const bool legacy = type == kTypeTss16 || type == kTypeTss16Busy;
    const bool gate = type == kTypeCallGate ||
                      ((type == kTypeCallGate16 || type == kTypeTaskGate) && !cpu.long_mode());
    found.visible = found.visible && (tss || type == kTypeLdt || (legacy && !cpu.long_mode()) ||
                                      (gate && o->aux == 0));
  }
  set_zf(cpu, found.visible);
  if (found.visible) {
    const uint64_t value = o->aux == 0 ? found.descriptor >> 32 & 0x00f0ff00u : found.segment.limit;
    with_size(o->size, [&]<class T>() {
      set_reg<T>(cpu, o->dst, static_cast<T>(value));
      return 0;
    });
  }
  return o + 1;
}

// The destination's RPL becomes at least the source's; memory is written only when it does.
template <bool memory>
const Op* arpl(Cpu& cpu, const Op* o) {
  if (cpu.real_mode()) return cpu.fault(o, kUd);
  uint16_t selector = reg<uint16_t>(cpu, o->dst);
  if (memory && !load<uint16_t>(cpu, o, linear_address(cpu, o), selector)) return nullptr;
  const auto level = static_cast<uint16_t>(reg<uint16_t>(cpu, o->src) & 3);
  const bool raise = (selector & 3) < level;
  const auto raised = static_cast<uint16_t>((selector & ~3) | level);
  if (raise && memory && !store<uint16_t>(cpu, o, linear_address(cpu, o), raised)) return nullptr;
  if (raise && !memory) set_reg<uint16_t>(cpu, o->dst, raised);
  set_zf(cpu, raise);
  return o + 1;
}

const Op* invlpg(Cpu& cpu, const Op* o) {
  HUSK_REQUIRE_CPL0(cpu, o);
  cpu.invalidate_page(linear_address(cpu, o));
  return cpu.leave(o);
}

const Op* invpcid(Cpu& cpu, const Op* o) {
  HUSK_REQUIRE_CPL0(cpu, o);
  uint64_t descriptor[2];
  const uint64_t linear = linear_address(cpu, o);
  if (!load<uint64_t>(cpu, o, linear, descriptor[0]) ||
      !load<uint64_t>(cpu, o, linear + 8, descriptor[1]))
    return nullptr;
  const uint64_t type = cpu.code64() ? reg<uint64_t>(cpu, o->dst) : reg<uint32_t>(cpu, o->dst);
  if (type > 3 || descriptor[0] >> 12 != 0) return cpu.fault(o, kGp, 0);
  if (type <= 1 && descriptor[0] != 0 && (cpu.cr4 & kCr4Pcide) == 0) return cpu.fault(o, kGp, 0);
  if (type == 0 && !canonical(descriptor[1])) return cpu.fault(o, kGp, 0);
  if (type == 0) {
    const bool current = descriptor[0] == ((cpu.cr4 & kCr4Pcide) != 0 ? cpu.cr3 & 0xfff : 0);
    if (!current) cpu.flush_pcid(static_cast<uint32_t>(descriptor[0]));
    cpu.invalidate_page(descriptor[1]);
  } else if (type == 1) {
    cpu.flush_pcid(static_cast<uint32_t>(descriptor[0]));
  } else {
    cpu.flush_tlb_all();
  }
  return cpu.leave(o);
}

const Op* swapgs(Cpu& cpu, const Op* o) {
  if (!cpu.code64()) return cpu.fault(o, kUd);
  HUSK_REQUIRE_CPL0(cpu, o);
  std::swap(cpu.seg[kGs].base, cpu.kernel_gs_base);
  cpu.seg_base[kGs] = cpu.seg[kGs].base;
  return o + 1;
}

// RDFSBASE RDGSBASE WRFSBASE WRGSBASE; `aux` is the segment.
const Op* read_segment_base(Cpu& cpu, const Op* o) {
  if (!cpu.code64() || (cpu.cr4 & kCr4Fsgsbase) == 0) return cpu.fault(o, kUd);
  const uint64_t base = cpu.seg[o->aux].base;
  set_reg<uint64_t>(cpu, o->dst, o->size == 8 ? base : static_cast<uint32_t>(base));
  return o + 1;
}
const Op* write_segment_base(Cpu& cpu, const Op* o) {
  if (!cpu.code64() || (cpu.cr4 & kCr4Fsgsbase) == 0) return cpu.fault(o, kUd);
  const uint64_t base = o->size == 8 ? reg<uint64_t>(cpu, o->src) : reg<uint32_t>(cpu, o->src);
  if (!canonical(base)) return cpu.fault(o, kGp, 0);
  cpu.seg[o->aux].base = base;
  cpu.seg_base[o->aux] = base;
  return o + 1;
}

// VMCALL and VMMCALL are one: a guest may use either, whatever the vendor.
const Op* hypercall(Cpu& cpu, const Op* o) { return cpu.hypercall(o) ? o + 1 : nullptr; }

template <bool set>
const Op* change_ac(Cpu& cpu, const Op* o) {
  if (cpu.cpl() != 0 || cpu.vm86()) return cpu.fault(o, kUd);
  if constexpr (set) {
    cpu.rflags_rest |= kAc;
  } else {
    cpu.rflags_rest &= ~kAc;
  }
  cpu.update_context();
  return o + 1;
}

void set_flat(Segment& segment, uint16_t selector, bool code, bool wide, uint8_t dpl) {
  segment.selector = selector;
  segment.base = 0;
  segment.limit = 0xffffffff;
  segment.attributes = static_cast<uint16_t>(
      kSegPresent | kSegNotSystem | kSegAccessed | kSegWritable | kSegGranular | dpl << 5 |
      (code ? kSegCode : 0) | (code && wide ? kSegLong : kSegBig));
}

const Op* syscall(Cpu& cpu, const Op* o) {
  if ((cpu.efer & kEferSce) == 0 || !cpu.protected_mode()) return cpu.fault(o, kUd);
  const uint64_t return_ip = cpu.next_ip(o) & cpu.ip_mask;
  const auto selector = static_cast<uint16_t>(cpu.star >> 32 & 0xfffc);
  cpu.regs[kRcx] = return_ip;
  if (cpu.long_mode()) {
    cpu.regs[11] = cpu.rflags() & ~kRf;
    cpu.rip = cpu.code64() ? cpu.lstar : cpu.cstar;
    cpu.set_rflags(cpu.rflags() & ~(cpu.fmask | kRf));
    set_flat(cpu.seg[kCs], selector, true, true, 0);
  } else {
    cpu.regs[kRcx] = static_cast<uint32_t>(return_ip);
    cpu.rip = static_cast<uint32_t>(cpu.star);
    cpu.rflags_rest &= ~(kIf | kVm | kRf);
    set_flat(cpu.seg[kCs], selector, true, false, 0);
  }
  set_flat(cpu.seg[kSs], static_cast<uint16_t>(selector + 8), false, false, 0);
  cpu.set_cpl(0);
  cpu.step_suppressed = true;
  cpu.update_mode();
  return nullptr;
}

const Op* sysret(Cpu& cpu, const Op* o) {
  if ((cpu.efer & kEferSce) == 0 || !cpu.protected_mode()) return cpu.fault(o, kUd);
  HUSK_REQUIRE_CPL0(cpu, o);
  const auto base = static_cast<uint16_t>(cpu.star >> 48);
  const bool to_64 = o->size == 8;
  if (to_64 && !canonical(cpu.regs[kRcx])) return cpu.fault(o, kGp, 0);
  cpu.rip = to_64 ? cpu.regs[kRcx] : static_cast<uint32_t>(cpu.regs[kRcx]);
  if (cpu.long_mode()) {
    cpu.set_rflags((cpu.regs[11] & 0x3c7fd7) | 2);
  } else {
    cpu.rflags_rest |= kIf;
  }
  set_flat(cpu.seg[kCs], static_cast<uint16_t>((to_64 ? base + 16 : base) | 3), true, to_64, 3);
  // AMD leaves the rest of SS alone, which compatibility code can see; Linux is told by the vendor
  // and repairs it. The Intel way is what no guest can be hurt by.
  set_flat(cpu.seg[kSs], static_cast<uint16_t>((base + 8) | 3), false, false, 3);
  cpu.set_cpl(3);
  cpu.update_mode();
  cpu.interrupts_may_come();
  return nullptr;
}

#undef HUSK_REQUIRE_CPL0

}  // namespace

Handler system_handler(System what, bool memory) {
  switch (what) {
    case System::kMovFromCr:
      return mov_from_cr;
    case System::kMovToCr:
      return mov_to_cr;
    case System::kMovFromDr:
      return mov_from_dr;
    case System::kMovToDr:
      return mov_to_dr;
    case System::kRdmsr:
      return rdmsr;
    case System::kWrmsr:
      return wrmsr;
    case System::kClts:
      return clts;
    case System::kCacheControl:
      return cache_control;
    case System::kStoreTable:
      return store_table;
    case System::kLoadTable:
      return load_table;
    case System::kStoreWord:
      return memory ? store_word_m : store_word_r;
    case System::kLmsw:
      return memory ? lmsw<true> : lmsw<false>;
    case System::kLoadSystemSegment:
      return memory ? load_system_segment<true> : load_system_segment<false>;
    case System::kVerify:
      return memory ? verify<true> : verify<false>;
    case System::kArpl:
      return memory ? arpl<true> : arpl<false>;
    case System::kLoadRights:
      return memory ? load_rights<true> : load_rights<false>;
    case System::kInvlpg:
      return invlpg;
    case System::kInvpcid:
      return invpcid;
    case System::kSwapgs:
      return swapgs;
    case System::kReadSegmentBase:
      return read_segment_base;
    case System::kWriteSegmentBase:
      return write_segment_base;
    case System::kClac:
      return change_ac<false>;
    case System::kStac:
      return change_ac<true>;
    case System::kSyscall:
      return syscall;
    case System::kSysret:
      return sysret;
    case System::kHypercall:
      return hypercall;
  }
  return undefined_handler();
}

}  // namespace husk::soft::interp
