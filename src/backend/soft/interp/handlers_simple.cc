// Instructions of one byte (or two) without a family: flag bits, HLT, port I/O, INT, XLAT, LAHF,
// decimal adjustment, and the ones that only raise something.
#include "backend/soft/interp/alu.h"
#include "backend/soft/interp/handlers.h"
#include "backend/soft/interp/operands.h"

namespace husk::soft::interp {
namespace {

using namespace contract::x86;  // NOLINT(google-build-using-namespace): the names of this subject

const Op* nop(Cpu&, const Op* o) { return o + 1; }
const Op* undefined(Cpu& cpu, const Op* o) { return cpu.fault(o, kUd); }
const Op* overlong(Cpu& cpu, const Op* o) { return cpu.fault(o, kGp, 0); }

const Op* clc(Cpu& cpu, const Op* o) {
  cpu.status &= static_cast<Status>(~kStCf);
  return o + 1;
}
const Op* stc(Cpu& cpu, const Op* o) {
  cpu.status |= kStCf;
  return o + 1;
}
const Op* cmc(Cpu& cpu, const Op* o) {
  cpu.status ^= kStCf;
  return o + 1;
}
const Op* cld(Cpu& cpu, const Op* o) {
  cpu.rflags_rest &= ~kDf;
  return o + 1;
}
const Op* std_(Cpu& cpu, const Op* o) {
  cpu.rflags_rest |= kDf;
  return o + 1;
}

bool may_change_if(const Cpu& cpu) { return cpu.cpl() <= (cpu.rflags_rest >> 12 & 3); }

const Op* cli(Cpu& cpu, const Op* o) {
  if (!may_change_if(cpu)) return cpu.fault(o, kGp, 0);
  cpu.rflags_rest &= ~kIf;
  return o + 1;
}
const Op* sti(Cpu& cpu, const Op* o) {
  if (!may_change_if(cpu)) return cpu.fault(o, kGp, 0);
  if ((cpu.rflags_rest & kIf) != 0) return o + 1;
  cpu.rflags_rest |= kIf;
  cpu.shadow = true;
  cpu.interrupts_may_come();
  return cpu.leave(o);
}

const Op* hlt(Cpu& cpu, const Op* o) {
  if (cpu.cpl() != 0) return cpu.fault(o, kGp, 0);
  cpu.stop = Stop::kHalt;
  return cpu.leave(o);
}

const Op* lahf(Cpu& cpu, const Op* o) {
  set_reg<uint8_t>(cpu, 1, static_cast<uint8_t>(cpu.status >> 8) | 2);
  return o + 1;
}
const Op* sahf(Cpu& cpu, const Op* o) {
  constexpr Status kHigh = kStCf | kStPf | kStAf | kStZf | kStSf;
  cpu.status = static_cast<Status>((cpu.status & kStOf) | (reg<uint8_t>(cpu, 1) << 8 & kHigh));
  return o + 1;
}

// `disp` is zero; the table's register is in `base`, AL is added here.
const Op* xlat(Cpu& cpu, const Op* o) {
  uint8_t value;
  const uint64_t mask = o->scale == 8 ? ~uint64_t{0} : o->scale == 4 ? 0xffffffffu : 0xffffu;
  const uint64_t offset = (cpu.regs[kRbx] + reg<uint8_t>(cpu, 0)) & mask;
  if (!load<uint8_t>(cpu, o, offset + cpu.seg_base[o->segment], value)) return nullptr;
  set_reg<uint8_t>(cpu, 0, value);
  return o + 1;
}

// `aux`: 1 when the port is in `imm`, otherwise it is DX. `size`: 1, 2 or 4.
uint16_t port_of(const Cpu& cpu, const Op* o) {
  return o->aux == 1 ? static_cast<uint16_t>(static_cast<uint8_t>(o->imm))
                     : reg<uint16_t>(cpu, kRdx * 8);
}
const Op* in(Cpu& cpu, const Op* o) {
  uint32_t value = 0;
  const uint16_t port = port_of(cpu, o);
  if (!cpu.io_permitted(o, port, o->size) || !cpu.port_in(o, port, o->size, value)) return nullptr;
  if (o->size == 1) set_reg<uint8_t>(cpu, 0, static_cast<uint8_t>(value));
  if (o->size == 2) set_reg<uint16_t>(cpu, 0, static_cast<uint16_t>(value));
  if (o->size == 4) set_reg<uint32_t>(cpu, 0, value);
  return o + 1;
}
const Op* out(Cpu& cpu, const Op* o) {
  const uint16_t port = port_of(cpu, o);
  if (!cpu.io_permitted(o, port, o->size) || !cpu.port_out(o, port, o->size, reg<uint32_t>(cpu, 0)))
    return nullptr;
  return o + 1;
}

const Op* int3(Cpu& cpu, const Op* o) {
  if (cpu.debugging().software() && cpu.stops_before(o, DebugCause::kSoftwareBreakpoint))
    return nullptr;
  cpu.software_interrupt(o, kBp, true);
  return nullptr;
}
const Op* int1(Cpu& cpu, const Op* o) {
  cpu.software_interrupt(o, kDb, false);
  return nullptr;
}
const Op* int_n(Cpu& cpu, const Op* o) {
  cpu.software_interrupt(o, static_cast<uint8_t>(o->imm), true);
  return nullptr;
}
const Op* into(Cpu& cpu, const Op* o) {
  if ((cpu.status & kStOf) == 0) return o + 1;
  cpu.software_interrupt(o, kOfTrap, true);
  return nullptr;
}

// The bounds are signed and lie beside each other.
const Op* bound(Cpu& cpu, const Op* o) {
  const uint64_t linear = linear_address(cpu, o);
  const auto check = [&]<class T>() -> const Op* {
    T lower, upper;
    if (!load<T>(cpu, o, linear, lower) || !load<T>(cpu, o, linear + sizeof(T), upper))
      return nullptr;
    using Signed = std::make_signed_t<T>;
    const auto index = static_cast<Signed>(reg<T>(cpu, o->dst));
    const bool within = index >= static_cast<Signed>(lower) && index <= static_cast<Signed>(upper);
    return within ? o + 1 : cpu.fault(o, kBr);
  };
  return o->size == 2 ? check.operator()<uint16_t>() : check.operator()<uint32_t>();
}

// Decimal adjustment, 16- and 32-bit code only (Intel SDM vol. 2).
void set_szp(Cpu& cpu, uint8_t value, bool carry, bool adjust) {
  Status st = 0;
  alu<kOr, uint8_t>(value, 0, st);
  cpu.status = static_cast<Status>((st & (kStSf | kStZf | kStPf)) | (carry ? kStCf : 0) |
                                   (adjust ? kStAf : 0));
}
template <bool subtract>
const Op* decimal_adjust(Cpu& cpu, const Op* o) {
  const auto old = reg<uint8_t>(cpu, 0);
  const bool old_carry = (cpu.status & kStCf) != 0;
  const bool adjust = (old & 15) > 9 || (cpu.status & kStAf) != 0;
  const bool carry = old > 0x99 || old_carry;
  const int change = (adjust ? 6 : 0) + (carry ? 0x60 : 0);
  const auto value = static_cast<uint8_t>(subtract ? old - change : old + change);
  const bool borrowed = subtract && adjust && old < 6;
  set_reg<uint8_t>(cpu, 0, value);
  set_szp(cpu, value, carry || borrowed, adjust);
  return o + 1;
}
template <bool subtract>
const Op* ascii_adjust(Cpu& cpu, const Op* o) {
  const auto ax = reg<uint16_t>(cpu, 0);
  const bool adjust = (ax & 15) > 9 || (cpu.status & kStAf) != 0;
  const int change = adjust ? 0x106 : 0;
  auto value = static_cast<uint16_t>(subtract ? ax - change : ax + change);
  value &= 0xff0f;
  set_reg<uint16_t>(cpu, 0, value);
  set_szp(cpu, static_cast<uint8_t>(value), adjust, adjust);
  return o + 1;
}
const Op* aam(Cpu& cpu, const Op* o) {
  const auto base = static_cast<uint8_t>(o->imm);
  if (base == 0) return cpu.fault(o, kDe);
  const auto al = reg<uint8_t>(cpu, 0);
  set_reg<uint8_t>(cpu, 1, al / base);
  set_reg<uint8_t>(cpu, 0, al % base);
  set_szp(cpu, al % base, false, false);
  return o + 1;
}
const Op* aad(Cpu& cpu, const Op* o) {
  const auto value = static_cast<uint8_t>(reg<uint8_t>(cpu, 0) +
                                          reg<uint8_t>(cpu, 1) * static_cast<uint8_t>(o->imm));
  set_reg<uint16_t>(cpu, 0, value);
  set_szp(cpu, value, false, false);
  return o + 1;
}
const Op* salc(Cpu& cpu, const Op* o) {
  set_reg<uint8_t>(cpu, 0, (cpu.status & kStCf) != 0 ? 0xff : 0);
  return o + 1;
}

const Op* rdtsc(Cpu& cpu, const Op* o) {
  if ((cpu.cr4 & kCr4Tsd) != 0 && cpu.cpl() != 0) return cpu.fault(o, kGp, 0);
  const uint64_t now = cpu.read_tsc();
  cpu.regs[kRax] = static_cast<uint32_t>(now);
  cpu.regs[kRdx] = now >> 32;
  if (o->aux == 1) cpu.regs[kRcx] = static_cast<uint32_t>(cpu.tsc_aux);  // RDTSCP
  return o + 1;
}

const Op* cpuid(Cpu& cpu, const Op* o) {
  uint32_t out_regs[4];
  cpu.cpuid(reg<uint32_t>(cpu, kRax * 8), reg<uint32_t>(cpu, kRcx * 8), out_regs);
  cpu.regs[kRax] = out_regs[0];
  cpu.regs[kRbx] = out_regs[1];
  cpu.regs[kRcx] = out_regs[2];
  cpu.regs[kRdx] = out_regs[3];
  return o + 1;
}

const Op* fence(Cpu&, const Op* o) {
  __atomic_thread_fence(__ATOMIC_SEQ_CST);
  return o + 1;
}

}  // namespace

Handler undefined_handler() { return undefined; }
Handler overlong_handler() { return overlong; }

Handler simple_handler(Simple what) {
  switch (what) {
    case Simple::kNop:
      return nop;
    case Simple::kFence:
      return fence;
    case Simple::kClc:
      return clc;
    case Simple::kStc:
      return stc;
    case Simple::kCmc:
      return cmc;
    case Simple::kCld:
      return cld;
    case Simple::kStd:
      return std_;
    case Simple::kCli:
      return cli;
    case Simple::kSti:
      return sti;
    case Simple::kHlt:
      return hlt;
    case Simple::kLahf:
      return lahf;
    case Simple::kSahf:
      return sahf;
    case Simple::kXlat:
      return xlat;
    case Simple::kIn:
      return in;
    case Simple::kOut:
      return out;
    case Simple::kInt1:
      return int1;
    case Simple::kInt3:
      return int3;
    case Simple::kIntN:
      return int_n;
    case Simple::kInto:
      return into;
    case Simple::kBound:
      return bound;
    case Simple::kDaa:
      return decimal_adjust<false>;
    case Simple::kDas:
      return decimal_adjust<true>;
    case Simple::kAaa:
      return ascii_adjust<false>;
    case Simple::kAas:
      return ascii_adjust<true>;
    case Simple::kAam:
      return aam;
    case Simple::kAad:
      return aad;
    case Simple::kSalc:
      return salc;
    case Simple::kRdtsc:
      return rdtsc;
    case Simple::kCpuid:
      return cpuid;
  }
  return undefined;
}

}  // namespace husk::soft::interp
