# Guests of the doorbell tests, by the registers of tests/contract/x86_64/programs.S.
#include "program.inc"

# rsi to device space at rdi, rdx times; then reports it at rbx, and does it again.
.code64
program ring
  2: movq %rdx, %rcx
  1: movl %esi, (%rdi)
     decq %rcx
     jnz 1b
     movq %rsi, (%rbx)
     jmp 2b
end_program ring

# Reports what the master 8259 says at its first port.
.code64
program ask_pic
  1: xorl %eax, %eax
     inb $0x20, %al
     movq %rax, (%rbx)
     jmp 1b
end_program ask_pic

# The driver of the device in the first slot, as a kernel that PVH enters: sets queue 1 up, notifies a thousand times and
# powers off. Before each notification it says at 0x8000 how many are left, this one included.
.macro device register, value
  movl $\value, \register(%ebx)
.endm
.code32
program driver
     movl $0xd0000000, %ebx
     device 0x70, 3
     device 0x24, 1
     device 0x20, 1
     device 0x70, 11
     device 0x30, 1
     device 0x38, 16
     device 0x80, 0x40000
     device 0x90, 0x40400
     device 0xa0, 0x40800
     device 0x44, 1
     device 0x70, 15
     movl $1000, %ecx
  1: movl %ecx, 0x8000
     device 0x50, 1
     decl %ecx
     jnz 1b
     movl $0x604, %edx  # ACPI's S5
     movl $0x3400, %eax
     outw %ax, %dx
  1: jmp 1b
end_program driver
.section .note.GNU-stack, "", @progbits
