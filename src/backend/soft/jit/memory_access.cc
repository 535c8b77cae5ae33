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
constexpr uint8_t kPageShift = 12;
constexpr uint8_t kEntryShift = std::countr_zero(sizeof(mmu::TlbEntry));
static_assert(sizeof(mmu::TlbEntry) == size_t{1} << kEntryShift);
constexpr int32_t kIndexMask = static_cast<int32_t>((mmu::Tlb::kEntries - 1) << kEntryShift);

bool fits(int64_t value) { return value == static_cast<int32_t>(value); }
bool segmented(const MemoryOperand& operand) {
  return operand.segment == contract::x86::kFs || operand.segment == contract::x86::kGs;
}
bool pinned(uint8_t guest) { return guest != kNoRegister && !in_memory(guest); }
bool is_spilled(uint8_t guest) {
  return guest != kNoRegister && guest != kRipBase && in_memory(guest);
}

size_t table(bool write) {
  return offsetof(HotState, tlb) + (write ? offsetof(mmu::Tlb, write) : offsetof(mmu::Tlb, read));
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

// Checks the access and gives the place on the host: in RCX, or in RAX and RCX, and guest
// registers. EFLAGS are as the item needs them.
Mem BlockTranslator::access(Item& item, const MemoryOperand& operand, int32_t extra, uint16_t size,
                            bool write, bool aligned) {
  before_clobber(item);
  Site& site = site_of(item);
  Site* own = &site;
  if (site.size != 0 && (site.size != size || site.write != write)) {  // its second access
    own = &store_.add_site();
    *own = site;
  }
  own->size = size;
  own->write = write;
  own->alignment = aligned ? 16 : 1;
  const uint8_t* again = a_.here();
  constexpr int32_t kPageBits = -4096;
  const int32_t last = aligned ? 0 : size - 1;
  const auto miss = [&] {
    misses_.push_back({a_.jcc(kNotEqual), again, index_of(item), own, operand, extra});
  };

  uint64_t constant = 0;
  if (constant_address(item, operand, constant)) {
    constant += static_cast<uint64_t>(static_cast<int64_t>(extra));
    const size_t entry = table(write) + mmu::Tlb::index(constant) * sizeof(mmu::TlbEntry);
    const uint64_t tag = (constant + static_cast<uint64_t>(last)) & kPageMask;
    const bool misaligned = aligned && constant % 16 != 0;
    a_.mov_imm(rax, misaligned ? ~uint64_t{0} : tag);  // which no tag is
    a_.rm(op(0x0b), rax, HUSK_HOT(context));
    a_.rm(op(0x3b), rax, hot(entry + offsetof(mmu::TlbEntry, tag)));
    miss();
    before_native(item);
    a_.load(rcx, hot(entry + offsetof(mmu::TlbEntry, addend)));
    if (fits(static_cast<int64_t>(constant)))
      return {.base = rcx, .disp = static_cast<int32_t>(constant)};
    a_.mov_imm(rax, constant);
    return {.base = rax, .index = rcx};
  }

  const int64_t displacement = operand.displacement + extra;
  const bool simple = !segmented(operand) && operand.base != kRipBase &&
                      !is_spilled(operand.base) && !is_spilled(operand.index) &&
                      fits(displacement + last) && fits(displacement);
  Mem m;
  if (simple) {
    m.base = operand.base == kNoRegister ? kNoReg : host_of(operand.base);
    m.index = operand.index == kNoRegister ? kNoReg : host_of(operand.index);
    m.scale_log2 = operand.scale_log2;
    m.disp = static_cast<int32_t>(displacement);
    a_.lea(rcx, m);
    Mem end = m;
    end.disp += last;
    a_.lea(rax, end);
  } else {
    linear_address(item, operand, extra, rcx);
    a_.store(HUSK_HOT(spill), rcx);
    a_.lea(rax, {.base = rcx, .disp = last});
  }
  if (aligned) {
    a_.rr({.opcode = 0xf6, .bytes = true}, 0, rcx);  // TEST CL, 15
    a_.byte(15);
    miss();
  }
  a_.shift_imm(5, rcx, kPageShift - kEntryShift, false);
  a_.alu_imm(4, rax, kPageBits);
  a_.alu_imm(4, rcx, kIndexMask, false);
  a_.rm(op(0x0b), rax, HUSK_HOT(context));
  Mem entry = hot(table(write) + offsetof(mmu::TlbEntry, tag));
  entry.index = rcx;
  a_.rm(op(0x3b), rax, entry);
  miss();
  before_native(item);
  entry = hot(table(write) + offsetof(mmu::TlbEntry, addend));
  entry.index = rcx;
  a_.load(rcx, entry);
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

Mem BlockTranslator::stack_access(Item& item, int32_t offset, bool write) {
  MemoryOperand operand;
  operand.base = kGuestRsp;
  operand.segment = contract::x86::kSs;
  return access(item, operand, offset, 8, write);
}

Mem BlockTranslator::free_rax(Mem m) {
  if (m.base != rax) return m;
  a_.lea(rcx, m);
  return {.base = rcx};
}

}  // namespace husk::soft::jit
