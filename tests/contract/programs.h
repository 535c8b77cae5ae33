// The guests, as bytes: ARCH/programs.S says what each does.
#pragma once

#include <cstddef>
#include <span>

#define HUSK_PROGRAM(name) extern "C" const std::byte program_##name[], program_##name##_end[]
HUSK_PROGRAM(spin);
HUSK_PROGRAM(count);
HUSK_PROGRAM(mmio_write);
HUSK_PROGRAM(mmio_read);
HUSK_PROGRAM(load);
HUSK_PROGRAM(store);
HUSK_PROGRAM(touch);
HUSK_PROGRAM(clock);
HUSK_PROGRAM(float);
HUSK_PROGRAM(halt);
HUSK_PROGRAM(ports);
HUSK_PROGRAM(port_strings);
HUSK_PROGRAM(triple_fault);
HUSK_PROGRAM(cpuid);
HUSK_PROGRAM(set_xcr0);
HUSK_PROGRAM(port_loop);
HUSK_PROGRAM(mmio_loop);
HUSK_PROGRAM(steps);
HUSK_PROGRAM(trap);
HUSK_PROGRAM(debug_registers);
HUSK_PROGRAM(hypercall);
HUSK_PROGRAM(hypercall_other);
#undef HUSK_PROGRAM

#define PROGRAM(name) std::span<const std::byte>(program_##name, program_##name##_end)
