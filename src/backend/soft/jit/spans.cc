#include "backend/soft/jit/spans.h"

#include <algorithm>

#include "contract/address.h"
#include "contract/x86/vcpu_state.h"

namespace husk::soft::jit {

using decode::kNoRegister;
using decode::kRipBase;

namespace {

constexpr uint16_t kAlignment = 16;  // that a span can promise

}  // namespace

SpanFinder::SpanFinder() { forget_all(); }

// Registers hold what is not known, and no check is good any more.
void SpanFinder::forget_all() {
  for (Value& value : registers_) value = {next_number_++};
  open_.clear();
}

Places SpanFinder::add(const decode::Insn& insn, const Form& form, uint64_t next_rip) {
  Places places;
  if (form.family == Family::kInterpreted || form.family == Family::kSwapGs) {
    forget_all();
    return places;
  }
  if (form.family == Family::kJumpIf)
    for (const Open& open : open_) spans_[open.span].sealed = true;
  const Accesses accesses = accesses_of(insn, form);
  for (uint8_t i = 0; i < accesses.count; ++i) places[i] = place(accesses.list[i], next_rip);
  // When the first access misses, the interpreter does both: a check at the second is skipped.
  if (accesses.count == 2 && places[1].first) open_.pop_back();
  assign(assignments_of(insn, form));
  return places;
}

Place SpanFinder::place(const Access& access, uint64_t next_rip) {
  if (access.aligned && access.size != kAlignment) return {};
  const decode::MemoryOperand& operand = access.operand;
  Root root;
  auto start = static_cast<uint64_t>(operand.displacement) +
               static_cast<uint64_t>(static_cast<int64_t>(access.extra));
  if (operand.segment == contract::x86::kFs || operand.segment == contract::x86::kGs)
    root.segment = operand.segment;
  if (operand.base == kRipBase) {
    start += next_rip;
  } else if (operand.base != kNoRegister) {
    root.base = registers_[operand.base].number;
    start += static_cast<uint64_t>(registers_[operand.base].delta);
  }
  if (operand.index != kNoRegister) {
    root.index = registers_[operand.index].number;
    root.scale = operand.scale_log2;
    start += static_cast<uint64_t>(registers_[operand.index].delta) << operand.scale_log2;
  }
  const auto at = static_cast<int64_t>(start);
  const auto known = std::ranges::find(open_, root, &Open::root);
  if (known != open_.end()) {
    const auto offset = static_cast<int64_t>(start - static_cast<uint64_t>(known->start));
    if (join(root, known->start, spans_[known->span], access, offset))
      return {known->span, false, offset};
    open_.erase(known);
  }
  const auto span = static_cast<uint16_t>(spans_.size());
  spans_.push_back({.low = 0, .high = access.size, .uses = 1, .write = access.write});
  if (access.aligned) spans_.back().aligned_at = 0;
  open_.push_back({root, at, span});
  return {span, true, 0};
}

// False: the span would be too long, or hold what is aligned in different ways, or what may not
// come.
bool SpanFinder::join(const Root& root, int64_t start, Span& span, const Access& access,
                      int64_t offset) {
  const int64_t low = std::min(span.low, offset), high = std::max(span.high, offset + access.size);
  if (offset < -kLongest || offset > kLongest || high - low > kLongest) return false;
  const auto page_of = [&](int64_t at) {
    return (static_cast<uint64_t>(start) + static_cast<uint64_t>(at)) / kPageSize;
  };
  if (root.constant() && page_of(low) != page_of(high - 1)) return false;
  if (access.write && !span.write && span.sealed) return false;
  if (access.aligned && span.aligned_at && (*span.aligned_at - offset) % kAlignment != 0)
    return false;
  if (access.aligned) span.aligned_at = offset;
  span.low = low;
  span.high = high;
  span.write |= access.write;
  ++span.uses;
  return true;
}

void SpanFinder::assign(const Assignments& assignments) {
  const std::array<Value, 16> before = registers_;
  for (uint8_t i = 0; i < assignments.count; ++i) {
    const Assignment& assignment = assignments.list[i];
    Value& value = registers_[assignment.reg];
    if (assignment.from == kNoRegister) {
      value = {next_number_++};
    } else {
      value = before[assignment.from];
      value.delta = static_cast<int64_t>(static_cast<uint64_t>(value.delta) +
                                         static_cast<uint64_t>(assignment.delta));
    }
  }
}

}  // namespace husk::soft::jit
