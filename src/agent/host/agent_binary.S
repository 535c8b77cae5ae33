    .section .rodata
    .global husk_agent_binary
    .global husk_agent_binary_end
    .balign 16
husk_agent_binary:
    .incbin HUSK_AGENT_FILE
husk_agent_binary_end:
    .section .note.GNU-stack,"",@progbits
