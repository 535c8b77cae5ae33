# The guests of the contract suite: a few instructions each, position-independent, 64-bit, no stack.
# rdi, rsi, rdx, rcx: arguments 0 to 3. rbx: where to report, in device space.
#include "program.inc"
.code64

program spin
  1: incq %rax
     jmp 1b
end_program spin

# Counts in memory at argument 0, for ever.
program count
  1: incq (%rdi)
     jmp 1b
end_program count

# Argument 1 to device space at argument 0, in every size.
program mmio_write
  movb %sil, (%rdi)
  movw %si, (%rdi)
  movl %esi, (%rdi)
  movq %rsi, (%rdi)
  1: jmp 1b
end_program mmio_write

# Reads of every size from device space at argument 0; each is reported, zero-extended.
program mmio_read
  movzbl (%rdi), %eax
  movq %rax, (%rbx)
  movzwl (%rdi), %eax
  movq %rax, (%rbx)
  movl (%rdi), %eax
  movq %rax, (%rbx)
  movq (%rdi), %rax
  movq %rax, (%rbx)
  1: jmp 1b
end_program mmio_read

# Memory at argument 0, read and reported again and again.
program load
  1: movq (%rdi), %rax
     movq %rax, (%rbx)
     jmp 1b
end_program load

# Argument 1 to memory at argument 0, then what is there, reported.
program store
  1: movq %rsi, (%rdi)
     movq (%rdi), %rax
     movq %rax, (%rbx)
     jmp 1b
end_program store

# Writes a byte to each of the pages listed at argument 0, as many as argument 1 says; then reports,
# and does it again.
program touch
  2: movq %rdi, %r8
     movq %rsi, %r9
  1: movq (%r8), %rax
     incb (%rax)
     addq $8, %r8
     decq %r9
     jnz 1b
     movq %rsi, (%rbx)
     jmp 2b
end_program touch

# The guest's monotonic clock, reported again and again.
program clock
  1: lfence
     rdtsc
     shlq $32, %rdx
     orq %rdx, %rax
     movq %rax, (%rbx)
     jmp 1b
end_program clock

# Sums of what is in floating-point registers, vector and x87, so that both are live in between.
program float
     movq %rdi, %xmm0
     movq %rsi, %xmm1
     movq %rdi, (%rdx)
     fldl (%rdx)
  1: addsd %xmm1, %xmm0
     fld1
     faddp
     fstl (%rdx)
     movq (%rdx), %rax
     movq %xmm0, %rcx  # device space is for integer registers: KVM emulates no other accesses
     movq %rcx, (%rbx)
     movq %rax, (%rbx)
     jmp 1b
end_program float

# Stops for good, and waits for an event that nobody sends.
program halt
  cli
  1: hlt
     jmp 1b
end_program halt

# What only x86 has.
program ports
     movl $0x1234, %edx
     movl %edi, %eax
     outb %al, %dx
     outw %ax, %dx
     outl %eax, %dx
     xorl %eax, %eax
     inb %dx, %al
     movq %rax, (%rbx)
     inw %dx, %ax
     movq %rax, (%rbx)
     inl %dx, %eax
     movq %rax, (%rbx)
  1: outb %al, %dx
     jmp 1b
end_program ports

# argument 1 bytes at argument 0 out and in again.
program port_strings
     movq %rsi, %r9
     movq %rdi, %r8
     movl $0x80, %edx
     movq %r8, %rsi
     movq %r9, %rcx
     rep outsb
     movq %r8, %rdi
     movq %r9, %rcx
     rep insb
     movq (%r8), %rax
     movq %rax, (%rbx)
  1: jmp 1b
end_program port_strings

# CPUID of leaf rax, subleaf rcx, to memory at argument 0 again and again; a port's write tells.
program cpuid
  1: cpuid
     movl %eax, (%rdi)
     movl %ebx, 4(%rdi)
     movl %ecx, 8(%rdi)
     movl %edx, 12(%rdi)
     outb %al, $0x80
     jmp 1b
end_program cpuid

# Switches XSAVE on and sets XCR0 to argument 0; reports what it has become.
program set_xcr0
     movq %cr4, %rax
     btsq $18, %rax
     movq %rax, %cr4
     xorl %ecx, %ecx
     xorl %edx, %edx
     movl %edi, %eax
     xsetbv
     xgetbv
     movq %rax, (%rbx)
  1: jmp 1b
end_program set_xcr0

program triple_fault
     pushq $0
     pushq $0
     lidt (%rsp)
     ud2
end_program triple_fault

# Bare writes to a port, and to device space, for counting.
program port_loop
  1: outb %al, $0x80
     jmp 1b
end_program port_loop
program mmio_loop
  1: movl %eax, (%rdi)
     jmp 1b
end_program mmio_loop

# For a debugger, with kSteps' offsets: counts, stores the count at argument 0, reports it.
program steps
  1: incq %rax
     movq %rax, (%rdi)
     nop
     movq %rax, (%rbx)
     jmp 1b
end_program steps

# INT3 with a handler, which reports argument 1; then argument 2 is reported, and so on. The IDT and
# the GDT are at argument 0.
program trap
     leaq 2f(%rip), %rax
     movw %ax, 48(%rdi)
     movw $8, 50(%rdi)  # the selector
     movw $0x8e00, 52(%rdi)  # an interrupt gate
     shrq $16, %rax
     movw %ax, 54(%rdi)
     shrq $16, %rax
     movq %rax, 56(%rdi)
     movabsq $0x00209b0000000000, %rax
     movq %rax, 72(%rdi)
     movabsq $0x0000930000000000, %rax
     movq %rax, 80(%rdi)
     leaq 64(%rdi), %rax
     pushq %rax
     pushw $23
     lgdt (%rsp)
     movq %rdi, 2(%rsp)
     movw $63, (%rsp)
     lidt (%rsp)
     addq $10, %rsp
  1: int3
     movq %rdx, (%rbx)
     jmp 1b
  2: movq %rsi, (%rbx)
     iretq
end_program trap

# What the guest has in DR0 to DR3 and DR7, reported again and again.
program debug_registers
  1: nop
     movq %dr0, %rax
     movq %rax, (%rbx)
     movq %dr1, %rax
     movq %rax, (%rbx)
     movq %dr2, %rax
     movq %rax, (%rbx)
     movq %dr3, %rax
     movq %rax, (%rbx)
     movq %dr7, %rax
     movq %rax, (%rbx)
     jmp 1b
end_program debug_registers

# Hypercall number argument 0, by each vendor's instruction; its result is reported. The first
# argument is where reports go.
program hypercall
  1: movq %rdi, %rax
     vmmcall
     movq %rax, (%rbx)
     jmp 1b
end_program hypercall
program hypercall_other
  1: movq %rdi, %rax
     vmcall
     movq %rax, (%rbx)
     jmp 1b
end_program hypercall_other
.section .note.GNU-stack, "", @progbits
