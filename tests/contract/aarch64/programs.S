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
.section .note.GNU-stack, "", %progbits
