// Interrupts between processors: every mode and way to name the target (Intel SDM vol. 3, 11.6; for
// x2APICs 11.12.9 and 11.12.10).
#include "smp.h"

namespace bare {
namespace {

constexpr uint8_t kVector = 0x61;
constexpr uint32_t kPatience = 300'000'000;  // pauses; a busy host may leave the other CPU waiting
uint32_t taken[kMaxCpus], nmis[kMaxCpus];
bool x2apic;  // both CPUs are in that mode

void count(Frame&) {
  __atomic_add_fetch(&taken[this_cpu()], 1, __ATOMIC_RELAXED);
  if (x2apic) {
    write_msr(kX2Apic + kApicEoi / 16, 0);
  } else {
    apic(kApicEoi) = 0;
  }
}

void send(uint32_t destination, uint32_t command) {
  if (!x2apic) return send_ipi(destination, command);
  write_msr(kX2Apic + kApicIcrLow / 16, uint64_t{destination} << 32 | command | kIcrAssert);
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
  send(destination, command | kVector);
  enable_interrupts();
  for (uint32_t i = 0; i < kPatience; ++i) {
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
  for (uint32_t i = 0; i < kPatience && now(taken[0]) + now(taken[1]) == before; ++i) pause();
  for (uint32_t i = 0; i < 100'000; ++i) pause();
  disable_interrupts();
  check_equal("lowest priority: one of both", now(taken[0]) + now(taken[1]), before + 1);
  send_ipi(kSecond, kIcrNmi);
  for (uint32_t i = 0; i < kPatience && now(nmis[1]) == 0; ++i) pause();
  check("NMI to the other", now(nmis[1]) == 1 && now(nmis[0]) == 0);
  // Not one of many may get lost, nor two be made of one.
  bool exact = true;
  for (uint32_t i = 0; i < 5000 && exact; ++i) {
    const uint32_t wanted = now(taken[1]) + 1;
    send_ipi(kSecond, kVector);
    for (uint32_t j = 0; j < kPatience && now(taken[1]) != wanted; ++j) pause();
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
    for (uint32_t j = 0; j < kPatience && now(taken[1]) != wanted; ++j) pause();
    woken = now(taken[1]) == wanted;
  }
  check("2000 IPIs to a CPU in HLT", woken);
  __atomic_store_n(&done, true, __ATOMIC_RELEASE);
  send_ipi(kSecond, kVector);
}

// Clusters: the destination's upper half names one, its lower half members (11.6.2.2).
void set_cluster(uint32_t logical) {
  apic(kApicDfr) = 0x0fffffff;
  apic(kApicLdr) = logical << 24;
}
void send_to_clusters() {
  expect("cluster: one member", 0x12, kIcrLogical, 0, 1);
  expect("cluster: both members", 0x13, kIcrLogical, 1, 1);
  expect("cluster: a member that is none", 0x14, kIcrLogical, 0, 0);
  expect("another cluster", 0x23, kIcrLogical, 0, 0);
  expect("every cluster", 0xff, kIcrLogical, 1, 1);
  set_cluster(0x21);
  expect("clusters apart: the second's", 0x13, kIcrLogical, 0, 1);
  expect("clusters apart: the first's", 0x23, kIcrLogical, 1, 0);
  apic(kApicDfr) = 0xffffffff;
  __atomic_store_n(&done, true, __ATOMIC_RELEASE);
}

// HLT with IF off ends by an NMI, not by an interrupt.
bool halted, woken;
void halt_without_interrupts() {
  __atomic_store_n(&halted, true, __ATOMIC_RELEASE);
  asm volatile("hlt" ::: "memory");
  __atomic_store_n(&woken, true, __ATOMIC_RELEASE);
}
void wake_by_nmi() {
  while (!__atomic_load_n(&halted, __ATOMIC_ACQUIRE)) pause();
  for (uint32_t i = 0; i < 300'000; ++i) pause();
  send_ipi(kSecond, kVector);
  for (uint32_t i = 0; i < 300'000; ++i) pause();
  check("with IF off HLT goes on over an interrupt", !__atomic_load_n(&woken, __ATOMIC_ACQUIRE));
  send_ipi(kSecond, kIcrNmi);
  for (uint32_t i = 0; i < kPatience && !__atomic_load_n(&woken, __ATOMIC_ACQUIRE); ++i) pause();
  check("and ends by an NMI", __atomic_load_n(&woken, __ATOMIC_ACQUIRE));
}

void enter_x2apic() { write_msr(kMsrApicBase, read_msr(kMsrApicBase) | kApicBaseX2); }
void leave_x2apic() {
  const uint64_t base = read_msr(kMsrApicBase) & ~(kApicBaseX2 | kApicBaseEnable);
  write_msr(kMsrApicBase, base);
  write_msr(kMsrApicBase, base | kApicBaseEnable);
  enable_apic();
}
void send_x2() {
  expect("x2APIC: physical, the other", kSecond, 0, 0, 1);
  expect("x2APIC: physical, nobody", 0x100, 0, 0, 0);
  expect("x2APIC: physical, everybody", 0xffffffff, 0, 1, 1);
  expect("x2APIC: logical, the other", 2, kIcrLogical, 0, 1);
  expect("x2APIC: logical, both", 3, kIcrLogical, 1, 1);
  expect("x2APIC: another cluster", 0x10003, kIcrLogical, 0, 0);
  expect("x2APIC: logical, everybody", 0xffffffff, kIcrLogical, 1, 1);
  expect("x2APIC: all", 0, kIcrAll, 1, 1);
  expect("x2APIC: all others", 0, kIcrOthers, 0, 1);
  const uint32_t before = now(nmis[1]);
  send(kSecond, kIcrNmi);
  for (uint32_t i = 0; i < kPatience && now(nmis[1]) == before; ++i) pause();
  check_equal("x2APIC: NMI to the other", now(nmis[1]), before + 1);
  __atomic_store_n(&done, true, __ATOMIC_RELEASE);
}

void check_x2apic_ipis() {
  if (!has_x2apic()) {
    for (int i = 0; i < 10; ++i) skip("x2APIC", "CPUID has it not");
    return;
  }
  together(enter_x2apic, enter_x2apic);
  x2apic = true;
  done = false;
  together(send_x2, listen);
  x2apic = false;
  together(leave_x2apic, leave_x2apic);
}

}  // namespace

void check_ipis() {
  set_handler(kVector, count);
  set_handler(kNmi, count_nmi);
  together([] {}, [] { apic(kApicLdr) = 2u << 24; });
  together(send_all, listen);
  done = false;
  together(wake_many_times, sleep_and_listen);
  together([] { set_cluster(0x11); }, [] { set_cluster(0x12); });
  done = false;
  together(send_to_clusters, listen);
  together([] {}, [] { apic(kApicDfr) = 0xffffffff; });
  together(wake_by_nmi, halt_without_interrupts);
  together([] {}, [] { asm volatile("sti; nop; nop; cli" ::: "memory"); });
  check_x2apic_ipis();
  set_handler(kNmi, nullptr);
}

}  // namespace bare
