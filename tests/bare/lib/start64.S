// Entry of a 64-bit guest: the Multiboot header, and the way from the loader's protected mode to
// long mode with the first 4 GiB mapped one to one by 2 MiB pages, for the supervisor.
        .section .multiboot, "a"
        .balign 4
        .long 0x1badb002, 0, -0x1badb002

        .code32
        .section .text.start, "ax"
        .globl bare_start
bare_start:
        cli
        cld
        movl    $bare_boot_stack_top, %esp

        // PML4 -> PDPT -> four page directories.
        movl    $boot_pdpt + 3, boot_pml4
        movl    $boot_directories + 3, %eax
        movl    $boot_pdpt, %edi
        movl    $4, %ecx
1:      movl    %eax, (%edi)
        addl    $8, %edi
        addl    $4096, %eax
        loop    1b
        movl    $0x83, %eax
        movl    $boot_directories, %edi
        movl    $2048, %ecx
1:      movl    %eax, (%edi)
        addl    $8, %edi
        addl    $0x200000, %eax
        loop    1b

        movl    %cr4, %eax
        orl     $0x620, %eax                    // PAE, OSFXSR, OSXMMEXCPT
        movl    %eax, %cr4
        movl    $boot_pml4, %eax
        movl    %eax, %cr3
        movl    $0xc0000080, %ecx
        rdmsr
        orl     $0x900, %eax                    // LME, NXE
        wrmsr
        movl    %cr0, %eax
        andl    $~0x6000000c, %eax              // CD, NW, EM, TS
        orl     $0x80010022, %eax               // PG, WP, NE, MP
        movl    %eax, %cr0
        lgdt    boot_gdt_pointer
        ljmp    $0x08, $long_entry

        .code64
long_entry:
        movl    $0x10, %eax
        movl    %eax, %ds
        movl    %eax, %es
        movl    %eax, %ss
        movl    %eax, %fs
        movl    %eax, %gs
        movl    $bare_boot_stack_top, %esp
        call    bare_main_64
1:      cli
        hlt
        jmp     1b

        .section .data
        .balign 8
boot_gdt:
        .quad   0, 0x00af9b000000ffff, 0x00cf93000000ffff
boot_gdt_pointer:
        .word   . - boot_gdt - 1
        .long   boot_gdt

        .section .bss
        .balign 4096
        .globl  boot_pml4, boot_pdpt, boot_directories
boot_pml4:        .skip 4096
boot_pdpt:        .skip 4096
boot_directories: .skip 4 * 4096
        .skip   32768
        .globl  bare_boot_stack_top
bare_boot_stack_top:
        .section .note.GNU-stack, "", @progbits
