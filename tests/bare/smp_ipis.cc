// Interrupts between processors: every mode and way to name the target.
#include "smp.h"

namespace bare {
namespace {

constexpr uint8_t kVector = 0x61;
uint32_t taken[kMaxCpus], nmis[kMaxCpus];

void count(Frame&) {
  __atomic_add_fetch(&taken[this_cpu()], 1, __ATOMIC_RELAXED);
  apic(kApicEoi) = 0;
}

void count_nmi(Frame&) { __atomic_add_fetch(&nmis[this_cpu()], 1, __ATOMIC_RELAXED); }

uint32_t now(const uint32_t& counter) { return __atomic_load_n(&counter, __ATOMIC_ACQUIRE); }

bool done;
void listen() {
  enable_interrupts();
  while (!__atomic_load_n(&done, __ATOMIC_ACQUIRE)) pause();
  disable_interrupts();
}
void sleep_and_listen() {
  while (!__atomic_load_n(&done, __ATOMIC_ACQUIRE)) asm volatile("sti; hlt; cli" ::: "memory");
}

// Sends, waits, and tells how often each CPU was interrupted.
void expect(const char* name, uint32_t destination, uint32_t command, uint32_t first,
            uint32_t second) {
  const uint32_t before[] = {now(taken[0]), now(taken[1])};
  send_ipi(destination, command | kVector);
  enable_interrupts();
  for (uint32_t i = 0; i < 3'000'000; ++i) {
    if (now(taken[0]) == before[0] + first && now(taken[1]) == before[1] + second) break;
    pause();
  }
  for (int i = 0; i < 1000; ++i) pause();
  disable_interrupts();
  check(name, now(taken[0]) == before[0] + first && now(taken[1]) == before[1] + second);
}

void send_all() {
  expect("physical, the other", kSecond, 0, 0, 1);
  expect("physical, itself", 0, 0, 1, 0);
  expect("physical, nobody", 7, 0, 0, 0);
  expect("physical, everybody", 0xff, 0, 1, 1);
  expect("shorthand: self", 0, kIcrSelf, 1, 0);
  expect("shorthand: all", 0, kIcrAll, 1, 1);
  expect("shorthand: all others", 0, kIcrOthers, 0, 1);
  apic(kApicLdr) = 1u << 24;
  expect("logical flat, the other", 2, kIcrLogical, 0, 1);
  expect("logical flat, both", 3, kIcrLogical, 1, 1);
  expect("logical flat, nobody", 4, kIcrLogical, 0, 0);
  const uint32_t before = now(taken[0]) + now(taken[1]);
  send_ipi(3, kIcrLogical | kIcrLowestPriority | kVector);
  enable_interrupts();
  for (uint32_t i = 0; i < 300'000; ++i) pause();
  disable_interrupts();
  check_equal("lowest priority: one of both", now(taken[0]) + now(taken[1]), before + 1);
  send_ipi(kSecond, kIcrNmi);
  for (uint32_t i = 0; i < 3'000'000 && now(nmis[1]) == 0; ++i) pause();
  check("NMI to the other", now(nmis[1]) == 1 && now(nmis[0]) == 0);
  // Not one of many may get lost, nor two be made of one.
  bool exact = true;
  for (uint32_t i = 0; i < 5000 && exact; ++i) {
    const uint32_t wanted = now(taken[1]) + 1;
    send_ipi(kSecond, kVector);
    for (uint32_t j = 0; j < 30'000'000 && now(taken[1]) != wanted; ++j) pause();
    exact = now(taken[1]) == wanted;
  }
  check("5000 IPIs to a CPU that runs", exact);
  __atomic_store_n(&done, true, __ATOMIC_RELEASE);
}

void wake_many_times() {
  bool woken = true;
  for (uint32_t i = 0; i < 2000 && woken; ++i) {
    const uint32_t wanted = now(taken[1]) + 1;
    send_ipi(kSecond, kVector);
    for (uint32_t j = 0; j < 30'000'000 && now(taken[1]) != wanted; ++j) pause();
    woken = now(taken[1]) == wanted;
  }
  check("2000 IPIs to a CPU in HLT", woken);
  __atomic_store_n(&done, true, __ATOMIC_RELEASE);
  send_ipi(kSecond, kVector);
}

}  // namespace

void check_ipis() {
  set_handler(kVector, count);
  set_handler(kNmi, count_nmi);
  together([] {}, [] { apic(kApicLdr) = 2u << 24; });
  together(send_all, listen);
  done = false;
  together(wake_many_times, sleep_and_listen);
  set_handler(kNmi, nullptr);
}

}  // namespace bare
