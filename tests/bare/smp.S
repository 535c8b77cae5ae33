// Where the second CPU starts: copied to 0x8000. Real mode, and from there straight to long mode with
// the first CPU's page tables.
        .text
        .globl  second_start, second_end, second_cs, second_flags
        .code16
second_start:
        cli
        movw    %cs, %ax
        movw    %ax, %ds
        movw    %cs, second_cs - second_start
        pushfl                                  // SS:SP are 0:0 after INIT: wraps to the top
        popl    %eax
        movl    %eax, second_flags - second_start
        lgdtl   second_gdt_pointer - second_start
        movl    $0x620, %eax
        movl    %eax, %cr4
        movl    $boot_pml4, %eax
        movl    %eax, %cr3
        movl    $0xc0000080, %ecx
        xorl    %edx, %edx
        movl    $0x900, %eax
        wrmsr
        movl    $0x80010033, %eax
        movl    %eax, %cr0
        ljmpl   $0x08, $second_long
        .balign 8
second_gdt:
        .quad   0, 0x00af9b000000ffff, 0x00cf93000000ffff
second_gdt_pointer:
        .word   . - second_gdt - 1
        .long   0x8000 + second_gdt - second_start
second_cs:
        .word   0
second_flags:
        .long   0
second_end:
        .code64
second_long:
        movl    $0x10, %eax
        movl    %eax, %ds
        movl    %eax, %es
        movl    %eax, %ss
        movl    %eax, %fs
        movl    %eax, %gs
        leaq    second_stack_top, %rsp
        call    second_main
1:      hlt
        jmp     1b
        .bss
        .balign 16
        .skip   16384
second_stack_top:
        .section .note.GNU-stack, "", @progbits
