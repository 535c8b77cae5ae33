// The parts of the `smp` guest, and how they give the second CPU work.
#pragma once

#include <stdint.h>

#include "apic.h"
#include "cpu.h"
#include "descriptors.h"
#include "page_table.h"
#include "report.h"
#include "trap.h"

namespace bare {

// Runs `job` on the second CPU while this one does `own`, and returns when both are done.
void together(void (*own)(), void (*job)());
// The same for a job that goes on until stop_other(), which `own` calls at its end.
void run_together(void (*own)(), void (*job)());
bool stopped();
void stop_other();
// From the first CPU: an interrupt to the other, whose handler calls answer().
void ask(uint8_t vector);
void answer();
// Starts it from INIT on; false: it does not come. Again, when it runs already.
bool start_second();
constexpr uint32_t kSecond = 1;  // its APIC ID

// Keeps two CPUs in step: returns once both have come.
class Barrier {
 public:
  void wait() {
    const uint32_t round = __atomic_load_n(&round_, __ATOMIC_ACQUIRE);
    if (__atomic_add_fetch(&here_, 1, __ATOMIC_ACQ_REL) == 2) {
      __atomic_store_n(&here_, 0, __ATOMIC_RELAXED);
      __atomic_store_n(&round_, round + 1, __ATOMIC_RELEASE);
    } else {
      while (__atomic_load_n(&round_, __ATOMIC_ACQUIRE) == round) pause();
    }
  }

 private:
  uint32_t here_ = 0, round_ = 0;
};

void check_ipis();
void check_atomics();
void check_ordering();
void check_shoot_down();
void check_code_changes();

}  // namespace bare
