// GDT, IDT and TSSs of 64-bit guests.
#pragma once

#include <stdint.h>

namespace bare {

constexpr uint32_t kMaxCpus = 2;

// SYSRET wants 32-bit code, data and 64-bit code of ring 3 in this order; SYSCALL 64-bit code,
// data.
enum Selector : uint16_t {
  kCode64 = 0x08,
  kData = 0x10,
  kUserCode32 = 0x18 | 3,
  kUserData = 0x20 | 3,
  kUserCode64 = 0x28 | 3,
  kCode32 = 0x30,
  kCode16 = 0x38,
  kData16 = 0x40,
  kFreeSelector = 0x48,  // and those behind it: for the tests
  kTask = 0x100,         // of the first CPU; 16 bytes each
};
constexpr uint32_t kGdtEntries = 64;

struct [[gnu::packed]] Tss64 {
  uint32_t reserved0 = 0;
  uint64_t rsp[3] = {};
  uint64_t reserved1 = 0;
  uint64_t ist[7] = {};  // ist[0] is IST1
  uint64_t reserved2 = 0;
  uint16_t reserved3 = 0;
  uint16_t io_map = 0x68;
  uint8_t io_bits[8192 + 1] = {};
};
constexpr uint32_t kTssLimit = 0x67;  // without an I/O permission bitmap

// Types of gates and system segments.
constexpr uint8_t kInterruptGate = 0xe, kTrapGate = 0xf, kCallGate = 0xc, kLdt = 2, kTssFree = 9,
                  kTssBusy = 11;
constexpr uint64_t kDescPresent = 1ull << 47, kDescSegment = 1ull << 44, kDescCode = 1ull << 43,
                   kDescConforming = 1ull << 42, kDescWritable = 1ull << 41,
                   kDescAccessed = 1ull << 40, kDescLong = 1ull << 53, kDescBig = 1ull << 54,
                   kDescGranular = 1ull << 55;
constexpr uint64_t desc_dpl(uint64_t level) { return level << 45; }
constexpr uint64_t kFlat = 0x000f00000000ffffull | kDescGranular;

struct Gate {
  uint64_t low = 0, high = 0;
};
struct [[gnu::packed]] TablePointer {
  uint16_t limit = 0;
  uint64_t base = 0;
};

extern uint64_t gdt[kGdtEntries];
extern Gate idt[256];
extern Tss64 tss[kMaxCpus];

Gate make_gate(uint64_t target, uint16_t selector, uint8_t type, uint8_t dpl, uint8_t ist);
[[nodiscard]] uint64_t stub_address(uint8_t vector);
// Back to the usual gate: interrupt gate, DPL 0 (3 for INT3, INTO and from vector 0x80), no IST but
// for #DF.
void reset_gate(uint8_t vector);
void set_system_descriptor(uint16_t selector, uint64_t base, uint32_t limit, uint8_t type);
// Loads GDT, IDT and the CPU's own TSS.
void load_descriptors(uint32_t cpu);
void load_gdt(uint32_t limit);
void load_idt(uint64_t base, uint16_t limit);
void load_task(uint32_t cpu, uint32_t limit);             // as available, with this limit
[[nodiscard]] uint64_t kernel_stack_top(uint32_t cpu);    // RSP0
[[nodiscard]] uint64_t spare_stack_top(uint32_t number);  // 0..3; IST1 of each CPU is elsewhere

// By the task register: neither GS nor the APIC are the library's.
inline uint32_t this_cpu() {
  uint16_t selector;
  asm volatile("str %0" : "=r"(selector));
  return selector < kTask ? 0 : (selector - kTask) / 16u;
}

}  // namespace bare
