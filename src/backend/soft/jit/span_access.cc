// The first access of a span: its check is good for all of them, and where they are on the host is
// kept for those that follow. When the span crosses a page, or the check cannot be made to succeed,
// the block goes on in a careful translation, which checks each access by itself.
#include "backend/soft/jit/block_translator.h"

namespace husk::soft::jit {

namespace {

constexpr uint8_t kNotEqual = 5;
constexpr uint8_t kPageShift = 12;

}  // namespace

Mem BlockTranslator::first_access(Item& item, const Access& what, const Place& place) {
  const Span& span = spans_[place.span];
  const Mem kept = span_host(slots_[place.span]);
  before_clobber(item);
  Site site = site_of(item);
  site.write = span.write;
  if (span.aligned_at) {
    site.aligned = true;
    site.aligned_at = static_cast<uint16_t>(*span.aligned_at - span.low);
  }
  SpanMiss miss{a_.here(), index_of(item), site, &what, &span, {}, {}};
  const auto last = static_cast<int32_t>(span.high - span.low - 1);
  uint64_t constant = 0;
  if (constant_address(item, what.operand, constant)) {
    const uint64_t low = constant + static_cast<uint64_t>(what.extra + span.low);
    const size_t entry = table(span.write) + mmu::Tlb::index(low) * sizeof(mmu::TlbEntry);
    const bool misaligned = span.aligned_at && (low + site.aligned_at) % 16 != 0;
    compare_constant(misaligned ? ~uint64_t{0} : low & kPageMask, low, span.write);
    miss.from = a_.jcc(kNotEqual);
    a_.load(rcx, hot(entry + offsetof(mmu::TlbEntry, addend)));
    a_.mov_imm(rax, low);
  } else {
    Mem m;
    const int64_t low = what.extra + span.low;
    const bool simple = simple_address(what.operand, low, low + last, m);
    if (simple) {
      a_.lea(rcx, m);
    } else {
      linear_address(item, what.operand, static_cast<int32_t>(low), rcx);
      a_.store(HUSK_HOT(spill), rcx);
    }
    if (span.aligned_at) {
      a_.lea(rax, {.base = rcx, .disp = site.aligned_at});
      a_.byte(0xa8);  // TEST AL, 15
      a_.byte(15);
      miss.misaligned = a_.jcc(kNotEqual);
    }
    a_.lea(rax, {.base = rcx, .disp = last});
    compare_entry(span.write);
    miss.from = a_.jcc(kNotEqual);
    load_addend(span.write);
    if (simple) {
      a_.lea(rax, m);
    } else {
      a_.load(rax, HUSK_HOT(spill));
    }
  }
  span_misses_.push_back(miss);
  a_.lea(rcx, {.base = rcx, .index = rax});
  a_.store(kept, rcx);
  before_native(item);
  return {.base = rcx, .disp = static_cast<int32_t>(-span.low)};
}

// The flags are in memory here.
void BlockTranslator::finish(const SpanMiss& miss) {
  const Item& item = items_[miss.item];
  const auto low = static_cast<int32_t>(miss.access->extra + miss.span->low);
  const auto last = static_cast<int32_t>(miss.access->extra + miss.span->high - 1);
  a_.bind(miss.from);
  if (miss.misaligned.field != nullptr) a_.bind(miss.misaligned);
  constexpr uint8_t kPageBit = kPageShift - 8;
  linear_address(item, miss.access->operand, low, rax);
  linear_address(item, miss.access->operand, last, rcx);
  a_.rr(op(0x33, false), rcx, rax);
  a_.rr({.opcode = 0xf6}, 0, 5);  // TEST CH: the least bit of the page's number
  a_.byte(1u << kPageBit);
  const JumpSite crosses = a_.jcc(kNotEqual);
  Site site = miss.site;
  site.again = distance(miss.again);
  call(stubs_.span_miss, site, nullptr);
  a_.bind(crosses);
  add_exit(a_.jmp(), {.rip = rip_of(item), .careful = true}, {.host = false, .memory = true});
}

}  // namespace husk::soft::jit
