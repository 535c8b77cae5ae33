#include "backend/soft/jit/runtime.h"

#include <algorithm>
#include <array>
#include <cstring>

#include "backend/soft/interp/handlers.h"
#include "backend/soft/jit/registers.h"

namespace husk::soft::jit {

namespace {

using interp::Cpu;

Cpu& cpu_of(uint64_t* regs) {
  auto* hot = reinterpret_cast<std::byte*>(regs) - offsetof(HotState, regs);
  return static_cast<Cpu&>(*reinterpret_cast<HotState*>(hot));
}

const std::byte* start_of(const Site& site) {
  return reinterpret_cast<const std::byte*>(&site) - site.self;
}
const Translation& translation_of(const Site& site) {
  return *reinterpret_cast<const Translation*>(start_of(site));
}
const void* again(const Site& site) { return start_of(site) + site.again; }
const void* next(const Site& site) { return start_of(site) + site.next; }

// The last op of a site: its instruction is done.
const Op* end_of_site(Cpu&, const Op* op) { return op; }

// A site's instruction, alone.
class SiteOps {
 public:
  explicit SiteOps(const Site& site) {
    const Op* from = translation_of(site).block->ops + site.first_op;
    std::copy_n(from, site.op_count, ops_.begin());
    Op& end = ops_[site.op_count];
    end.fn = end_of_site;
    end.offset = site.behind;
    Op& guard = ops_[site.op_count + 1];  // where Cpu::finish_write stops
    guard.fn = interp::continue_handler();
    guard.offset = site.behind;
  }
  [[nodiscard]] const Op* first() { return ops_.data(); }

 private:
  std::array<Op, kMostSiteOps + 2> ops_;
};

void begin(Cpu& cpu, const Site& site) {
  cpu.regs[interp::kSlotBlockRip] = translation_of(site).rip;
  cpu.device.rewind();
}

// Behind the end of a block. XMM registers stay in memory until somebody wants them.
const void* go_on(Cpu& cpu) {
  cpu.sse_live = cpu.x87_lent = 0;
  return cpu.next_code();
}

const void* interpret(uint64_t* regs, const Site* site) {
  Cpu& cpu = cpu_of(regs);
  begin(cpu, *site);
  SiteOps ops(*site);
  const Op* op = ops.first();
  do {
    op = op->fn(cpu, op);
  } while (op != nullptr && op->fn != end_of_site);
  if (op == nullptr) return go_on(cpu);
  if (cpu.keeps_vectors() != cpu.sse_live) cpu.sse_live = 0;
  if (!cpu.keeps_x87()) cpu.x87_lent = 0;
  if (!cpu.wants_run_loop()) return next(*site);
  cpu.rip = cpu.ip_of(op);
  return nullptr;
}

const void* miss(uint64_t* regs, const Site* site, uint64_t linear) {
  Cpu& cpu = cpu_of(regs);
  const bool one_page = linear % kPageSize + site->size <= kPageSize;
  const bool fits = one_page && (!site->aligned || linear % site->size == 0);
  return fits && cpu.warm_tlb(linear, site->write) ? again(*site) : interpret(regs, site);
}

const void* span_miss(uint64_t* regs, const Site* site, uint64_t linear) {
  constexpr uint64_t kAlignment = 16;
  if (site->aligned && (linear + site->aligned_at) % kAlignment != 0) return next(*site);
  return cpu_of(regs).warm_tlb(linear, site->write) ? again(*site) : next(*site);
}

const void* rest_of_block(Cpu& cpu, const Site& site) {
  begin(cpu, site);
  const Op* op = translation_of(site).block->ops + site.first_op;
  do {
    op = op->fn(cpu, op);
  } while (op != nullptr);
  return go_on(cpu);
}

const void* vectors(uint64_t* regs, const Site* site) {
  Cpu& cpu = cpu_of(regs);
  cpu.sse_live = cpu.lend_vectors();
  return cpu.sse_live != 0 ? next(*site) : rest_of_block(cpu, *site);
}

const void* x87(uint64_t* regs, const Site* site) {
  Cpu& cpu = cpu_of(regs);
  if (!cpu.lend_x87()) return rest_of_block(cpu, *site);
  cpu.x87_lent = 1;
  return next(*site);
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
