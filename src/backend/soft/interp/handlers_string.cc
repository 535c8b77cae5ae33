// MOVS CMPS STOS LODS SCAS INS OUTS, single and repeated. Iterations commit one by one, so that a
// fault, a device access or an interrupt leaves the registers as the architecture says. Forward
// MOVS and STOS move whole page stretches at a time.
//
// In an op: `aux` is the repeat prefix (0 none, 1 REP/REPE, 2 REPNE), `scale` the address size in
// bytes, `segment` the source's segment.
#include <algorithm>
#include <cstring>

#include "backend/soft/interp/alu.h"
#include "backend/soft/interp/handlers.h"
#include "backend/soft/interp/operands.h"

namespace husk::soft::interp {
namespace {

using contract::x86::kEs;
using contract::x86::kRcx;
using contract::x86::kRdi;
using contract::x86::kRdx;
using contract::x86::kRsi;

class StringOp {
 public:
  StringOp(Cpu& cpu, const Op* op) : cpu_(cpu), op_(op) {
    mask_ = op->scale == 8 ? ~uint64_t{0} : op->scale == 4 ? 0xffffffffu : 0xffffu;
  }
  [[nodiscard]] bool repeated() const { return op_->aux != 0; }
  [[nodiscard]] uint64_t count() const { return cpu_.regs[kRcx] & mask_; }
  [[nodiscard]] bool forward() const { return (cpu_.rflags_rest & kDf) == 0; }
  // Whether several iterations may be one step.
  [[nodiscard]] bool bulk() const {
    return repeated() && (cpu_.rflags_rest & (kDf | kTf)) == 0 && !cpu_.checks_alignment() &&
           !cpu_.debugging().watching();
  }
  [[nodiscard]] uint64_t source() const {
    return (cpu_.regs[kRsi] & mask_) + cpu_.seg_base[op_->segment];
  }
  [[nodiscard]] uint64_t destination() const {
    return (cpu_.regs[kRdi] & mask_) + cpu_.seg_base[kEs];
  }
  void advance(uint8_t reg, int64_t bytes) {
    const uint64_t value = cpu_.regs[reg] + static_cast<uint64_t>(forward() ? bytes : -bytes);
    put(reg, value);
  }
  void consume(uint64_t n) {
    if (repeated()) put(kRcx, cpu_.regs[kRcx] - n);
  }
  // How many elements of `size` bytes, at most `n`, start at `linear` and stay within its page; at
  // least one when the first does not cross.
  static uint64_t in_page(uint64_t linear, uint64_t n, uint32_t size) {
    return std::min(n, (kPageSize - linear % kPageSize) / size);
  }

 private:
  void put(uint8_t reg, uint64_t value) {
    if (mask_ == 0xffffu) {
      cpu_.regs[reg] = (cpu_.regs[reg] & ~mask_) | (value & mask_);
    } else {
      cpu_.regs[reg] = value & mask_;
    }
  }
  Cpu& cpu_;
  const Op* op_;
  uint64_t mask_;
};

// Outcome of one iteration.
enum class Step { kFault, kContinue, kDone };

template <class T>
void copy_forward(std::byte* to, const std::byte* from, uint64_t n) {
  const uint64_t bytes = n * sizeof(T);
  const auto distance = static_cast<uint64_t>(to - from);
  if (distance >= bytes || to <= from) {
    std::memmove(to, from, bytes);
    return;
  }
  // The source overlaps what has just been written: element by element, as the hardware would.
  for (uint64_t i = 0; i < n; ++i) {
    T value;
    std::memcpy(&value, from + i * sizeof(T), sizeof(T));
    std::memcpy(to + i * sizeof(T), &value, sizeof(T));
  }
}

template <class T>
Step movs(Cpu& cpu, const Op* o, StringOp& s) {
  const uint64_t from = s.source();
  const uint64_t to = s.destination();
  if (s.bulk()) {
    const uint64_t n = std::min(StringOp::in_page(from, s.count(), sizeof(T)),
                                StringOp::in_page(to, s.count(), sizeof(T)));
    std::byte* source = nullptr;
    Cpu::WriteRef target;
    if (n > 1) {
      if (!cpu.resolve_read(o, from, 1, source) || !cpu.resolve_write(o, to, 1, target))
        return Step::kFault;
      if (source != nullptr && target.host != nullptr) {
        copy_forward<T>(target.host, source, n);
        cpu.finish_write(o, target);
        s.advance(kRsi, static_cast<int64_t>(n * sizeof(T)));
        s.advance(kRdi, static_cast<int64_t>(n * sizeof(T)));
        s.consume(n);
        return Step::kContinue;
      }
    }
  }
  T value;
  if (!load<T>(cpu, o, from, value) || !store<T>(cpu, o, to, value)) return Step::kFault;
  s.advance(kRsi, sizeof(T));
  s.advance(kRdi, sizeof(T));
  s.consume(1);
  return Step::kContinue;
}

template <class T>
void fill(std::byte* to, T value, uint64_t n) {
  if constexpr (sizeof(T) == 1) {
    std::memset(to, value, n);
  } else if (value == 0) {
    std::memset(to, 0, n * sizeof(T));
  } else {
    for (uint64_t i = 0; i < n; ++i) std::memcpy(to + i * sizeof(T), &value, sizeof(T));
  }
}

template <class T>
Step stos(Cpu& cpu, const Op* o, StringOp& s) {
  const uint64_t to = s.destination();
  const T value = reg<T>(cpu, 0);
  if (s.bulk()) {
    const uint64_t n = StringOp::in_page(to, s.count(), sizeof(T));
    Cpu::WriteRef target;
    if (n > 1) {
      if (!cpu.resolve_write(o, to, 1, target)) return Step::kFault;
      if (target.host != nullptr) {
        fill<T>(target.host, value, n);
        cpu.finish_write(o, target);
        s.advance(kRdi, static_cast<int64_t>(n * sizeof(T)));
        s.consume(n);
        return Step::kContinue;
      }
    }
  }
  if (!store<T>(cpu, o, to, value)) return Step::kFault;
  s.advance(kRdi, sizeof(T));
  s.consume(1);
  return Step::kContinue;
}

template <class T>
Step lods(Cpu& cpu, const Op* o, StringOp& s) {
  T value;
  if (!load<T>(cpu, o, s.source(), value)) return Step::kFault;
  set_reg<T>(cpu, 0, value);
  s.advance(kRsi, sizeof(T));
  s.consume(1);
  return Step::kContinue;
}

// REPE goes on while equal, REPNE while different.
Step compared(const Cpu& cpu, const Op* o) {
  const bool equal = (cpu.status & kStZf) != 0;
  return equal == (o->aux == 1) ? Step::kContinue : Step::kDone;
}

template <class T>
Step cmps(Cpu& cpu, const Op* o, StringOp& s) {
  T a;
  T b;
  if (!load<T>(cpu, o, s.source(), a) || !load<T>(cpu, o, s.destination(), b)) return Step::kFault;
  alu<kCmp, T>(a, b, cpu.status);
  s.advance(kRsi, sizeof(T));
  s.advance(kRdi, sizeof(T));
  s.consume(1);
  return compared(cpu, o);
}

template <class T>
Step scas(Cpu& cpu, const Op* o, StringOp& s) {
  T value;
  if (!load<T>(cpu, o, s.destination(), value)) return Step::kFault;
  alu<kCmp, T>(reg<T>(cpu, 0), value, cpu.status);
  s.advance(kRdi, sizeof(T));
  s.consume(1);
  return compared(cpu, o);
}

template <class T>
Step ins(Cpu& cpu, const Op* o, StringOp& s) {
  const auto port = reg<uint16_t>(cpu, kRdx * 8);
  uint32_t value = 0;
  if (!cpu.io_permitted(o, port, sizeof(T)) || !cpu.probe_write(o, s.destination(), sizeof(T)))
    return Step::kFault;
  if (!cpu.port_in(o, port, sizeof(T), value)) return Step::kFault;
  if (!store<T>(cpu, o, s.destination(), static_cast<T>(value))) return Step::kFault;
  s.advance(kRdi, sizeof(T));
  s.consume(1);
  return Step::kContinue;
}

template <class T>
Step outs(Cpu& cpu, const Op* o, StringOp& s) {
  const auto port = reg<uint16_t>(cpu, kRdx * 8);
  T value;
  if (!cpu.io_permitted(o, port, sizeof(T)) || !load<T>(cpu, o, s.source(), value))
    return Step::kFault;
  if (!cpu.port_out(o, port, sizeof(T), value)) return Step::kFault;
  s.advance(kRsi, sizeof(T));
  s.consume(1);
  return Step::kContinue;
}

template <Step (*step)(Cpu&, const Op*, StringOp&)>
const Op* run(Cpu& cpu, const Op* o) {
  StringOp s(cpu, o);
  if (!s.repeated()) {
    if (step(cpu, o, s) == Step::kFault) return nullptr;
    return o + 1;
  }
  // A fault leaves the flags as the first iteration found them (Intel SDM vol. 2, REP); so does
  // what interrupts it, as processors have it.
  const Status before = cpu.status;
  while (s.count() != 0) {
    const Step outcome = step(cpu, o, s);
    if (outcome == Step::kFault) {
      cpu.status = before;
      return nullptr;
    }
    cpu.device.commit();
    if (outcome == Step::kDone) break;
    const bool interrupted =
        cpu.attention.load(std::memory_order_relaxed) != 0 || (cpu.rflags_rest & kTf) != 0;
    if (s.count() != 0 && interrupted) [[unlikely]] {
      cpu.status = before;
      cpu.rip =
          cpu.ip_of(o);  // goes on here; what interrupts it pushes RF (Intel SDM vol. 3, 17.3.1.1)
      cpu.rflags_rest |= kRf;
      return nullptr;
    }
  }
  return o + 1;
}

template <class T>
Handler pick(uint8_t opcode) {
  switch (opcode & 0xfe) {
    case 0xa4:
      return run<movs<T>>;
    case 0xa6:
      return run<cmps<T>>;
    case 0xaa:
      return run<stos<T>>;
    case 0xac:
      return run<lods<T>>;
    case 0xae:
      return run<scas<T>>;
    case 0x6c:
      return run<ins<T>>;
    default:
      return run<outs<T>>;
  }
}

}  // namespace

Handler string_handler(uint8_t opcode, int log2) {
  switch (log2) {
    case 0:
      return pick<uint8_t>(opcode);
    case 1:
      return pick<uint16_t>(opcode);
    case 2:
      return pick<uint32_t>(opcode);
    default:
      // 64-bit INS and OUTS do not exist: they are the 32-bit ones.
      return (opcode & 0xfc) == 0x6c ? pick<uint32_t>(opcode) : pick<uint64_t>(opcode);
  }
}

}  // namespace husk::soft::interp
