// The ways in and out of the kernel: a stub for each vector, the guarded call that traps escape to,
// and IRET with a frame of the caller's choice.
#define VECTOR_HAS_ERROR(n) ((n) == 8 || ((n) >= 10 && (n) <= 14) || (n) == 17 || (n) == 21)

        .text
        .balign 16
        .globl  bare_stubs
bare_stubs:
        .set    vector, 0
        .rept   256
        .balign 16
        .if     !VECTOR_HAS_ERROR(vector)
        pushq   $0
        .endif
        pushq   $vector
        jmp     common
        .set    vector, vector + 1
        .endr

common: pushq   %rax
        pushq   %rcx
        pushq   %rdx
        pushq   %rbx
        pushq   %rbp
        pushq   %rsi
        pushq   %rdi
        pushq   %r8
        pushq   %r9
        pushq   %r10
        pushq   %r11
        pushq   %r12
        pushq   %r13
        pushq   %r14
        pushq   %r15
        cld
        movq    %rsp, %rdi
        movq    %rsp, %rbx
        andq    $-16, %rsp
        call    bare_trap
        movq    %rbx, %rsp
        popq    %r15
        popq    %r14
        popq    %r13
        popq    %r12
        popq    %r11
        popq    %r10
        popq    %r9
        popq    %r8
        popq    %rdi
        popq    %rsi
        popq    %rbp
        popq    %rbx
        popq    %rdx
        popq    %rcx
        popq    %rax
        addq    $16, %rsp
        iretq

// int bare_guarded(uint64_t* escape_sp, void (*fn)(void*), void* arg): 0, or 1 when escaped from.
        .globl  bare_guarded
bare_guarded:
        pushq   %rbx
        pushq   %rbp
        pushq   %r12
        pushq   %r13
        pushq   %r14
        pushq   %r15
        pushfq
        movq    %rsp, (%rdi)
        movq    %rdx, %rdi
        call    *%rsi
        xorl    %eax, %eax
leave_guarded:
        popfq
        popq    %r15
        popq    %r14
        popq    %r13
        popq    %r12
        popq    %rbp
        popq    %rbx
        ret

// void bare_escape(uint64_t sp)
        .globl  bare_escape
bare_escape:
        movq    %rdi, %rsp
        movl    $0x10, %eax
        movl    %eax, %ss
        movl    %eax, %ds
        movl    %eax, %es
        movl    $1, %eax
        jmp     leave_guarded

// void bare_enter(const Entry*): IRET with the frame and the registers of an Entry.
        .globl  bare_enter
bare_enter:
        pushq   32(%rdi)
        pushq   24(%rdi)
        pushq   16(%rdi)
        pushq   8(%rdi)
        pushq   (%rdi)
        movq    40(%rdi), %rax
        movq    48(%rdi), %rbx
        movq    56(%rdi), %rcx
        movq    64(%rdi), %rdx
        movq    72(%rdi), %rsi
        movq    88(%rdi), %r11
        movq    80(%rdi), %rdi
        .globl  bare_enter_iret
bare_enter_iret:
        iretq
        .section .note.GNU-stack, "", @progbits
