// What one CPU changes under the other's page-table walker (Intel SDM vol. 3, 4.10.4 and 4.10.5).
#include "smp.h"

namespace bare {
namespace {

constexpr uint64_t kLinear = 0x7000000000;
constexpr uint8_t kFlush = 0x62;
volatile uint64_t* const page = reinterpret_cast<volatile uint64_t*>(kLinear);

void on_flush(Frame&) {
  invlpg(kLinear);
  answer();
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
  stop_other();
}

// The page is taken away and given back: the other CPU must fault on every access in between.
bool wrote_through;
uint32_t faults;
void on_fault(Frame& frame) {
  __atomic_add_fetch(&faults, 1, __ATOMIC_ACQ_REL);
  (void)frame;
  while ((__atomic_load_n(entry, __ATOMIC_ACQUIRE) & kWritable) == 0 && !stopped()) {
    asm volatile("sti; nop; nop; cli" ::: "memory");  // for the IPIs
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
  stop_other();
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
  stop_other();
}

// One CPU reads and the other writes a page that neither has in its TLB: A and D are each set by
// its own walker, and both must be there afterwards (4.8).
Barrier step;
bool lost_accessed, lost_dirty;
void touch_in_step() {
  constexpr uint64_t kBits = kAccessed | kDirty;
  const uint32_t cpu = this_cpu();
  for (uint32_t round = 0; round < 5000; ++round) {
    if (cpu == 0) __atomic_fetch_and(entry, ~kBits, __ATOMIC_ACQ_REL);
    step.wait();
    invlpg(kLinear);
    step.wait();
    if (cpu == round % 2) {
      page[3] = round;
    } else {
      (void)page[4];
    }
    step.wait();
    if (cpu == 0) {
      const uint64_t now = __atomic_load_n(entry, __ATOMIC_ACQUIRE);
      if ((now & kAccessed) == 0) lost_accessed = true;
      if ((now & kDirty) == 0) lost_dirty = true;
    }
  }
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
  together(touch_in_step, touch_in_step);
  check("nor A when both come at once", !lost_accessed);
  check("nor D", !lost_dirty);
}

}  // namespace bare
