#include "backend/soft/jit/block_translator.h"

#include "backend/soft/interp/handlers.h"

namespace husk::soft::jit {

using decode::Insn;

namespace {

bool is_bit_scan(const Insn& insn) {
  return insn.map == decode::OpMap::k0F && (insn.opcode | 1) == 0xbd;
}

}  // namespace

BlockTranslator::BlockTranslator(CodeStore& store, const Stubs& stubs, const Block& block,
                                 uint64_t rip, std::span<const uint8_t> bytes, bool careful)
    : store_(store),
      stubs_(stubs),
      block_(block),
      rip_(rip),
      careful_(careful),
      bytes_(bytes),
      a_(store.next()) {}

// The block's instructions, as the interpreter has lowered them.
bool BlockTranslator::collect() {
  const uint32_t end = block_.ops[block_.op_count - 1].offset;
  uint16_t op = 0;
  items_.reserve(block_.op_count);
  for (uint16_t offset = 0; offset < end;) {
    Item item;
    item.offset = offset;
    item.first_op = op;
    while (op + 1u < block_.op_count && block_.ops[op].offset == offset) ++op;
    item.op_count = static_cast<uint16_t>(op - item.first_op);
    if (item.op_count == 0 || item.op_count > kMostSiteOps) return false;
    const auto decoded = decode::decode(bytes_.subspan(offset), decode::CodeSize::k64, item.insn);
    const bool undefined =
        decoded != decode::Status::kOk || block_.ops[op - 1].fn == interp::undefined_handler();
    // BSF and BSR ignore the prefix that makes TZCNT and LZCNT of them, where the guest has these.
    if (block_.ops[op - 1].aux != interp::kCountsZeros && is_bit_scan(item.insn))
      item.insn.rep = decode::Rep::kNone;
    if (decoded != decode::Status::kOk) item.insn.length = static_cast<uint8_t>(end - offset);
    if (!undefined) item.form = form_of(item.insn);
    const bool interpreted = item.form.family == Family::kInterpreted;
    item.flags = interpreted ? FlagUse{kAllFlags, 0, false} : flag_use(item.insn);
    item.accesses = accesses_of(item.insn, item.form);
    offset = static_cast<uint16_t>(offset + item.insn.length);
    items_.push_back(item);
    if (item.form.last) break;
  }
  return true;
}

void BlockTranslator::find_spans() {
  if (careful_) return;
  SpanFinder finder;
  for (Item& item : items_) item.places = finder.add(item.insn, item.form, next_rip(item));
  spans_ = finder.spans();
  uint8_t next = 0;
  for (const Span& span : spans_)
    slots_.push_back(span.uses > 1 && next < HotState::kSpans ? next++ : kNoSlot);
}

// An access that another one's check was good for does not.
bool BlockTranslator::may_fault(const Item& item) const {
  switch (item.form.family) {
    case Family::kNothing:
    case Family::kMove:
    case Family::kMoveImmediate:
    case Family::kLea:
    case Family::kConvert:
      return false;
    case Family::kPlain:
    case Family::kShiftByCl:
    case Family::kMultiply:
    case Family::kCompareExchange:
    case Family::kPush:
    case Family::kPushImmediate:
    case Family::kPushMemory:
    case Family::kPop:
    case Family::kLeave:
      break;
    default:
      return true;
  }
  if (item.form.sse || item.form.x87) return true;
  for (uint8_t i = 0; i < item.accesses.count; ++i)
    if (!shared(item.places[i]) || item.places[i].first) return true;
  return false;
}

Site BlockTranslator::site_of(const Item& item) {
  return {.first_op = item.first_op,
          .behind = static_cast<uint16_t>(item.offset + item.insn.length),
          .op_count = static_cast<uint8_t>(item.op_count)};
}

// Null: it goes on behind the record.
void BlockTranslator::call(const uint8_t* stub, Site site, const uint8_t* next) {
  a_.call_to(stub);
  site.self = distance(a_.here());
  site.next = distance(next == nullptr ? a_.here() + sizeof site : next);
  a_.record(site);
}

void BlockTranslator::call_interpreter(const Item& item) {
  call(stubs_.interpret, site_of(item), nullptr);
}

void BlockTranslator::interpret(Item& item) {
  if (flags_.host && !flags_.memory) save_flags();
  call_interpreter(item);
  flags_ = {false, true};
}

void BlockTranslator::translate(Item& item) {
  switch (item.form.family) {
    case Family::kInterpreted:
      return interpret(item);
    case Family::kNothing:
      return;
    case Family::kDisableInterrupts:
      return disable_interrupts(item);
    case Family::kSwapGs:
      return swap_gs(item);
    case Family::kPlain:
      return plain(item);
    case Family::kMove:
      return move(item);
    case Family::kMoveImmediate:
      return move_immediate(item);
    case Family::kLea:
      return lea(item);
    case Family::kShiftByCl:
      return shift_by_cl(item);
    case Family::kConvert:
      return convert(item);
    case Family::kStatusWord:
      return status_word(item);
    case Family::kZeroUpper:
      return zero_upper(item);
    case Family::kMultiply:
      return multiply(item);
    case Family::kDivide:
      return divide(item);
    case Family::kCompareExchange:
      return compare_exchange(item);
    case Family::kPush:
      return push(item);
    case Family::kPushImmediate:
      return push_immediate(item);
    case Family::kPushMemory:
      return push_memory(item);
    case Family::kPop:
      return pop(item);
    case Family::kLeave:
      return leave(item);
    case Family::kJump:
      return jump(item);
    case Family::kJumpIf:
      return jump_if(item);
    case Family::kCall:
      return call(item);
    case Family::kReturn:
      return ret(item);
    case Family::kJumpRegister:
    case Family::kJumpMemory:
      return jump_indirect(item);
    case Family::kCallRegister:
    case Family::kCallMemory:
      return call_indirect(item);
  }
}

void BlockTranslator::begin() {
  out_ = &store_.add(block_, rip_, careful_);
  a_ = Assembler(store_.next());
  const bool needs_flags = items_.front().live_before != 0;
  const bool in_memory = needs_flags && begins_with_clobber();
  if (in_memory) {
    out_->entry = store_.ref_of(a_.here());
    save_flags();
  }
  out_->entry_loading = store_.ref_of(a_.here());
  if (in_memory) {
    flags_ = {.host = false, .memory = true};
    return;
  }
  if (needs_flags) load_flags();
  out_->entry = store_.ref_of(a_.here());
  flags_ = {.host = needs_flags, .memory = false};
}

void BlockTranslator::detour(Item& item, JumpSite from) {
  detours_.push_back({.from = from, .item = index_of(item), .stub = stubs_.interpret});
}

Translation* BlockTranslator::run() {
  if (!collect() || items_.empty()) return nullptr;
  find_spans();
  find_live_flags();
  begin();
  for (Item& item : items_) {
    const size_t misses = misses_.size(), detours = detours_.size();
    translate(item);
    for (size_t i = misses; i < misses_.size(); ++i) misses_[i].next = a_.here();
    for (size_t i = detours; i < detours_.size(); ++i)
      if (detours_[i].next == nullptr) detours_[i].next = a_.here();
  }
  if (items_.back().form.family <= Family::kJumpIf)
    exit_to(next_rip(items_.back()), rip_of(items_.back()), -1);
  finish();
  store_.take(a_.here());
  return out_;
}

// What the block's own code only jumps to when something is out of the ordinary.
void BlockTranslator::finish() {
  for (const Miss& miss : misses_) {
    a_.bind(miss.from);
    linear_address(items_[miss.item], miss.access->operand, miss.access->extra, rax);
    Site site = miss.site;
    site.again = distance(miss.again);
    call(stubs_.miss, site, miss.next);
  }
  for (const SpanMiss& miss : span_misses_) finish(miss);
  for (const Detour& detour : detours_) {
    a_.bind(detour.from);
    call(detour.stub, site_of(items_[detour.item]), detour.next);
  }
  for (Pending& pending : exits_) finish(pending);
}

void BlockTranslator::finish(Pending& pending) {
  a_.bind(pending.site);
  a_.call_to(pending.saves_flags ? stubs_.exit_saving : stubs_.exit);
  pending.exit.from = store_.ref_of(out_);
  pending.exit.site = store_.ref_of(pending.site.field);
  a_.record(pending.exit);
}

void BlockTranslator::add_exit(JumpSite site, const Exit& exit, Flags flags) {
  exits_.push_back({site, exit, flags.host && !flags.memory});
}

}  // namespace husk::soft::jit
