#include "backend/soft/fpu/trap.h"

#include <ucontext.h>

#include <csignal>
#include <mutex>

// int husk_fpu_call(image, gpr, memory, flags, thunk, uint64_t* resume_stack): calls the thunk,
// which touches no callee-saved register, and returns 0. The signal handler sends a thunk that
// faulted to husk_fpu_trapped with the stack pointer that is kept in *resume_stack.
asm(R"(
  .pushsection .text
  .p2align 4
  .hidden husk_fpu_call
  .globl husk_fpu_call
  .type husk_fpu_call, @function
husk_fpu_call:
  movq %rsp, (%r9)
  call *%r8
  xorl %eax, %eax
  ret
  .hidden husk_fpu_trapped
  .globl husk_fpu_trapped
husk_fpu_trapped:
  movl $1, %eax
  ret
  .size husk_fpu_call, . - husk_fpu_call
  .popsection
)");

extern "C" {
int husk_fpu_call(void* image, uint64_t* gpr, void* memory, uint64_t* flags,
                  husk::soft::fpu::Thunk thunk, uint64_t* resume_stack);
extern const char husk_fpu_trapped[];
}

namespace husk::soft::fpu {
namespace {

// Not zero while this thread is within a thunk that may trap.
thread_local constinit volatile uint64_t resume_stack = 0;

struct sigaction previous;

// What would have happened without us.
void pass_on(int number, siginfo_t* info, void* context) {
  if ((previous.sa_flags & SA_SIGINFO) != 0) return previous.sa_sigaction(number, info, context);
  if (previous.sa_handler == SIG_IGN) return;
  if (previous.sa_handler != SIG_DFL) return previous.sa_handler(number);
  ::sigaction(number, &previous, nullptr);
  ::raise(number);
}

void on_sigfpe(int number, siginfo_t* info, void* context) {
  const bool by_an_instruction = info->si_code > 0;
  if (resume_stack == 0 || !by_an_instruction) return pass_on(number, info, context);
  auto& registers = static_cast<ucontext_t*>(context)->uc_mcontext.gregs;
  registers[REG_RIP] = reinterpret_cast<greg_t>(husk_fpu_trapped);
  registers[REG_RSP] = static_cast<greg_t>(resume_stack);
}

void install() {
  struct sigaction action{};
  action.sa_sigaction = on_sigfpe;
  action.sa_flags = SA_SIGINFO | SA_ONSTACK | SA_NODEFER | SA_RESTART;
  ::sigaction(SIGFPE, &action, &previous);
}

}  // namespace

bool run_trapping(Thunk thunk, void* image, uint64_t* gpr, void* memory, uint64_t* flags) {
  static std::once_flag installed;
  std::call_once(installed, install);
  const int trapped =
      husk_fpu_call(image, gpr, memory, flags, thunk, const_cast<uint64_t*>(&resume_stack));
  resume_stack = 0;
  return trapped == 0;
}

}  // namespace husk::soft::fpu
