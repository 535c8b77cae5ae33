// Model-specific registers. An index that is not here is #GP, which kernels are prepared for.
#include <algorithm>

#include "backend/soft/interp/cpu.h"

namespace husk::soft::interp {

using namespace contract::x86;  // NOLINT(google-build-using-namespace): the names of this subject

namespace {

enum Index : uint32_t {
  kTsc = 0x10,
  kApicBase = 0x1b,
  kFeatureControl = 0x3a,
  kTscAdjust = 0x3b,
  kSpecCtrl = 0x48,
  kPredCmd = 0x49,
  kBiosSign = 0x8b,
  kMtrrCap = 0xfe,
  kSysenterCs = 0x174,
  kSysenterEsp = 0x175,
  kSysenterEip = 0x176,
  kMcgCap = 0x179,
  kMcgStatus = 0x17a,
  kMiscEnable = 0x1a0,
  kMtrrVarFirst = 0x200,
  kMtrrVarLast = 0x20f,
  kMtrrFix64k = 0x250,
  kMtrrFix16k0 = 0x258,
  kMtrrFix16k1 = 0x259,
  kMtrrFix4kFirst = 0x268,
  kMtrrFix4kLast = 0x26f,
  kPat = 0x277,
  kMtrrDefType = 0x2ff,
  kTscDeadline = 0x6e0,
  kX2apicFirst = 0x800,
  kX2apicLast = 0x8ff,
  kKvmWallClockOld = 0x11,
  kKvmSystemTimeOld = 0x12,
  kKvmWallClock = 0x4b564d00,
  kKvmSystemTime = 0x4b564d01,
  kEfer = 0xc0000080,
  kStar = 0xc0000081,
  kLstar = 0xc0000082,
  kCstar = 0xc0000083,
  kFmask = 0xc0000084,
  kFsBase = 0xc0000100,
  kGsBase = 0xc0000101,
  kKernelGsBase = 0xc0000102,
  kTscAux = 0xc0000103,
  kAmdSyscfg = 0xc0010010,
  kAmdHwcr = 0xc0010015,
  kAmdPatchLevel = 0xc001020b,
  kAmdDeCfg = 0xc0011029,
  kAmdInterruptPending = 0xc0010055,
  kAmdNbCfg = 0xc001001f,
  kAmdOsvwLength = 0xc0010140,
};

constexpr uint64_t kEferAutoIbrs = uint64_t{1} << 21;
constexpr uint64_t kEferWritable = kEferSce | kEferLme | kEferNxe | kEferAutoIbrs;
constexpr uint64_t kMtrrCapValue = 0x508;  // eight variable ranges, fixed ranges, write-combining
constexpr uint64_t kDeCfgLfence = 2;       // LFENCE serializes

bool canonical(uint64_t linear) {
  return static_cast<int64_t>(linear << 16) >> 16 == static_cast<int64_t>(linear);
}

bool write_canonical(uint64_t& target, uint64_t value) {
  if (canonical(value)) target = value;
  return canonical(value);
}

bool valid_pat(uint64_t value) {
  for (int i = 0; i < 64; i += 8) {
    const uint64_t type = value >> i & 0xff;
    if (type > 7 || type == 2 || type == 3) return false;
  }
  return true;
}

// The MTRRs' place in Cpu::mtrrs: they are remembered and have no effect, as no memory here is
// uncached.
int mtrr_slot(uint32_t index) {
  if (index >= kMtrrVarFirst && index <= kMtrrVarLast)
    return static_cast<int>(index - kMtrrVarFirst);
  if (index == kMtrrFix64k) return 16;
  if (index == kMtrrFix16k0 || index == kMtrrFix16k1)
    return static_cast<int>(17 + index - kMtrrFix16k0);
  if (index >= kMtrrFix4kFirst && index <= kMtrrFix4kLast)
    return static_cast<int>(19 + index - kMtrrFix4kFirst);
  return -1;
}

// Reserved types and bits are #GP (Intel SDM vol. 3, 12.11.2).
bool valid_memory_type(uint64_t type) { return type < 7 && type != 2 && type != 3; }

bool valid_mtrr(uint32_t index, uint64_t value) {
  constexpr uint64_t kAddressBits = uint64_t{1} << 48;  // CPUID's MAXPHYADDR
  if (index >= kMtrrVarFirst && index <= kMtrrVarLast) {
    if (value >= kAddressBits) return false;
    const bool mask = index % 2 != 0;
    return mask ? (value & 0x7ff) == 0 : (value & 0xf00) == 0 && valid_memory_type(value & 0xff);
  }
  if (index == kMtrrDefType)
    return (value & ~uint64_t{0xcff}) == 0 && valid_memory_type(value & 0xff);
  for (int i = 0; i < 64; i += 8) {
    if (!valid_memory_type(value >> i & 0xff)) return false;
  }
  return true;
}

// Registers of the vendor's that kernels read and write without asking CPUID; they hold nothing
// that matters here.
bool ignored_amd(uint32_t index) {
  return index == kAmdSyscfg || index == kAmdHwcr || index == kAmdPatchLevel ||
         index == kAmdInterruptPending || index == kAmdNbCfg;
}

}  // namespace

bool Cpu::read_msr(uint32_t index, uint64_t& value) {
  if (index == kApicBase || index == kTscDeadline ||
      (index >= kX2apicFirst && index <= kX2apicLast)) {
    const auto result = env.apic_msr_read(index);
    value = result.value_or(0);
    return result.has_value();
  }
  if (const int slot = mtrr_slot(index); slot >= 0) {
    value = mtrrs[static_cast<size_t>(slot)];
    return true;
  }
  switch (index) {
    case kTsc:
      value = read_tsc();
      return true;
    case kTscAdjust:
      value = tsc_adjust;
      return true;
    case kSpecCtrl:
      value = spec_ctrl;
      return true;
    case kMtrrCap:
      value = kMtrrCapValue;
      return true;
    case kMtrrDefType:
      value = mtrr_def_type;
      return true;
    case kPat:
      value = pat;
      return true;
    case kSysenterCs:
      value = sysenter_cs;
      return true;
    case kSysenterEsp:
      value = sysenter_esp;
      return true;
    case kSysenterEip:
      value = sysenter_eip;
      return true;
    case kMiscEnable:
      value = misc_enable;
      return true;
    case kFeatureControl:
      value = 1;
      return true;
    case kEfer:
      value = efer;
      return true;
    case kStar:
      value = star;
      return true;
    case kLstar:
      value = lstar;
      return true;
    case kCstar:
      value = cstar;
      return true;
    case kFmask:
      value = fmask;
      return true;
    case kFsBase:
      value = seg[kFs].base;
      return true;
    case kGsBase:
      value = seg[kGs].base;
      return true;
    case kKernelGsBase:
      value = kernel_gs_base;
      return true;
    case kTscAux:
      value = tsc_aux;
      return true;
    case kKvmWallClock:
    case kKvmWallClockOld:
      value = kvm_wall_clock;
      return true;
    case kKvmSystemTime:
    case kKvmSystemTimeOld:
      value = kvm_system_time;
      return true;
    case kAmdDeCfg:
      value = kDeCfgLfence;
      return true;
    case kBiosSign:
    case kMcgCap:
    case kMcgStatus:
      value = 0;
      return true;
    default:
      value = 0;
      return ignored_amd(index);
  }
}

bool Cpu::write_segment_base_msr(uint8_t index, uint64_t value) {
  if (!canonical(value)) return false;
  seg[index].base = value;
  seg_base[index] = value;
  return true;
}

bool Cpu::write_efer(uint64_t value) {
  if ((value & ~(kEferWritable | kEferLma)) != 0) return false;
  if ((cr0 & kCr0Pg) != 0 && ((efer ^ value) & kEferLme) != 0) return false;
  const uint64_t before = efer;
  efer = (value & kEferWritable) | (efer & kEferLma);
  if (((before ^ efer) & kEferNxe) != 0) forget_translations();
  update_mode();
  return true;
}

bool Cpu::write_msr(uint32_t index, uint64_t value) {
  if (index == kApicBase || index == kTscDeadline ||
      (index >= kX2apicFirst && index <= kX2apicLast)) {
    const bool done = env.apic_msr_write(index, value);
    interrupts_may_come();
    return done;
  }
  if (const int slot = mtrr_slot(index); slot >= 0) {
    if (!valid_mtrr(index, value)) return false;
    mtrrs[static_cast<size_t>(slot)] = value;
    return true;
  }
  switch (index) {
    case kTsc:
      tsc_adjust += value - read_tsc();
      return true;
    case kTscAdjust:
      tsc_adjust = value;
      return true;
    case kSpecCtrl:
      if (value >> 3 != 0) return false;
      spec_ctrl = value;
      return true;
    case kPredCmd:
      return true;
    case kMtrrDefType:
      if (!valid_mtrr(index, value)) return false;
      mtrr_def_type = value;
      return true;
    case kPat:
      if (!valid_pat(value)) return false;
      pat = value;
      return true;
    case kSysenterCs:
      sysenter_cs = value;
      return true;
    case kSysenterEsp:
      sysenter_esp = value;
      return true;
    case kSysenterEip:
      sysenter_eip = value;
      return true;
    case kMiscEnable:
      misc_enable = value;
      return true;
    case kEfer:
      return write_efer(value);
    case kStar:
      star = value;
      return true;
    case kLstar:
      return write_canonical(lstar, value);
    case kCstar:
      return write_canonical(cstar, value);
    case kFmask:
      fmask = value & 0xffffffff;
      return true;
    case kFsBase:
      return write_segment_base_msr(kFs, value);
    case kGsBase:
      return write_segment_base_msr(kGs, value);
    case kKernelGsBase:
      return write_canonical(kernel_gs_base, value);
    case kTscAux:
      tsc_aux = value & 0xffffffff;
      return true;
    case kKvmWallClock:
    case kKvmWallClockOld:
      write_wall_clock(value);
      return true;
    case kKvmSystemTime:
    case kKvmSystemTimeOld:
      write_kvmclock(value);
      return true;
    case kAmdDeCfg:
    case kBiosSign:
    case kMcgStatus:
      return true;
    default:
      return ignored_amd(index);
  }
}

}  // namespace husk::soft::interp
