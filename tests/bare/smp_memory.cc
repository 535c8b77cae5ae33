// What two CPUs may rely on in memory: locked instructions lose nothing, and stores are seen in
// order (Intel SDM vol. 3, 9.1 and 9.2).
#include "smp.h"

namespace bare {
namespace {

constexpr uint32_t kRounds = 50'000;
Barrier barrier;

// Each body runs kRounds times on both CPUs at once.
void both(void (*body)()) { together(body, body); }

alignas(64) uint64_t counter;
alignas(64) uint8_t small_counter;
alignas(64) uint32_t lock_word;
alignas(16) uint64_t pair[2];
alignas(64) uint32_t bit_sums[kMaxCpus];
alignas(64) uint8_t straddling[128];

#define BARE_LOCKED_LOOP(instruction, ...)                                        \
  [] {                                                                            \
    barrier.wait();                                                               \
    for (uint32_t i = 0; i < kRounds; ++i) asm volatile(instruction __VA_ARGS__); \
  }

void check_counters() {
  both(BARE_LOCKED_LOOP("lock incq %0", : "+m"(counter)));
  check_equal("LOCK INC", counter, 2 * kRounds);
  both(BARE_LOCKED_LOOP("lock addq $-1, %0", : "+m"(counter)));
  check_equal("LOCK ADD", counter, 0);
  both(BARE_LOCKED_LOOP("mov $3, %%eax; lock xaddq %%rax, %0", : "+m"(counter)::"rax"));
  check_equal("LOCK XADD", counter, 6 * kRounds);
  both(BARE_LOCKED_LOOP("lock incb %0", : "+m"(small_counter)));
  check_equal("LOCK INC of a byte", small_counter, static_cast<uint8_t>(2 * kRounds));
  counter = 0;
  both(BARE_LOCKED_LOOP("movq %0, %%rax\n"
                        "1: leaq 1(%%rax), %%rcx\n\t"
                        "lock cmpxchgq %%rcx, %0\n\t"
                        "jne 1b",
                        : "+m"(counter)::"rax", "rcx"));
  check_equal("LOCK CMPXCHG", counter, 2 * kRounds);
  both(BARE_LOCKED_LOOP("movq %0, %%rax; movq %1, %%rdx\n"
                        "1: leaq 1(%%rax), %%rbx; leaq -1(%%rdx), %%rcx\n\t"
                        "lock cmpxchg16b %0\n\t"
                        "jne 1b",
                        : "+m"(pair[0]), "+m"(pair[1])::"rax", "rbx", "rcx", "rdx"));
  check("LOCK CMPXCHG16B", pair[0] == 2 * kRounds && pair[1] == 0ull - 2 * kRounds);
  auto& odd = *reinterpret_cast<uint64_t*>(straddling + 61);
  static_assert(sizeof(straddling) == 128);
  both([] {
    auto* at = reinterpret_cast<uint64_t*>(straddling + 61);
    barrier.wait();
    for (uint32_t i = 0; i < kRounds / 10; ++i) asm volatile("lock incq %0" : "+m"(*at));
  });
  check_equal("LOCK INC across two cache lines", odd, kRounds / 10 * 2);
  // Across pages whose frames lie apart.
  constexpr uint64_t kPlace = 0x7300000000;
  uint64_t* second = new_page();
  (void)new_page();
  uint64_t* first = new_page();
  map(boot_tables(), kPlace, reinterpret_cast<uint64_t>(first), kPresent | kWritable);
  map(boot_tables(), kPlace + kPage, reinterpret_cast<uint64_t>(second), kPresent | kWritable);
  both([] {
    auto* at = reinterpret_cast<uint64_t*>(kPlace + kPage - 3);
    barrier.wait();
    for (uint32_t i = 0; i < kRounds / 10; ++i) asm volatile("lock addq $0x10001, %0" : "+m"(*at));
  });
  check_equal("LOCK ADD across two pages", *reinterpret_cast<uint64_t*>(kPlace + kPage - 3),
              0x10001ull * (kRounds / 10 * 2));
}

void check_locks() {
  counter = 0;
  both([] {
    barrier.wait();
    for (uint32_t i = 0; i < kRounds; ++i) {
      uint32_t taken = 1;
      do asm volatile("xchgl %0, %1" : "+r"(taken), "+m"(lock_word)::"memory");
      while (taken != 0);
      counter = counter + 1;
      __atomic_store_n(&lock_word, 0, __ATOMIC_RELEASE);
    }
  });
  check_equal("a lock by XCHG keeps the other out", counter, 2 * kRounds);
  both([] {
    barrier.wait();
    for (uint32_t i = 0; i < kRounds; ++i) {
      bool was_set;
      asm volatile("lock btsl $9, %1" : "=@ccc"(was_set), "+m"(lock_word));
      if (!was_set) {
        bit_sums[this_cpu()] += 1;
        asm volatile("lock btrl $9, %1" : "=@ccc"(was_set), "+m"(lock_word));
        if (!was_set) bit_sums[this_cpu()] += 1'000'000;
      }
    }
  });
  check("LOCK BTS and BTR agree on who has it",
        bit_sums[0] > 0 && bit_sums[1] > 0 && bit_sums[0] <= kRounds && bit_sums[1] <= kRounds);
}

// Message passing: whoever sees the flag sees the data.
alignas(64) uint64_t data;
alignas(64) uint64_t flag;
bool passing_broke;

void send_messages() {
  for (uint64_t i = 1; i <= kRounds; ++i) {
    asm volatile("movq %2, %0\n\tmovq %2, %1" : "=m"(data), "=m"(flag) : "r"(i));
  }
}
void receive_messages() {
  uint64_t seen = 0;
  while (seen < kRounds) {
    uint64_t value;
    asm volatile("movq %2, %0\n\tmovq %3, %1" : "=&r"(seen), "=r"(value) : "m"(flag), "m"(data));
    if (value < seen) passing_broke = true;
  }
}

// Store buffers: with a fence between store and load, one of both sees the other's store.
alignas(64) uint32_t mine[kMaxCpus], seen_other[kMaxCpus];
bool both_missed;

template <bool by_lock>
void store_then_load() {
  const uint32_t cpu = this_cpu();
  for (uint32_t i = 1; i <= 3000; ++i) {
    barrier.wait();
    if (by_lock) {
      asm volatile("movl %1, %0; lock orl $0, %0" : "=m"(mine[cpu]) : "r"(i) : "memory");
    } else {
      asm volatile("movl %1, %0; mfence" : "=m"(mine[cpu]) : "r"(i) : "memory");
    }
    seen_other[cpu] = *const_cast<volatile uint32_t*>(&mine[1 - cpu]);
    barrier.wait();
    if (cpu == 0 && seen_other[0] != i && seen_other[1] != i) both_missed = true;
  }
}

// Halves of an aligned 8-byte store never come apart.
void write_whole() {
  for (uint64_t i = 0; i < kRounds; ++i) {
    const uint64_t value = i << 32 | i;
    asm volatile("movq %1, %0" : "=m"(data) : "r"(value));
  }
  flag = ~0ull;
}
void read_whole() {
  while (__atomic_load_n(&flag, __ATOMIC_ACQUIRE) != ~0ull) {
    uint64_t value;
    asm volatile("movq %1, %0" : "=r"(value) : "m"(data));
    if (value >> 32 != (value & 0xffffffff)) passing_broke = true;
  }
}

}  // namespace

void check_atomics() {
  check_counters();
  check_locks();
}

void check_ordering() {
  together(send_messages, receive_messages);
  check("stores are seen in order", !passing_broke);
  passing_broke = false;
  data = flag = 0;
  together(write_whole, read_whole);
  check("an aligned store is one", !passing_broke);
  both(store_then_load<false>);
  check("MFENCE empties the store buffer", !both_missed);
  for (uint32_t& value : mine) value = 0;
  both(store_then_load<true>);
  check("so does a locked instruction", !both_missed);
}

}  // namespace bare
