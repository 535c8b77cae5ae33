// Two CPUs: how the second is started, and what they may rely on between them.
#include "smp.h"

#include "guest.h"

extern "C" const uint8_t second_start[], second_end[], second_cs[], second_flags[];

namespace bare {
namespace {

constexpr uintptr_t kTrampoline = 0x8000;
void (*pending)() = nullptr;
uint32_t starts = 0, answers = 0;
bool stop = false;

void idle_for(uint32_t turns) {
  for (uint32_t i = 0; i < turns; ++i) pause();
}

bool wait_for_start(uint32_t wanted) {
  for (uint32_t i = 0; i < 300'000'000; ++i) {
    if (__atomic_load_n(&starts, __ATOMIC_ACQUIRE) == wanted) return true;
    pause();
  }
  return false;
}

template <class T>
T from_trampoline(const uint8_t* label) {
  return *reinterpret_cast<volatile T*>(kTrampoline + static_cast<uintptr_t>(label - second_start));
}

void check_start() {
  check("the second CPU comes after INIT and SIPI", start_second());
  check_equal("at the page of the SIPI's vector", from_trampoline<uint16_t>(second_cs), 0x800);
  check_equal("with the flags of INIT", from_trampoline<uint32_t>(second_flags), 2);
  send_ipi(kSecond, kIcrStartup | kTrampoline >> 12);
  idle_for(100000);
  check_equal("a SIPI to a CPU that runs is nothing", __atomic_load_n(&starts, __ATOMIC_ACQUIRE),
              1);
  check("INIT and SIPI start it anew", start_second());
  send_ipi(kSecond, kIcrInit);
  idle_for(100000);
  static bool ran = false;
  __atomic_store_n(&pending, [] { ran = true; }, __ATOMIC_RELEASE);
  idle_for(300000);
  check("a CPU that got INIT does nothing", !ran);
  __atomic_store_n(&pending, nullptr, __ATOMIC_RELEASE);
  check("until its SIPI", start_second());
}

}  // namespace

extern "C" void second_main() {
  load_descriptors(kSecond);
  enable_apic();
  __atomic_add_fetch(&starts, 1, __ATOMIC_ACQ_REL);
  for (;;) {
    void (*job)() = __atomic_load_n(&pending, __ATOMIC_ACQUIRE);
    if (job != nullptr) {
      job();
      __atomic_store_n(&pending, nullptr, __ATOMIC_RELEASE);
    }
    pause();
  }
}

bool start_second() {
  auto* to = reinterpret_cast<uint8_t*>(kTrampoline);
  for (const uint8_t* from = second_start; from < second_end; ++from) *to++ = *from;
  const uint32_t wanted = __atomic_load_n(&starts, __ATOMIC_ACQUIRE) + 1;
  send_ipi(kSecond, kIcrInit | kIcrLevel);
  idle_for(10000);
  send_ipi(kSecond, kIcrStartup | kTrampoline >> 12);
  return wait_for_start(wanted);
}

void together(void (*own)(), void (*job)()) {
  __atomic_store_n(&pending, job, __ATOMIC_RELEASE);
  own();
  while (__atomic_load_n(&pending, __ATOMIC_ACQUIRE) != nullptr) pause();
}

void run_together(void (*own)(), void (*job)()) {
  __atomic_store_n(&stop, false, __ATOMIC_RELEASE);
  together(own, job);
}
bool stopped() { return __atomic_load_n(&stop, __ATOMIC_ACQUIRE); }
void stop_other() { __atomic_store_n(&stop, true, __ATOMIC_RELEASE); }

void ask(uint8_t vector) {
  const uint32_t before = __atomic_load_n(&answers, __ATOMIC_ACQUIRE);
  send_ipi(kSecond, vector);
  while (__atomic_load_n(&answers, __ATOMIC_ACQUIRE) == before) pause();
}
void answer() {
  __atomic_add_fetch(&answers, 1, __ATOMIC_ACQ_REL);
  apic(kApicEoi) = 0;
}

void guest_main() {
  begin("smp", 70);
  enable_apic();
  check_start();
  check_ipis();
  check_atomics();
  check_ordering();
  check_shoot_down();
  check_code_changes();
}

}  // namespace bare
