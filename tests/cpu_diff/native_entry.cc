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
  cmpq $0, 640+8*8+husk_native_frame(%rip)
  je 3f
  vinsertf128 $1, 640+10*8+16*0+husk_native_frame(%rip), %ymm0, %ymm0
  vinsertf128 $1, 640+10*8+16*1+husk_native_frame(%rip), %ymm1, %ymm1
  vinsertf128 $1, 640+10*8+16*2+husk_native_frame(%rip), %ymm2, %ymm2
  vinsertf128 $1, 640+10*8+16*3+husk_native_frame(%rip), %ymm3, %ymm3
  vinsertf128 $1, 640+10*8+16*4+husk_native_frame(%rip), %ymm4, %ymm4
  vinsertf128 $1, 640+10*8+16*5+husk_native_frame(%rip), %ymm5, %ymm5
  vinsertf128 $1, 640+10*8+16*6+husk_native_frame(%rip), %ymm6, %ymm6
  vinsertf128 $1, 640+10*8+16*7+husk_native_frame(%rip), %ymm7, %ymm7
  vinsertf128 $1, 640+10*8+16*8+husk_native_frame(%rip), %ymm8, %ymm8
  vinsertf128 $1, 640+10*8+16*9+husk_native_frame(%rip), %ymm9, %ymm9
  vinsertf128 $1, 640+10*8+16*10+husk_native_frame(%rip), %ymm10, %ymm10
  vinsertf128 $1, 640+10*8+16*11+husk_native_frame(%rip), %ymm11, %ymm11
  vinsertf128 $1, 640+10*8+16*12+husk_native_frame(%rip), %ymm12, %ymm12
  vinsertf128 $1, 640+10*8+16*13+husk_native_frame(%rip), %ymm13, %ymm13
  vinsertf128 $1, 640+10*8+16*14+husk_native_frame(%rip), %ymm14, %ymm14
  vinsertf128 $1, 640+10*8+16*15+husk_native_frame(%rip), %ymm15, %ymm15
3:
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
  cmpq $0, 640+8*8+husk_native_frame(%rip)
  je 4f
  vzeroupper
4:
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
