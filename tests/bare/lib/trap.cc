#include "trap.h"

#include "descriptors.h"

extern "C" int bare_guarded(uint64_t* escape_sp, void (*body)(void*), void* argument);
extern "C" [[noreturn]] void bare_escape(uint64_t sp);

namespace bare {
namespace {

struct Guard {
  uint64_t sp = 0;
  Trap trap;
};

Guard* volatile guards[kMaxCpus];
Handler handlers[256];

}  // namespace

uint64_t probe_at;

void set_handler(uint8_t vector, Handler handler) {
  __atomic_store_n(&handlers[vector], handler, __ATOMIC_RELEASE);
}

extern "C" void bare_trap(Frame* frame) {
  const Handler handler = __atomic_load_n(&handlers[frame->vector], __ATOMIC_ACQUIRE);
  if (handler != nullptr) return handler(*frame);
  Trap trap;
  trap.vector = static_cast<uint32_t>(frame->vector);
  trap.error = frame->error;
  trap.rip = frame->rip;
  trap.cs = frame->cs;
  trap.flags = frame->flags;
  trap.rsp = frame->rsp;
  trap.ss = frame->ss;
  trap.cr2 = read_cr2();
  trap.stack = reinterpret_cast<uint64_t>(frame + 1);
  trap.frame = *frame;
  Guard* guard = guards[this_cpu()];
  if (guard == nullptr) give_up(Text("unexpected ") << describe(trap).c_str());
  guard->trap = trap;
  bare_escape(guard->sp);
}

Trap catch_trap_raw(void (*body)(void*), void* argument) {
  const uint32_t cpu = this_cpu();
  Guard guard;
  Guard* outer = guards[cpu];
  guards[cpu] = &guard;
  bare_guarded(&guard.sp, body, argument);
  guards[cpu] = outer;
  guard.trap.probe = probe_at;
  return guard.trap;
}

Trap enter(const Entry& entry) {
  return catch_trap([&] { bare_enter(&entry); });
}

Text describe(const Trap& trap) {
  Text text;
  if (trap.vector == kNoTrap) return text << "no trap";
  text << "vector " << static_cast<int>(trap.vector) << " error " << trap.error << " rip "
       << trap.rip << " cs " << trap.cs << " flags " << trap.flags << " rsp " << trap.rsp << " cr2 "
       << trap.cr2;
  return text;
}

void check_trap(const Text& name, const Trap& trap, uint32_t vector, uint64_t error, uint64_t rip) {
  if (trap.vector == vector && trap.error == error && trap.rip == rip) return check(name, true);
  Text line = name;
  line << ": got " << describe(trap).c_str() << ", expected vector " << static_cast<int>(vector)
       << " error " << error << " rip " << rip;
  check(line, false);
}

void check_fault(const Text& name, const Trap& trap, uint32_t vector, uint64_t error) {
  check_trap(name, trap, vector, error, trap.probe);
}

}  // namespace bare
