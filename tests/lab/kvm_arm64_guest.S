// A guest of a few instructions, MMU off: one write to a device, one read, the answer written back, power off.
// Wherever it lies, it runs. Addresses and values are those of kvm_arm64.cc.
    .section .rodata
    .global guest_code
    .global guest_code_end
    .balign 4
guest_code:
    mov     x0, #0x09000000
    mov     w1, #0x5a
    strb    w1, [x0]
    ldr     w2, [x0, #4]
    str     x2, [x0, #8]
    mov     w0, #0x0008             // PSCI SYSTEM_OFF is 0x84000008: Arm DEN 0022, 5.1
    movk    w0, #0x8400, lsl #16
    hvc     #0
    b       .
guest_code_end:
    .section .note.GNU-stack, "", @progbits
