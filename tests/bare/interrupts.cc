// Interrupts and who sends them: local APIC, its timer, I/O APIC, 8259s, 8254.
#include "interrupts.h"

#include "guest.h"

namespace bare {

volatile uint32_t taken[256];
volatile uint8_t order[kOrderSize];
volatile uint32_t order_used;
Frame last_frame;

namespace {

void count(Frame& frame) {
  const auto vector = static_cast<uint8_t>(frame.vector);
  taken[vector] = taken[vector] + 1;
  if (order_used < kOrderSize) {
    order[order_used] = vector;
    order_used = order_used + 1;
  }
  last_frame = frame;
  apic(kApicEoi) = 0;
}

}  // namespace

void count_vector(uint8_t vector) { set_handler(vector, count); }

void forget_counts() {
  for (volatile uint32_t& number : taken) number = 0;
  order_used = 0;
}

bool wait_for(uint8_t vector, uint32_t times) {
  constexpr uint32_t kPatience = 30'000'000;
  enable_interrupts();
  for (uint32_t i = 0; i < kPatience && taken[vector] < times; ++i) pause();
  disable_interrupts();
  return taken[vector] >= times;
}

void open_window() { asm volatile("sti; nop; nop; cli" ::: "memory"); }

void guest_main() {
  begin("interrupts", 169);
  enable_apic();
  check_local_apic();
  check_nmi();
  check_priorities();
  check_windows();
  check_timers();
  check_io_apic();
  check_legacy();
  check_x2apic();
}

}  // namespace bare
