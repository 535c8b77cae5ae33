// What one CPU changes under the other: page tables and code.
#include "smp.h"

extern "C" uint8_t patched[], patched_value[], patched_first[];
asm(R"(
        .text
        .balign 64
patched:
patched_first:
        nop
        .byte 0x0f, 0x1f, 0x00
        .byte 0xb8
patched_value:
        .long 0
        ret
)");

namespace bare {
namespace {

constexpr uint64_t kLinear = 0x7000000000;
constexpr uint8_t kFlush = 0x62, kSerialise = 0x63;
volatile uint64_t* const page = reinterpret_cast<volatile uint64_t*>(kLinear);
bool stop;
uint32_t acknowledged;

bool stopped() { return __atomic_load_n(&stop, __ATOMIC_ACQUIRE); }
uint32_t answers() { return __atomic_load_n(&acknowledged, __ATOMIC_ACQUIRE); }

// An IPI to the other CPU, and its answer.
void ask(uint8_t vector) {
  const uint32_t before = answers();
  send_ipi(kSecond, vector);
  while (answers() == before) pause();
}

void on_flush(Frame&) {
  invlpg(kLinear);
  __atomic_add_fetch(&acknowledged, 1, __ATOMIC_ACQ_REL);
  apic(kApicEoi) = 0;
}

void on_serialise(Frame&) {
  (void)cpuid(0);
  __atomic_add_fetch(&acknowledged, 1, __ATOMIC_ACQ_REL);
  apic(kApicEoi) = 0;
}

uint64_t* frames[2];
uint64_t* entry;
uint64_t allowed_from;  // frames carry rising numbers; older ones are gone
bool saw_old;

void read_page() {
  enable_interrupts();
  while (!stopped()) {
    const uint64_t least = __atomic_load_n(&allowed_from, __ATOMIC_ACQUIRE);
    if (page[0] < least) saw_old = true;
  }
  disable_interrupts();
}

void move_page() {
  for (uint64_t round = 2; round < 2000; ++round) {
    uint64_t* frame = frames[round & 1];
    frame[0] = round;
    *entry = reinterpret_cast<uint64_t>(frame) | kPresent | kWritable;
    invlpg(kLinear);
    ask(kFlush);
    __atomic_store_n(&allowed_from, round, __ATOMIC_RELEASE);
  }
  __atomic_store_n(&stop, true, __ATOMIC_RELEASE);
}

// The page is taken away and given back: the other CPU must fault on every access in between.
bool wrote_through;
uint32_t faults;
void on_fault(Frame& frame) {
  __atomic_add_fetch(&faults, 1, __ATOMIC_ACQ_REL);
  (void)frame;
  while ((__atomic_load_n(entry, __ATOMIC_ACQUIRE) & kWritable) == 0 && !stopped()) {
    enable_interrupts();  // for the IPIs
    pause();
    disable_interrupts();
  }
  invlpg(kLinear);
}

void write_page() {
  enable_interrupts();
  for (uint64_t i = 0; !stopped(); ++i) page[1] = i;
  disable_interrupts();
}

void protect_page() {
  const uint64_t open = reinterpret_cast<uint64_t>(frames[0]) | kPresent | kWritable;
  for (uint32_t round = 0; round < 1000; ++round) {
    __atomic_store_n(entry, open & ~kWritable, __ATOMIC_RELEASE);
    ask(kFlush);
    const uint64_t before = const_cast<volatile uint64_t*>(frames[0])[1];
    for (int i = 0; i < 50; ++i) pause();
    if (const_cast<volatile uint64_t*>(frames[0])[1] != before) wrote_through = true;
    __atomic_store_n(entry, open, __ATOMIC_RELEASE);
    for (int i = 0; i < 50; ++i) pause();
  }
  __atomic_store_n(&stop, true, __ATOMIC_RELEASE);
}

// The other CPU makes the walker set A and D while this one flips a bit of software's with LOCK.
void touch_page() {
  while (!stopped()) {
    invlpg(kLinear);
    page[2] = 1;
  }
}

bool lost_a_bit;
void flip_software_bits() {
  constexpr uint64_t kSoftware = 0x200;
  for (uint32_t round = 0; round < 20'000; ++round) {
    const uint64_t before = __atomic_fetch_xor(entry, kSoftware, __ATOMIC_ACQ_REL);
    if ((before & kSoftware) != (round & 1) * kSoftware) lost_a_bit = true;
    __atomic_fetch_and(entry, ~(kAccessed | kDirty), __ATOMIC_ACQ_REL);
  }
  __atomic_store_n(&stop, true, __ATOMIC_RELEASE);
}

// Code whose immediate changes: old or new, nothing else, and new behind the serialisation.
uint32_t least_value;
bool wrong_value;

uint32_t call_patched() {
  uint32_t value;
  asm volatile("call patched" : "=a"(value)::"memory");
  return value;
}

void run_patched() {
  enable_interrupts();
  while (!stopped()) {
    const uint32_t least = __atomic_load_n(&least_value, __ATOMIC_ACQUIRE);
    const uint32_t value = call_patched();
    const uint32_t most = *reinterpret_cast<volatile uint32_t*>(patched_value);
    if (value < least || value > most) wrong_value = true;
  }
  disable_interrupts();
}

void patch_value() {
  for (uint32_t round = 1; round < 2000; ++round) {
    __atomic_store_n(reinterpret_cast<uint32_t*>(patched_value), round, __ATOMIC_RELEASE);
    ask(kSerialise);
    __atomic_store_n(&least_value, round, __ATOMIC_RELEASE);
  }
  __atomic_store_n(&stop, true, __ATOMIC_RELEASE);
}

// A breakpoint set and cleared in code that runs, the way that kernels patch themselves.
uint32_t breakpoints;
void on_breakpoint(Frame&) { __atomic_add_fetch(&breakpoints, 1, __ATOMIC_ACQ_REL); }

void set_breakpoints() {
  uint32_t seen = 0;
  for (uint32_t round = 0; round < 1000; ++round) {
    __atomic_store_n(patched_first, 0xcc, __ATOMIC_RELEASE);
    ask(kSerialise);
    const uint32_t before = __atomic_load_n(&breakpoints, __ATOMIC_ACQUIRE);
    for (uint32_t i = 0; i < 30'000'000; ++i) {
      if (__atomic_load_n(&breakpoints, __ATOMIC_ACQUIRE) != before) {
        ++seen;
        break;
      }
      pause();
    }
    __atomic_store_n(patched_first, 0x90, __ATOMIC_RELEASE);
    ask(kSerialise);
  }
  __atomic_store_n(&stop, true, __ATOMIC_RELEASE);
  check_equal("each INT3 that is set is met", seen, 1000);
}

void run_together(void (*own)(), void (*job)()) {
  stop = false;
  together(own, job);
}

}  // namespace

void check_shoot_down() {
  set_handler(kFlush, on_flush);
  for (uint64_t*& frame : frames) frame = new_page();
  frames[0][0] = frames[1][0] = 1;
  entry = map(boot_tables(), kLinear, reinterpret_cast<uint64_t>(frames[0]), kPresent | kWritable)
              .entry[1];
  run_together(move_page, read_page);
  check("no CPU reads an old page behind the shoot-down", !saw_old);
  *entry = reinterpret_cast<uint64_t>(frames[0]) | kPresent | kWritable;
  set_handler(kPf, on_fault);
  run_together(protect_page, write_page);
  check("none writes one that was protected", !wrote_through);
  check("but faults", faults > 0);
  set_handler(kPf, nullptr);
  *entry = reinterpret_cast<uint64_t>(frames[0]) | kPresent | kWritable;
  run_together(flip_software_bits, touch_page);
  check("A and D are set without losing what others set", !lost_a_bit);
}

void check_code_changes() {
  set_handler(kSerialise, on_serialise);
  run_together(patch_value, run_patched);
  check("code that changes is old or new, and new when told so", !wrong_value);
  set_handler(kBp, on_breakpoint);
  run_together(set_breakpoints, run_patched);
  check("and otherwise computes the same", !wrong_value);
  set_handler(kBp, nullptr);
}

}  // namespace bare
