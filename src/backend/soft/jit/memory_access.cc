// Loads and stores: the lookup in the software TLB, which is the only thing that stands between a
// guest's instruction and memory.
#include <bit>

#include "backend/soft/jit/block_translator.h"

namespace husk::soft::jit {

using decode::kNoRegister;
using decode::kRipBase;
using decode::MemoryOperand;

namespace {

constexpr uint8_t kNotEqual = 5;
constexpr uint64_t kNoTag = ~uint64_t{0};  // that of no entry
constexpr uint8_t kPageShift = 12;
constexpr uint8_t kEntryShift = std::countr_zero(sizeof(mmu::TlbEntry));
static_assert(sizeof(mmu::TlbEntry) == size_t{1} << kEntryShift);
constexpr int32_t kIndexMask = static_cast<int32_t>((mmu::Tlb::kEntries - 1) << kEntryShift);

bool segmented(const MemoryOperand& operand) {
  return operand.segment == contract::x86::kFs || operand.segment == contract::x86::kGs;
}
bool pinned(uint8_t guest) { return guest != kNoRegister && !in_memory(guest); }
bool is_spilled(uint8_t guest) {
  return guest != kNoRegister && guest != kRipBase && in_memory(guest);
}

}  // namespace

bool BlockTranslator::constant_address(const Item& item, const MemoryOperand& operand,
                                       uint64_t& linear) const {
  const bool relative = operand.base == kRipBase;
  if (segmented(operand) || operand.index != kNoRegister ||
      (operand.base != kNoRegister && !relative))
    return false;
  linear = static_cast<uint64_t>(operand.displacement) + (relative ? next_rip(item) : 0);
  return true;
}

// The linear address, to `into`, RAX or RCX. Leaves EFLAGS alone unless two of its parts are in
// memory.
void BlockTranslator::linear_address(const Item& item, const MemoryOperand& operand, int32_t extra,
                                     uint8_t into) {
  uint64_t constant = 0;
  if (constant_address(item, operand, constant))
    return a_.mov_imm(into, constant + static_cast<uint64_t>(static_cast<int64_t>(extra)));
  Mem m{.base = kNoReg, .disp = static_cast<int32_t>(operand.displacement) + extra};
  if (pinned(operand.index)) {
    m.index = host_of(operand.index);
    m.scale_log2 = operand.scale_log2;
  } else if (operand.index != kNoRegister) {
    a_.load(into, slot_of(operand.index));
    m.index = into;
    m.scale_log2 = operand.scale_log2;
  }
  const bool base_spilled = is_spilled(operand.base);
  if (operand.base == kRipBase) {  // with a segment
    a_.mov_imm(into, next_rip(item));
    m.base = into;
  } else if (pinned(operand.base)) {
    m.base = host_of(operand.base);
  } else if (base_spilled && m.index != into) {
    a_.load(into, slot_of(operand.base));
    m.base = into;
  }
  a_.lea(into, m);
  if (base_spilled && m.base != into) a_.rm(op(0x03), into, slot_of(operand.base));
  if (segmented(operand))
    a_.rm(op(0x03), into, hot(offsetof(HotState, seg_base) + operand.segment * 8u));
}

// Compares the entry for `linear` with `tag`; what does not match is a miss.
void BlockTranslator::compare_constant(uint64_t tag, uint64_t linear, bool write) {
  const size_t entry = table(write) + mmu::Tlb::index(linear) * sizeof(mmu::TlbEntry);
  a_.mov_imm(rax, tag);
  a_.rm(op(0x0b), rax, HUSK_HOT(context));
  a_.rm(op(0x3b), rax, hot(entry + offsetof(mmu::TlbEntry, tag)));
}

// The same for the first address of an access in RCX, its last in RAX; RCX finds the entry then.
void BlockTranslator::compare_entry(bool write) {
  constexpr int32_t kPageBits = -4096;
  a_.shift_imm(5, rcx, kPageShift - kEntryShift, false);
  a_.alu_imm(4, rax, kPageBits);
  a_.alu_imm(4, rcx, kIndexMask, false);
  a_.rm(op(0x0b), rax, HUSK_HOT(context));
  Mem entry = hot(table(write) + offsetof(mmu::TlbEntry, tag));
  entry.index = rcx;
  a_.rm(op(0x3b), rax, entry);
}

// An address that is one operand of the host's, also with `low` or `high` added to it.
bool BlockTranslator::simple_address(const MemoryOperand& operand, int64_t low, int64_t high,
                                     Mem& m) {
  if (segmented(operand) || operand.base == kRipBase || is_spilled(operand.base) ||
      is_spilled(operand.index) || !fits(operand.displacement + low) ||
      !fits(operand.displacement + high))
    return false;
  m.base = operand.base == kNoRegister ? kNoReg : host_of(operand.base);
  m.index = operand.index == kNoRegister ? kNoReg : host_of(operand.index);
  m.scale_log2 = operand.scale_log2;
  m.disp = static_cast<int32_t>(operand.displacement + low);
  return true;
}

// Checks the access and gives the place on the host: in RCX, or in RAX and RCX, and guest
// registers. EFLAGS are as the item needs them.
Mem BlockTranslator::access(Item& item) {
  const uint8_t number = item.accessed++;
  const Access& what = item.accesses.list[number];
  const Place& place = item.places[number];
  if (!shared(place)) return single_access(item, what);
  if (place.first) return first_access(item, what, place);
  before_native(item);
  a_.load(rcx, span_host(slots_[place.span]));
  return {.base = rcx, .disp = static_cast<int32_t>(place.offset - spans_[place.span].low)};
}

Mem BlockTranslator::single_access(Item& item, const Access& what) {
  before_clobber(item);
  Site site = site_of(item);
  site.size = what.size;
  site.write = what.write;
  site.aligned = what.aligned;
  const uint8_t* again = a_.here();
  const int32_t last = what.aligned ? 0 : what.size - 1;
  const auto miss = [&] {
    misses_.push_back({a_.jcc(kNotEqual), again, index_of(item), site, &what});
  };

  uint64_t constant = 0;
  if (constant_address(item, what.operand, constant)) {
    constant += static_cast<uint64_t>(static_cast<int64_t>(what.extra));
    const size_t entry = table(what.write) + mmu::Tlb::index(constant) * sizeof(mmu::TlbEntry);
    const uint64_t tag = (constant + static_cast<uint64_t>(last)) & kPageMask;
    const bool misaligned = what.aligned && constant % what.size != 0;
    compare_constant(misaligned ? kNoTag : tag, constant, what.write);
    miss();
    before_native(item);
    a_.load(rcx, hot(entry + offsetof(mmu::TlbEntry, addend)));
    if (fits(static_cast<int64_t>(constant)))
      return {.base = rcx, .disp = static_cast<int32_t>(constant)};
    a_.mov_imm(rax, constant);
    return {.base = rax, .index = rcx};
  }

  Mem m;
  const bool simple = simple_address(what.operand, what.extra, what.extra + last, m);
  if (simple) {
    a_.lea(rcx, m);
    Mem end = m;
    end.disp += last;
    a_.lea(rax, end);
  } else {
    linear_address(item, what.operand, what.extra, rcx);
    a_.store(HUSK_HOT(spill), rcx);
    a_.lea(rax, {.base = rcx, .disp = last});
  }
  if (what.aligned) {
    a_.rr({.opcode = 0xf6, .bytes = true}, 0, rcx);  // TEST CL, size - 1
    a_.byte(static_cast<uint8_t>(what.size - 1));
    miss();
  }
  compare_entry(what.write);
  miss();
  before_native(item);
  load_addend(what.write);
  if (simple && m.index == kNoReg && m.base != kNoReg) {
    m.index = rcx;
    return m;
  }
  if (simple) {
    a_.lea(rax, m);
  } else {
    a_.load(rax, HUSK_HOT(spill));
  }
  return {.base = rax, .index = rcx};
}

// Of the entry that RCX finds, to RCX.
void BlockTranslator::load_addend(bool write) {
  Mem entry = hot(table(write) + offsetof(mmu::TlbEntry, addend));
  entry.index = rcx;
  a_.load(rcx, entry);
}

Mem BlockTranslator::free_rax(Mem m) {
  if (m.base != rax) return m;
  a_.lea(rcx, m);
  return {.base = rcx};
}

}  // namespace husk::soft::jit
