// XSAVE, XRSTOR, XGETBV and XSETBV (Intel SDM vol. 1, chapter 13): the standard format, without the
// optimisations that CPUID does not show.
#include <cstring>

#include "backend/soft/interp/handlers.h"
#include "backend/soft/interp/operands.h"

namespace husk::soft::interp {
namespace {

using namespace contract::x86;  // NOLINT(google-build-using-namespace): the names of this subject

uint64_t pair(const Cpu& cpu) { return cpu.regs[kRdx] << 32 | (cpu.regs[kRax] & 0xffffffffu); }

// False: a fault. Else the area's linear address.
bool area_of(Cpu& cpu, const Op* o, uint64_t& linear) {
  if ((cpu.cr4 & kCr4Osxsave) == 0) {
    cpu.fault(o, kUd);
    return false;
  }
  if ((cpu.cr0 & kCr0Ts) != 0) {
    cpu.fault(o, kNm);
    return false;
  }
  linear = linear_address(cpu, o);
  if (linear % 64 == 0) return true;
  cpu.fault(o, kGp, 0);
  return false;
}

uint32_t bytes_for(uint64_t components) {
  return (components & kXcr0Avx) != 0 ? kXsaveArea : kXsaveUpper;
}

// By pieces, for what lies between them stays as it is.
const Op* save_slow(Cpu& cpu, const Op* o, uint64_t linear, uint64_t components) {
  std::array<uint8_t, kXsaveArea> area{};
  if (!cpu.probe_write(o, linear, bytes_for(components))) return nullptr;
  if (!cpu.load_slow(o, linear + kXsaveLegacy, &area[kXsaveLegacy], 8)) return nullptr;
  for (const auto [begin, end] : fpu::save_extended(cpu.fpu_state, components, area.data())) {
    const auto size = static_cast<uint32_t>(end - begin);
    if (size != 0 && !cpu.store_slow(o, linear + begin, &area[begin], size)) return nullptr;
  }
  return o + 1;
}

const Op* save(Cpu& cpu, const Op* o) {
  uint64_t linear = 0;
  if (!area_of(cpu, o, linear)) return nullptr;
  const uint64_t components = pair(cpu) & cpu.xcr0;
  cpu.fpu_unit->leave(cpu.fpu_state);
  std::byte* host = cpu.tlb.find(cpu.tlb.write, linear, bytes_for(components), cpu.context);
  if (host == nullptr) return save_slow(cpu, o, linear, components);
  (void)fpu::save_extended(cpu.fpu_state, components, reinterpret_cast<uint8_t*>(host));
  return o + 1;
}

// The area is copied before it is looked at: other vCPUs may change it at any moment.
const Op* restore(Cpu& cpu, const Op* o) {
  uint64_t linear = 0;
  if (!area_of(cpu, o, linear)) return nullptr;
  const uint64_t components = pair(cpu) & cpu.xcr0;
  const uint32_t size = bytes_for(components);
  alignas(64) std::array<uint8_t, kXsaveArea> area{};
  if (const std::byte* host = cpu.tlb.find(cpu.tlb.read, linear, size, cpu.context)) {
    std::memcpy(area.data(), host, size);
  } else if (!cpu.load_slow(o, linear, area.data(), size)) {
    return nullptr;
  }
  cpu.fpu_unit->leave(cpu.fpu_state);
  if (!fpu::restore_extended(cpu.fpu_state, components, cpu.xcr0, area.data()))
    return cpu.fault(o, kGp, 0);
  return o + 1;
}

const Op* get_control(Cpu& cpu, const Op* o) {
  if ((cpu.cr4 & kCr4Osxsave) == 0) return cpu.fault(o, kUd);
  if (static_cast<uint32_t>(cpu.regs[kRcx]) != 0) return cpu.fault(o, kGp, 0);
  cpu.regs[kRax] = static_cast<uint32_t>(cpu.xcr0);
  cpu.regs[kRdx] = cpu.xcr0 >> 32;
  return o + 1;
}

const Op* set_control(Cpu& cpu, const Op* o) {
  if ((cpu.cr4 & kCr4Osxsave) == 0) return cpu.fault(o, kUd);
  const bool allowed = cpu.cpl() == 0 && static_cast<uint32_t>(cpu.regs[kRcx]) == 0;
  if (!allowed || !cpu.write_xcr0(pair(cpu))) return cpu.fault(o, kGp, 0);
  return cpu.leave(o);
}

}  // namespace

Handler xsave_handler(Xsave what) {
  switch (what) {
    case Xsave::kSave:
      return save;
    case Xsave::kRestore:
      return restore;
    case Xsave::kGetControl:
      return get_control;
    case Xsave::kSetControl:
      return set_control;
  }
  return undefined_handler();
}

}  // namespace husk::soft::interp
