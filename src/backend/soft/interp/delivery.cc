// Exceptions and interrupts: through the IDT to their handlers (Intel SDM vol. 3, chapter 6).
#include "backend/soft/interp/delivery.h"

#include "backend/soft/interp/inner_stack.h"
#include "backend/soft/interp/operands.h"
#include "backend/soft/interp/segments.h"

namespace husk::soft::interp {

using namespace contract::x86;  // NOLINT(google-build-using-namespace): the names of this subject

namespace {

bool contributory(uint8_t vector) { return vector == kDe || (vector >= kTs && vector <= kGp); }

}  // namespace

bool has_error_code(uint8_t vector) {
  return vector == kDfault || (vector >= kTs && vector <= kPfault) || vector == kAcFault;
}

bool Delivery::real_mode() {
  const uint64_t entry = cpu_.idtr.base + uint64_t{event_.vector} * 4;
  uint32_t target = 0;
  if (event_.vector * 4u + 3 > cpu_.idtr.limit) return raise(kGp, 0);
  if (!cpu_.system_load(nullptr, entry, &target, 4)) return false;
  FramePusher frame(cpu_, nullptr, cpu_.seg[kSs].base, cpu_.regs[kRsp], 0xffff, 0);
  if (!frame.push(cpu_.rflags() & 0xffff, 2) || !frame.push(cpu_.seg[kCs].selector, 2) ||
      !frame.push(event_.return_ip & 0xffff, 2))
    return false;
  cpu_.regs[kRsp] = frame.sp();
  cpu_.rflags_rest &= ~(kIf | kTf | kAc | kRf);
  cpu_.set_real_segment(kCs, static_cast<uint16_t>(target >> 16));
  cpu_.rip = target & 0xffff;
  cpu_.update_mode();
  return true;
}

bool Delivery::raise(uint8_t vector, uint32_t error) {
  cpu_.fault(nullptr, vector, error);
  return false;
}

// The gate and the code segment that it names.
bool Delivery::read_gate() {
  const uint32_t width = cpu_.long_mode() ? 16 : 8;
  const uint64_t offset = uint64_t{event_.vector} * width;
  const uint32_t error = event_.vector * 8u + 2 + external_bit();
  if (offset + width - 1 > cpu_.idtr.limit) return raise(kGp, error);
  uint64_t words[2] = {};
  if (!cpu_.system_load(nullptr, cpu_.idtr.base + offset, words, width)) return false;
  gate_.type = words[0] >> 40 & 0x1f;
  gate_.dpl = words[0] >> 45 & 3;
  gate_.selector = static_cast<uint16_t>(words[0] >> 16);
  gate_.ist = words[0] >> 32 & 7;
  gate_.offset = (words[0] & 0xffff) | (words[0] >> 32 & 0xffff0000u);
  if (cpu_.long_mode()) gate_.offset |= words[1] << 32;
  gate_.wide = gate_.type == kTypeInterruptGate || gate_.type == kTypeTrapGate;
  const bool narrow = gate_.type == kTypeInterruptGate16 || gate_.type == kTypeTrapGate16;
  if (!gate_.wide && (!narrow || cpu_.long_mode())) return raise(kGp, error);
  if (event_.software && gate_.dpl < cpu_.cpl()) return raise(kGp, error);
  if ((words[0] >> 47 & 1) == 0) return raise(kNp, error);
  return true;
}

bool Delivery::read_code_segment() {
  const uint32_t error = (gate_.selector & 0xfffcu) + external_bit();
  if ((gate_.selector & 0xfffc) == 0) return raise(kGp, external_bit());
  uint64_t descriptor = 0;
  uint64_t address = 0;
  if (!read_descriptor(cpu_, nullptr, gate_.selector, kGp, descriptor, address, external_bit()))
    return false;
  code_ = unpack_descriptor(gate_.selector, descriptor);
  const uint8_t level = code_.attributes >> 5 & 3;
  const bool code = (code_.attributes & kSegNotSystem) != 0 && (code_.attributes & kSegCode) != 0;
  if (!code || level > cpu_.cpl()) return raise(kGp, error);
  if (cpu_.long_mode() && ((code_.attributes & kSegLong) == 0 || (code_.attributes & kSegBig) != 0))
    return raise(kGp, error);
  if ((code_.attributes & kSegPresent) == 0) return raise(kNp, error);
  new_cpl_ = (code_.attributes & kSegConforming) != 0 ? cpu_.cpl() : level;
  return mark_accessed(cpu_, nullptr, address, descriptor);
}

bool Delivery::long_stack(uint64_t& sp) {
  if (gate_.ist == 0 && new_cpl_ == cpu_.cpl()) {
    sp = cpu_.regs[kRsp];
  } else if (!inner_stack_64(cpu_, nullptr, new_cpl_, gate_.ist, external_bit(), sp)) {
    return false;
  }
  sp &= ~uint64_t{15};
  return true;
}

bool Delivery::long_mode() {
  if (!read_gate() || !read_code_segment()) return false;
  uint64_t sp = 0;
  if (!canonical(gate_.offset)) return raise(kGp, external_bit());
  if (!long_stack(sp)) return false;
  FramePusher frame(cpu_, nullptr, 0, sp, ~uint64_t{0}, external_bit());
  const uint64_t flags = cpu_.rflags() | (event_.resume ? kRf : 0);
  if (!frame.push(cpu_.seg[kSs].selector, 8) || !frame.push(cpu_.regs[kRsp], 8) ||
      !frame.push(flags, 8) || !frame.push(cpu_.seg[kCs].selector, 8) ||
      !frame.push(event_.return_ip, 8))
    return false;
  if (event_.has_error && !frame.push(event_.error, 8)) return false;
  if (new_cpl_ != cpu_.cpl()) {
    cpu_.seg[kSs] = null_stack(new_cpl_);
  }
  cpu_.regs[kRsp] = frame.sp();
  enter_handler();
  return true;
}

// A 32-bit gate, or a 16-bit one.
bool Delivery::protected_mode() {
  if (!read_gate() || !read_code_segment()) return false;
  const uint32_t size = gate_.wide ? 4 : 2;
  if (cpu_.vm86())
    return raise(kGp, gate_.selector & 0xfffcu);  // see the header: no virtual-8086 monitor
  if (!gate_.wide) gate_.offset &= 0xffff;
  Segment stack = cpu_.seg[kSs];
  uint64_t sp = cpu_.regs[kRsp];
  const bool inner = new_cpl_ < cpu_.cpl();
  if (inner && !inner_stack_32(cpu_, nullptr, new_cpl_, external_bit(), stack, sp)) return false;
  const uint64_t mask = (stack.attributes & kSegBig) != 0 ? 0xffffffffu : 0xffffu;
  const uint32_t bytes = size * (3 + (inner ? 2 : 0) + (event_.has_error ? 1 : 0));
  const uint32_t stack_error = (inner ? stack.selector & 0xfffcu : 0) | external_bit();
  if (!within_limit(stack, (sp - bytes) & mask, bytes)) return raise(kSsFault, stack_error);
  if (gate_.offset > code_.limit) return raise(kGp, external_bit());
  FramePusher frame(cpu_, nullptr, stack.base, sp, mask, stack_error);
  const uint64_t flags = cpu_.rflags() | (event_.resume ? kRf : 0);
  if (inner && (!frame.push(cpu_.seg[kSs].selector, size) || !frame.push(cpu_.regs[kRsp], size)))
    return false;
  if (!frame.push(flags, size) || !frame.push(cpu_.seg[kCs].selector, size) ||
      !frame.push(event_.return_ip, size))
    return false;
  if (event_.has_error && !frame.push(event_.error, size)) return false;
  cpu_.seg[kSs] = stack;
  cpu_.regs[kRsp] = frame.sp();
  enter_handler();
  return true;
}

void Delivery::enter_handler() {
  const bool interrupt_gate = (gate_.type & 1) == 0;
  cpu_.rflags_rest &= ~(kTf | kNt | kRf | kVm | (interrupt_gate ? kIf : 0));
  cpu_.seg[kCs] = code_;
  cpu_.seg[kCs].selector = static_cast<uint16_t>((gate_.selector & ~3u) | new_cpl_);
  cpu_.set_cpl(new_cpl_);
  cpu_.rip = gate_.offset;
  cpu_.update_mode();
}

bool Delivery::run() {
  const bool done = !cpu_.protected_mode() ? real_mode()
                    : cpu_.long_mode()     ? long_mode()
                                           : protected_mode();
  // The handler of #DB may use the debug registers whatever DR7.GD said (Intel SDM vol. 3, 18.2.4).
  constexpr uint64_t kGeneralDetect = 1u << 13;
  if (done && event_.vector == kDb && !event_.software) cpu_.dr7 &= ~kGeneralDetect;
  return done;
}

const Op* Cpu::fault(const Op* op, uint8_t vector, uint32_t error) {
  pending_ = {true, vector, has_error_code(vector) && protected_mode(), error};
  if (op != nullptr) rip = ip_of(op) & ip_mask;
  return nullptr;
}

const Op* Cpu::fault(const Op* op, uint8_t vector) { return fault(op, vector, 0); }

// Delivers what is pending. A fault on the way becomes the pending one or, where the architecture
// says so, a double fault; a fault in the delivery of that is a shutdown.
bool Cpu::deliver_pending() {
  int depth = 0;
  while (pending_.active) {
    const Pending event = pending_;
    pending_ = {};
    const bool fault_class = event.vector != kBp && event.vector != kOfTrap && event.vector != kDb;
    Delivery delivery(*this,
                      {event.vector, false, false, event.has_error, fault_class, event.error, rip});
    const uint64_t saved_cr2 = cr2;
    if (delivery.run()) return true;
    if (stop == Stop::kDevice) return false;  // an IDT or a stack in device space is nobody's
    if (event.vector == kDfault || ++depth > 8) return false;
    const uint8_t second = pending_.vector;
    const bool first_bad = contributory(event.vector) || event.vector == kPfault;
    const bool second_bad = contributory(second) || (event.vector == kPfault && second == kPfault);
    if (first_bad && second_bad) {
      pending_ = {true, kDfault, protected_mode(), 0};
      cr2 = second == kPfault ? cr2 : saved_cr2;
    }
  }
  return true;
}

bool Cpu::deliver(uint8_t vector, bool external) {
  if (vector == kNmi) nmi_blocked = true;
  Delivery delivery(*this, {vector, external, false, false, false, 0, rip});
  if (delivery.run()) return true;
  return deliver_pending();
}

bool Cpu::deliver_exception(uint8_t vector, bool has_error, uint32_t error) {
  pending_ = {true, vector, has_error, error};
  return deliver_pending();
}

bool Cpu::software_interrupt(const Op* op, uint8_t vector, bool checked) {
  rip = ip_of(op) & ip_mask;
  step_suppressed = true;
  if (vm86() && checked && (rflags_rest & kIopl) != kIopl) {
    fault(op, kGp, 0);
    return false;
  }
  Delivery delivery(*this, {vector, false, checked, false, false, 0, next_ip(op) & ip_mask});
  return delivery.run();
}

}  // namespace husk::soft::interp
