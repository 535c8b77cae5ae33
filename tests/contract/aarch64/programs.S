// The guests of the contract suite: a few instructions each, position-independent, at EL1, no stack.
// x0 to x3: arguments 0 to 3. x4: where to report, in device space. Only loads and stores of one
// general register go there, without writeback: of others the processor does not tell KVM what they
// do (Arm ARM, DDI 0487, ESR_ELx, "ISS encoding for an exception from a Data Abort", ISV).
#include "program.inc"
// One that this architecture does not have: no instruction at all.
.macro no_program name
  program \name
  end_program \name
.endm

program spin
  1: add x9, x9, #1
     b 1b
end_program spin

// Counts in memory at argument 0, for ever.
program count
  1: ldr x9, [x0]
     add x9, x9, #1
     str x9, [x0]
     b 1b
end_program count

// Argument 1 to device space at argument 0, in every size.
program mmio_write
  strb w1, [x0]
  strh w1, [x0]
  str w1, [x0]
  str x1, [x0]
  1: b 1b
end_program mmio_write

// Reads of every size from device space at argument 0; each is reported, zero-extended.
program mmio_read
  ldrb w9, [x0]
  str x9, [x4]
  ldrh w9, [x0]
  str x9, [x4]
  ldr w9, [x0]
  str x9, [x4]
  ldr x9, [x0]
  str x9, [x4]
  1: b 1b
end_program mmio_read

// Memory at argument 0, read and reported again and again.
program load
  1: ldr x9, [x0]
     str x9, [x4]
     b 1b
end_program load

// Argument 1 to memory at argument 0, then what is there, reported.
program store
  1: str x1, [x0]
     ldr x9, [x0]
     str x9, [x4]
     b 1b
end_program store

// Writes a byte to each of the pages listed at argument 0, as many as argument 1 says; then reports,
// and does it again.
program touch
  2: mov x9, x0
     mov x10, x1
  1: ldr x11, [x9], #8
     ldrb w12, [x11]
     add w12, w12, #1
     strb w12, [x11]
     subs x10, x10, #1
     b.ne 1b
     str x1, [x4]
     b 2b
end_program touch

// The guest's monotonic clock, reported again and again.
program clock
  1: isb  // the counter may be read ahead of time otherwise
     mrs x9, cntvct_el0
     str x9, [x4]
     b 1b
end_program clock

// Sums of what is in a vector register's two halves, so that both are live in between.
program float
     dup v30.2d, x0
     fmov v31.2d, #1.0
     ins v31.d[0], x1
  1: fadd v30.2d, v30.2d, v31.2d
     umov x9, v30.d[0]
     umov x10, v30.d[1]
     str x9, [x4]
     str x10, [x4]
     b 1b
end_program float

// Stops for good, and waits for an event that nobody sends.
program halt
  msr daifset, #15
  1: wfi
     b 1b
end_program halt

// What only x86 has.
no_program ports
no_program port_strings
no_program triple_fault
no_program port_loop

// Bare writes to device space, for counting.
program mmio_loop
  1: str w9, [x0]
     b 1b
end_program mmio_loop

// For a debugger, with kSteps' offsets: counts, stores the count at argument 0, reports it.
program steps
  1: add x9, x9, #1
     str x9, [x0]
     nop
     str x9, [x4]
     b 1b
end_program steps

// BRK with a handler, which reports argument 1; then argument 2 is reported, and so on. It is its
// own table of vectors, of which only the one at 0x200 is taken: the present level's.
.section .rodata
.balign 2048
program trap
     adr x10, program_trap
     msr vbar_el1, x10
     isb
  1: brk #0
     str x2, [x4]
     b 1b
  .balign 512
     mrs x9, elr_el1
     add x9, x9, #4
     msr elr_el1, x9
     str x1, [x4]
     eret
end_program trap

// What the guest has in its first breakpoint's and first watchpoint's registers, again and again.
program debug_registers
  1: nop
     mrs x9, dbgbvr0_el1
     str x9, [x4]
     mrs x9, dbgbcr0_el1
     str x9, [x4]
     mrs x9, dbgwvr0_el1
     str x9, [x4]
     mrs x9, dbgwcr0_el1
     str x9, [x4]
     b 1b
end_program debug_registers

// SMCCC call number argument 0, by HVC; its result is reported.
program hypercall
     mov x9, x0
     mov x10, x4
  1: mov x0, x9
     hvc #0
     str x0, [x10]
     b 1b
end_program hypercall
no_program hypercall_other
.section .note.GNU-stack, "", %progbits
