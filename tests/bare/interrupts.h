// The parts of the `interrupts` guest, and what they share: a handler that counts and remembers.
#pragma once

#include <stdint.h>

#include "apic.h"
#include "cpu.h"
#include "report.h"
#include "trap.h"

namespace bare {

constexpr uint32_t kOrderSize = 32;
extern volatile uint32_t taken[256];        // by vector
extern volatile uint8_t order[kOrderSize];  // the vectors in the order in which they came
extern volatile uint32_t order_used;
extern Frame last_frame;  // of the last one

// Counts, and writes EOI to the local APIC.
void count_vector(uint8_t vector);
void forget_counts();
// Lets interrupts in until `vector` has come `times` or a generous while has passed.
bool wait_for(uint8_t vector, uint32_t times);
// Lets in what is pending now.
void open_window();

// The 8254's counter 0; the 8259s with vectors from 0x20 on, all masks open.
void start_pit(uint8_t mode, uint16_t count);
void initialise_8259s();

void check_local_apic();
void check_nmi();
void check_priorities();
void check_windows();
void check_timers();
void check_x2apic();
void check_io_apic();
void check_legacy();

}  // namespace bare
