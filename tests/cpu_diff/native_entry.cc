// See native_entry.h. FS is the host's thread pointer, so nothing but this code may run between the
// two places that swap it.
#include "cpu_diff/native_entry.h"

husk::cpu_diff::NativeFrame husk_native_frame;

asm(R"(
  .text
  .globl husk_native_enter
  .type husk_native_enter, @function
husk_native_enter:
  push %rbx
  push %rbp
  push %r12
  push %r13
  push %r14
  push %r15
  mov %rsp, 640+6*8+husk_native_frame(%rip)
  cmpq $0, 640+7*8+husk_native_frame(%rip)
  je 1f
  rdfsbase %rax
  mov %rax, 640+4*8+husk_native_frame(%rip)
  rdgsbase %rax
  mov %rax, 640+5*8+husk_native_frame(%rip)
  mov 640+2*8+husk_native_frame(%rip), %rax
  wrfsbase %rax
  mov 640+3*8+husk_native_frame(%rip), %rax
  wrgsbase %rax
1:
  fxrstor64 husk_native_frame(%rip)
  lea 640+husk_native_frame(%rip), %rsp
  popfq
  mov 512+0*8+husk_native_frame(%rip), %rax
  mov 512+1*8+husk_native_frame(%rip), %rcx
  mov 512+2*8+husk_native_frame(%rip), %rdx
  mov 512+3*8+husk_native_frame(%rip), %rbx
  mov 512+4*8+husk_native_frame(%rip), %rsp
  mov 512+5*8+husk_native_frame(%rip), %rbp
  mov 512+6*8+husk_native_frame(%rip), %rsi
  mov 512+7*8+husk_native_frame(%rip), %rdi
  mov 512+8*8+husk_native_frame(%rip), %r8
  mov 512+9*8+husk_native_frame(%rip), %r9
  mov 512+10*8+husk_native_frame(%rip), %r10
  mov 512+11*8+husk_native_frame(%rip), %r11
  mov 512+12*8+husk_native_frame(%rip), %r12
  mov 512+13*8+husk_native_frame(%rip), %r13
  mov 512+14*8+husk_native_frame(%rip), %r14
  mov 512+15*8+husk_native_frame(%rip), %r15
  jmp *640+1*8+husk_native_frame(%rip)

  .globl husk_native_resume
  .type husk_native_resume, @function
husk_native_resume:
  fninit
  pushq $0x1f80
  ldmxcsr (%rsp)
  add $8, %rsp
  cld
  pop %r15
  pop %r14
  pop %r13
  pop %r12
  pop %rbp
  pop %rbx
  ret

  .globl husk_native_signal_entry
  .type husk_native_signal_entry, @function
husk_native_signal_entry:
  cmpq $0, 640+7*8+husk_native_frame(%rip)
  je 2f
  cmpq $0, 640+6*8+husk_native_frame(%rip)
  je 2f
  rdfsbase %rax
  mov %rax, 640+2*8+husk_native_frame(%rip)
  rdgsbase %rax
  mov %rax, 640+3*8+husk_native_frame(%rip)
  mov 640+4*8+husk_native_frame(%rip), %rax
  wrfsbase %rax
  mov 640+5*8+husk_native_frame(%rip), %rax
  wrgsbase %rax
2:
  jmp husk_native_signal@PLT
)");
