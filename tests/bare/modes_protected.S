// 32-bit protected mode without paging, and what it refuses: each PROBE notes the vector that its
// instructions end with. modes_protected.cc knows the numbers.
#define CODE32 0x30
#define DATA32 0x10

        .text
        .globl  modes_protected
// void modes_protected(): as the ABI has it; the stack lies below 4 GiB and stays in use.
modes_protected:
        pushq   %rbx
        pushq   %rbp
        pushq   %r12
        pushq   %r13
        pushq   %r14
        pushq   %r15
        pushq   $CODE32
        pushq   $protected_start
        lretq
protected_back:
        movl    $DATA32, %eax
        movl    %eax, %ds
        movl    %eax, %es
        movl    %eax, %ss
        movl    %esp, %esp
        popq    %r15
        popq    %r14
        popq    %r13
        popq    %r12
        popq    %rbp
        popq    %rbx
        ret

        .macro  PROBE number, instructions:vararg
        movl    $9f, protected_resume
        movl    $\number, protected_number
        \instructions
9:
        .endm

        .code32
protected_start:
        movl    $DATA32, %eax
        movl    %eax, %ds
        movl    %eax, %es
        movl    %eax, %ss
        movl    %cr0, %eax
        andl    $0x7fffffff, %eax
        movl    %eax, %cr0
        lidtl   protected_idt_pointer
        movl    $0xc0000080, %ecx
        rdmsr
        movl    %eax, %esi                      // EFER, with LME
        movl    %eax, %edi
        andl    $~0x100, %edi                   // and without
        movl    %edi, %eax
        wrmsr
        movl    %cr4, %ebp

        movl    %cr0, %eax
        andl    $~1, %eax
        orl     $0x80000000, %eax
        PROBE   0, movl %eax, %cr0
        movl    %ebp, %eax
        orl     $0x20000, %eax
        PROBE   1, movl %eax, %cr4
        movl    %ebp, %eax
        orl     $0x8000, %eax
        PROBE   2, movl %eax, %cr4
        movl    %esi, %eax
        PROBE   3, wrmsr
        movl    %ebp, %eax
        andl    $~0x20, %eax
        PROBE   4, movl %eax, %cr4
        movl    %cr0, %eax
        orl     $0x80000000, %eax
        PROBE   5, movl %eax, %cr0
        PROBE   6, movl %ebp, %cr4
        movl    %edi, %eax
        PROBE   7, wrmsr
        movl    $0x12345678, %ecx
        PROBE   8, rdmsr
        PROBE   9, .byte 0xf3, 0x0f, 0xae, 0xc0 // RDFSBASE EAX
        PROBE   10, .byte 0x0f, 0x01, 0xf8      // SWAPGS
        movb    $0x7f, %al
        incb    %al
        PROBE   11, into
        movl    $5, %eax
        PROBE   12, boundl %eax, protected_bounds
        PROBE   13, aam $0
        PROBE   14, ljmp $0, $9f
        xorl    %eax, %eax
        PROBE   15, movl %eax, %ss
        PROBE   16, movl %eax, %fs
        PROBE   17, movl %fs:0, %eax
        PROBE   18, int $0x40
        movl    $4, %eax
        PROBE   19, boundl %eax, protected_bounds
        PROBE   20, int $3
        PROBE   21, syscall
        PROBE   22, sysenter
        // ARPL: register and memory, raised and left alone. What came out follows the vectors.
        movl    $0x12340010, %eax
        movl    $3, %ecx
        PROBE   23, arpl %cx, %ax
        setz    %dl
        movzbl  %dl, %edx
        movl    %eax, protected_results
        movl    %edx, protected_results + 4
        movl    $0x5678000b, protected_results + 8
        movl    $1, %ecx
        PROBE   24, arpl %cx, protected_results + 8
        setz    %dl
        movzbl  %dl, %edx
        movl    %edx, protected_results + 12
        movl    $0x87650008, protected_results + 16
        PROBE   25, arpl %cx, protected_results + 16
        movw    $0x8000, %ax                    // BOUND's operands are signed
        PROBE   26, boundw %ax, protected_bounds + 8

        movl    $DATA32, %eax
        movl    %eax, %fs
        movl    $0xc0000080, %ecx
        xorl    %edx, %edx
        movl    %esi, %eax
        wrmsr
        movl    %cr0, %eax
        orl     $0x80000000, %eax
        movl    %eax, %cr0
        ljmp    $0x08, $protected_back

// The stubs of the 32 exceptions, 16 bytes each.
        .balign 16
        .globl  protected_stubs
protected_stubs:
        .set    vector, 0
        .rept   32
        .balign 16
        .if     !(vector == 8 || (vector >= 10 && vector <= 14) || vector == 17)
        pushl   $0
        .endif
        pushl   $vector
        jmp     protected_common
        .set    vector, vector + 1
        .endr
protected_common:
        pushl   %eax
        pushl   %ecx
        movl    protected_number, %eax
        movl    8(%esp), %ecx
        movl    %ecx, protected_vectors(, %eax, 4)
        movl    12(%esp), %ecx
        movl    %ecx, protected_errors(, %eax, 4)
        movl    protected_resume, %ecx
        movl    %ecx, 16(%esp)
        popl    %ecx
        popl    %eax
        addl    $8, %esp
        iretl

// For PCIDE: in compatibility mode paging could be turned off.
        .globl  protected_unpage
protected_unpage:
        movl    %eax, %cr0
        ud2

        .code64
        .data
        .balign 4
protected_bounds:
        .long   1, 4
        .word   0x8000, 0
protected_idt_pointer:
        .word   32 * 8 - 1
        .long   protected_idt

        .bss
        .balign 8
        .globl  protected_idt, protected_vectors, protected_errors, protected_results
protected_idt:          .skip 32 * 8
protected_vectors:      .skip 32 * 4
protected_errors:       .skip 32 * 4
protected_results:      .skip 20
protected_number:       .skip 4
protected_resume:       .skip 4
        .section .note.GNU-stack, "", @progbits
