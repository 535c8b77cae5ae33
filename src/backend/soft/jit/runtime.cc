#include "backend/soft/jit/runtime.h"

#include <cstring>

#include "backend/soft/jit/registers.h"

namespace husk::soft::jit {

namespace {

using interp::Cpu;

constexpr uint64_t kLeave = 0, kAgain = 1, kBehind = 2;

Cpu& cpu_of(uint64_t* regs) {
  auto* hot = reinterpret_cast<std::byte*>(regs) - offsetof(HotState, regs);
  return static_cast<Cpu&>(*reinterpret_cast<HotState*>(hot));
}

void begin(Cpu& cpu, const Site& site) {
  cpu.regs[interp::kSlotBlockRip] = site.block_rip;
  cpu.device.rewind();
}

// Behind the end of a block. XMM registers stay in memory until somebody wants them.
uint64_t go_on(Cpu& cpu) {
  cpu.sse_live = cpu.x87_lent = 0;
  return reinterpret_cast<uint64_t>(cpu.next_code());
}

uint64_t interpret(uint64_t* regs, const Site* site) {
  Cpu& cpu = cpu_of(regs);
  begin(cpu, *site);
  const Op* op = site->ops;
  do {
    op = op->fn(cpu, op);
  } while (op != nullptr && op->fn != end_handler());
  if (op == nullptr) return go_on(cpu);
  if (cpu.keeps_vectors() != cpu.sse_live) cpu.sse_live = 0;
  if (!cpu.keeps_x87()) cpu.x87_lent = 0;
  if (!cpu.wants_run_loop()) return kBehind;
  cpu.rip = cpu.ip_of(op);
  return kLeave;
}

uint64_t miss(uint64_t* regs, const Site* site, uint64_t linear) {
  Cpu& cpu = cpu_of(regs);
  const bool one_page = linear % kPageSize + site->size <= kPageSize;
  if (one_page && linear % site->alignment == 0 && cpu.warm_tlb(linear, site->write)) return kAgain;
  return interpret(regs, site);
}

uint64_t span_miss(uint64_t* regs, const Site* site, uint64_t linear) {
  if ((linear + site->aligned_at) % site->alignment != 0) return kBehind;
  return cpu_of(regs).warm_tlb(linear, site->write) ? kAgain : kBehind;
}

uint64_t rest_of_block(Cpu& cpu, const Site& site) {
  begin(cpu, site);
  const Op* op = site.ops;
  do {
    op = op->fn(cpu, op);
  } while (op != nullptr);
  return go_on(cpu);
}

uint64_t vectors(uint64_t* regs, const Site* site) {
  Cpu& cpu = cpu_of(regs);
  cpu.sse_live = cpu.lend_vectors();
  return cpu.sse_live != 0 ? kAgain : rest_of_block(cpu, *site);
}

uint64_t x87(uint64_t* regs, const Site* site) {
  Cpu& cpu = cpu_of(regs);
  if (!cpu.lend_x87()) return rest_of_block(cpu, *site);
  cpu.x87_lent = 1;
  return kAgain;
}

}  // namespace

const Callbacks& callbacks() {
  static constexpr Callbacks kCallbacks{interpret, miss, span_miss, vectors, x87};
  return kCallbacks;
}

CodeBytes::CodeBytes(Cpu& cpu, const Block& block, uint64_t rip) {
  const uint64_t gpa = block.key >> 2;
  const mmu::PageRef page = cpu.memory.page(gpa);
  if (page.host == nullptr) return;
  const uint64_t start = gpa % kPageSize;
  size_ = kPageSize - start;
  std::memcpy(bytes_.data(), page.host + start, size_);
  if (block.generation_now2 != nullptr) {
    const std::byte* next = cpu.code_page(rip + size_);
    if (next == nullptr) return;
    std::memcpy(bytes_.data() + size_, next, 15);
    size_ += 15;
  }
  valid_ = block.current();
}

}  // namespace husk::soft::jit
