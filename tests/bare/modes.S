// A tour through the modes: long, compatibility, 32-bit protected without paging, with PAE paging, with
// 4 MiB pages, 16-bit protected, real, "unreal", and all the way back. Copied to 0x8000, where real mode
// reaches it; interrupts are off, and only the real-mode part has handlers. What it sees goes into
// `tour_results`, whose layout modes_tour.cc knows.
#define AT(label) (label - tour_start + 0x8000)
#define RESULT(n) AT(tour_results) + 4 * (n)
#define WINDOW 0xfd000000
#define CODE32 0x30
#define CODE16 0x38
#define DATA16 0x40
#define DATA32 0x10

        .text
        .globl  modes_tour
// void modes_tour(): as the ABI has it.
modes_tour:
        pushq   %rbx
        pushq   %rbp
        pushq   %r12
        pushq   %r13
        pushq   %r14
        pushq   %r15
        movq    %rsp, tour_saved_sp
        pushq   $CODE32
        pushq   $AT(tour_compatibility)
        lretq
tour_back:
        movl    $DATA32, %eax
        movl    %eax, %ds
        movl    %eax, %es
        movl    %eax, %ss
        movq    tour_saved_sp, %rsp
        popq    %r15
        popq    %r14
        popq    %r13
        popq    %r12
        popq    %rbp
        popq    %rbx
        ret

        .globl  tour_start, tour_end, tour_results
tour_start:
        .code32
tour_compatibility:
        movl    $DATA32, %eax
        movl    %eax, %ds
        movl    %eax, %es
        movl    %eax, %ss
        movl    $0x7800, %esp
        movl    $41, %eax
        .byte   0x40                            // INC EAX here, a prefix in 64-bit mode
        movl    %eax, RESULT(0)
        movl    %cr0, %eax
        andl    $0x7fffffff, %eax
        movl    %eax, %cr0                      // out of long mode
        movl    $0xc0000080, %ecx
        rdmsr
        movl    %eax, RESULT(1)
        andl    $~0x100, %eax
        wrmsr
        movl    0x400000, %eax                  // no paging
        movl    %eax, RESULT(2)

        movl    $tour_pae_pdpt, %eax            // PAE, with NX still on
        movl    %eax, %cr3
        movl    %cr0, %eax
        orl     $0x80000000, %eax
        movl    %eax, %cr0
        movl    WINDOW, %eax
        movl    %eax, RESULT(3)
        andl    $0x7fffffff, %eax
        movl    %cr0, %eax
        andl    $0x7fffffff, %eax
        movl    %eax, %cr0

        movl    %cr4, %eax                      // two levels, 4 MiB pages
        andl    $~0x20, %eax
        orl     $0x10, %eax
        movl    %eax, %cr4
        movl    $tour_pd32, %eax
        movl    %eax, %cr3
        movl    %cr0, %eax
        orl     $0x80000000, %eax
        movl    %eax, %cr0
        movl    WINDOW, %eax
        movl    %eax, RESULT(4)
        movl    $0x51, WINDOW + 4
        movl    WINDOW + 0x400000, %eax         // a 4 KiB page, by a page table
        movl    %eax, RESULT(5)
        movl    %cr0, %eax
        andl    $0x7fffffff, %eax
        movl    %eax, %cr0
        ljmp    $CODE16, $AT(tour_16)

        .code16
tour_16:
        movw    $DATA16, %ax
        movw    %ax, %ds
        movw    %ax, %es
        movw    %ax, %ss
        movl    $0x12347800, %esp
        pushw   $1
        movl    %esp, %eax
        movl    %eax, RESULT(6)                 // SP moves by 2, the rest of ESP stays
        movl    $0x7800, %esp
        movl    %cr0, %eax
        andl    $~1, %eax
        movl    %eax, %cr0
        ljmp    $0, $AT(tour_real)

tour_real:
        xorw    %ax, %ax
        movw    %ax, %ds
        movw    %ax, %es
        movw    %ax, %ss
        lidtl   AT(tour_ivt_pointer)
        movw    $AT(tour_on_int), 0x40 * 4
        movw    %ax, 0x40 * 4 + 2
        movw    $AT(tour_on_fault), 13 * 4
        movw    %ax, 13 * 4 + 2
        movw    $AT(tour_on_divide), 0 * 4
        movw    %ax, 0 * 4 + 2

        stc
        int     $0x40                           // flags come back
        setc    %al
        movzbl  %al, %eax
        movl    %eax, RESULT(7)

        lidtl   AT(tour_short_ivt_pointer)      // the vector's last byte is beyond the limit
        movw    $AT(1f), AT(tour_resume)
        int     $0x40
1:      movl    RESULT(10), %eax
        movl    %eax, RESULT(19)
        lidtl   AT(tour_ivt_pointer)

        movw    $AT(1f), AT(tour_resume)        // a word that ends behind the limit
        movl    $0, RESULT(10)
        movw    $0xffff, %bx
        movw    (%bx), %ax
1:      movw    $AT(2f), AT(tour_resume)        // and one beyond 64 KiB
        movl    $0x400000, %ebx
        movl    (%ebx), %eax
2:      movw    $0xffff, %ax                    // FFFF:0010 is 1 MiB: A20 is open
        movw    %ax, %fs
        movl    %fs:0x10, %eax
        movl    %eax, RESULT(11)
        movw    $0x1000, %ax                    // a segment register is a base / 16
        movw    %ax, %fs
        movl    %fs:0x20, %eax
        movl    %eax, RESULT(12)
        xorw    %dx, %dx
        movw    $AT(3f), AT(tour_resume)
        movw    $AT(tour_divide), %si
tour_divide:
        divw    %dx                             // a fault: it points here
3:      lcallw  $0, $AT(tour_far)
        smsww   %ax
        movzwl  %ax, %eax
        movl    %eax, RESULT(16)

        movl    %cr0, %eax                      // limits of 4 GiB survive the way back: "unreal"
        orl     $1, %eax
        movl    %eax, %cr0
        movw    $DATA32, %bx
        movw    %bx, %ds
        andl    $~1, %eax
        movl    %eax, %cr0
        xorw    %bx, %bx
        movw    %bx, %ds
        movl    $0x400000, %ebx
        movl    (%ebx), %eax
        movl    %eax, RESULT(17)

        movl    %cr0, %eax                      // and home
        orl     $1, %eax
        movl    %eax, %cr0
        ljmpl   $CODE32, $AT(tour_home)

tour_on_int:
        pushfw
        popw    %ax
        movzwl  %ax, %eax
        movl    %eax, RESULT(8)                 // IF and TF off; CF as it was
        movw    %sp, %ax
        movzwl  %ax, %eax
        movl    %eax, RESULT(9)                 // three words were pushed
        iretw
tour_on_fault:
        incl    RESULT(10)
        addw    $6, %sp                         // no error code in real mode
        movw    %sp, %ax
        movw    %ax, RESULT(13)
        jmp     *AT(tour_resume)
tour_on_divide:
        popw    %ax
        subw    %si, %ax
        movzwl  %ax, %eax
        movl    %eax, RESULT(14)
        addw    $4, %sp
        jmp     *AT(tour_resume)
tour_far:
        movw    %sp, %bx
        movl    (%bx), %eax                     // IP and CS
        subl    $AT(3b) + 5, %eax
        movl    %eax, RESULT(15)
        lretw

        .code32
tour_home:
        movl    $DATA32, %eax
        movl    %eax, %ds
        movl    %eax, %es
        movl    %eax, %ss
        movl    %cr4, %eax
        andl    $~0x10, %eax
        orl     $0x20, %eax
        movl    %eax, %cr4
        movl    $boot_pml4, %eax
        movl    %eax, %cr3
        movl    $0xc0000080, %ecx
        rdmsr
        orl     $0x100, %eax
        wrmsr
        movl    %cr0, %eax
        orl     $0x80000000, %eax
        movl    %eax, %cr0
        rdmsr
        movl    %eax, RESULT(18)
        ljmp    $0x08, $tour_back

        .balign 4
tour_ivt_pointer:
        .word   0x3ff
        .long   0
tour_short_ivt_pointer:
        .word   0x40 * 4 + 2
        .long   0
tour_resume:
        .word   0
        .balign 4
tour_results:
        .skip   20 * 4
tour_end:
        .code64
        .bss
        .balign 4096
        .globl  tour_pae_pdpt, tour_pd32, tour_pt32
tour_pd32:      .skip 4096
tour_pt32:      .skip 4096
tour_pae_pdpt:  .skip 32
        .balign 8
tour_saved_sp:  .skip 8
        .section .note.GNU-stack, "", @progbits
