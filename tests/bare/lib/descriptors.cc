#include "descriptors.h"

#include "cpu.h"

extern "C" const char bare_stubs[];

namespace bare {

constexpr uint32_t kStackSize = 16384, kSpareStacks = 4;

uint64_t gdt[kGdtEntries];
Gate idt[256];
Tss64 tss[kMaxCpus];

namespace {

alignas(16) uint8_t kernel_stacks[kMaxCpus][kStackSize];
alignas(16) uint8_t fault_stacks[kMaxCpus][kStackSize];
alignas(16) uint8_t spare_stacks[kSpareStacks][kStackSize];

void fill_gdt() {
  constexpr uint64_t kPlain = kFlat | kDescPresent | kDescSegment | kDescAccessed | kDescWritable;
  gdt[kCode64 / 8] = kPlain | kDescCode | kDescLong;
  gdt[kData / 8] = kPlain | kDescBig;
  gdt[kUserCode32 / 8] = kPlain | kDescCode | kDescBig | desc_dpl(3);
  gdt[kUserData / 8] = kPlain | kDescBig | desc_dpl(3);
  gdt[kUserCode64 / 8] = kPlain | kDescCode | kDescLong | desc_dpl(3);
  gdt[kCode32 / 8] = kPlain | kDescCode | kDescBig;
  gdt[kCode16 / 8] = (kPlain & ~kDescGranular & ~0x000f000000000000ull) | kDescCode;
  gdt[kData16 / 8] = kPlain & ~kDescGranular & ~0x000f000000000000ull;
}

}  // namespace

Gate make_gate(uint64_t target, uint16_t selector, uint8_t type, uint8_t dpl, uint8_t ist) {
  return {(target & 0xffff) | uint64_t{selector} << 16 | uint64_t{ist} << 32 |
              uint64_t{type} << 40 | desc_dpl(dpl) | kDescPresent | (target >> 16 & 0xffff) << 48,
          target >> 32};
}

uint64_t stub_address(uint8_t vector) {
  return reinterpret_cast<uint64_t>(bare_stubs) + vector * 16u;
}

void reset_gate(uint8_t vector) {
  const bool open = vector == kBp || vector == kOf || vector >= 0x80;
  idt[vector] =
      make_gate(stub_address(vector), kCode64, kInterruptGate, open ? 3 : 0, vector == kDf ? 1 : 0);
}

void set_system_descriptor(uint16_t selector, uint64_t base, uint32_t limit, uint8_t type) {
  gdt[selector / 8] = (limit & 0xffff) | (base & 0xffffff) << 16 | uint64_t{type} << 40 |
                      kDescPresent | (uint64_t{limit} >> 16 & 15) << 48 | (base >> 24 & 0xff) << 56;
  gdt[selector / 8 + 1] = base >> 32;
}

void load_gdt(uint32_t limit) {
  const TablePointer pointer{static_cast<uint16_t>(limit), reinterpret_cast<uint64_t>(gdt)};
  asm volatile("lgdt %0" ::"m"(pointer) : "memory");
}

void load_idt(uint64_t base, uint16_t limit) {
  const TablePointer pointer{limit, base};
  asm volatile("lidt %0" ::"m"(pointer) : "memory");
}

void load_task(uint32_t cpu, uint32_t limit) {
  const auto selector = static_cast<uint16_t>(kTask + cpu * 16);
  set_system_descriptor(selector, reinterpret_cast<uint64_t>(&tss[cpu]), limit, kTssFree);
  asm volatile("ltr %0" ::"r"(selector) : "memory");
}

uint64_t kernel_stack_top(uint32_t cpu) {
  return reinterpret_cast<uint64_t>(kernel_stacks[cpu] + kStackSize);
}

uint64_t spare_stack_top(uint32_t number) {
  return reinterpret_cast<uint64_t>(spare_stacks[number] + kStackSize);
}

void load_descriptors(uint32_t cpu) {
  if (cpu == 0) {
    fill_gdt();
    for (uint32_t vector = 0; vector < 256; ++vector) reset_gate(static_cast<uint8_t>(vector));
  }
  load_gdt(sizeof(gdt) - 1);
  asm volatile(
      "pushq %0\n\t"
      "leaq 1f(%%rip), %%rax\n\t"
      "pushq %%rax\n\t"
      "lretq\n"
      "1:\tmovl %1, %%eax\n\t"
      "movl %%eax, %%ds\n\t"
      "movl %%eax, %%es\n\t"
      "movl %%eax, %%ss\n\t" ::"i"(kCode64),
      "i"(kData)
      : "rax", "memory");
  load_idt(reinterpret_cast<uint64_t>(idt), sizeof(idt) - 1);
  tss[cpu].rsp[0] = kernel_stack_top(cpu);
  tss[cpu].ist[0] = reinterpret_cast<uint64_t>(fault_stacks[cpu] + kStackSize);
  load_task(cpu, kTssLimit);
}

}  // namespace bare
