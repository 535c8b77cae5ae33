#include "backend/soft/jit/block_translator.h"

#include "backend/soft/interp/handlers.h"

namespace husk::soft::jit {

using decode::Insn;

namespace {

// The last op of a site: its instruction is done.
const Op* end_of_site(interp::Cpu&, const Op* op) { return op; }

bool is_bit_scan(const Insn& insn) {
  return insn.map == decode::OpMap::k0F && (insn.opcode | 1) == 0xbd;
}

}  // namespace

interp::Handler end_handler() { return end_of_site; }

BlockTranslator::BlockTranslator(CodeStore& store, const Stubs& stubs, const Block& block,
                                 uint64_t rip, std::span<const uint8_t> bytes, bool careful)
    : store_(store),
      stubs_(stubs),
      block_(block),
      rip_(rip),
      careful_(careful),
      bytes_(bytes),
      a_(store.arena().next()) {}

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
    if (item.op_count == 0) return false;
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

Site& BlockTranslator::site_of(Item& item) {
  if (item.site != nullptr) return *item.site;
  Op* ops = store_.add_ops(item.op_count + 2u);
  for (uint16_t i = 0; i < item.op_count; ++i) ops[i] = block_.ops[item.first_op + i];
  Op& end = ops[item.op_count];
  end = {};
  end.fn = end_handler();
  end.offset = static_cast<uint16_t>(item.offset + item.insn.length);
  Op& guard = ops[item.op_count + 1];  // where Cpu::finish_write stops
  guard = end;
  guard.fn = interp::continue_handler();
  item.site = &store_.add_site();
  item.site->ops = ops;
  item.site->block_rip = rip_;
  return *item.site;
}

void BlockTranslator::interpret(Item& item) {
  if (flags_.host && !flags_.memory) save_flags();
  a_.mov_imm(rcx, reinterpret_cast<uint64_t>(&site_of(item)));
  a_.call_to(stubs_.interpret);
  for (int i = 0; i < 5; ++i) a_.byte(0x90);  // where it would come back to try again
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

// The entries. Before the loading one, for Jit::translation_of(), is the translation's address.
void BlockTranslator::begin() {
  const bool needs_flags = items_.front().live_before != 0;
  if (needs_flags && begins_with_clobber()) {
    out_->entry = a_.here();
    save_flags();
    a_.byte(0x48);  // MOV RAX, the address
    a_.byte(0xb8);
    a_.qword(reinterpret_cast<uint64_t>(out_));
    out_->entry_loading = a_.here();
    flags_ = {.host = false, .memory = true};
    return;
  }
  a_.qword(reinterpret_cast<uint64_t>(out_));
  out_->entry_loading = a_.here();
  if (needs_flags) load_flags();
  out_->entry = a_.here();
  flags_ = {.host = needs_flags, .memory = false};
}

void BlockTranslator::detour(Item& item, JumpSite from) {
  detours_.push_back(
      {.from = from, .item = index_of(item), .stub = stubs_.interpret, .site = &site_of(item)});
}

Translation* BlockTranslator::run() {
  if (!collect() || items_.empty()) return nullptr;
  find_spans();
  find_live_flags();
  out_ = &store_.add(block_, rip_, careful_);
  begin();
  for (Item& item : items_) {
    const size_t misses = misses_.size(), detours = detours_.size();
    translate(item);
    const bool restore = flags_.host;
    for (size_t i = misses; i < misses_.size(); ++i) {
      misses_[i].next = a_.here();
      misses_[i].restore = restore;
    }
    for (size_t i = detours; i < detours_.size(); ++i) {
      if (detours_[i].next != nullptr) continue;
      detours_[i].next = a_.here();
      detours_[i].restore = restore;
    }
  }
  if (items_.back().form.family <= Family::kJumpIf)
    exit_to(next_rip(items_.back()), rip_of(items_.back()), -1);
  finish();
  store_.arena().take(a_.here());
  return out_;
}

// What the block's own code only jumps to when something is out of the ordinary.
void BlockTranslator::finish() {
  for (const Miss& miss : misses_) {
    a_.bind(miss.from);
    linear_address(items_[miss.item], miss.access->operand, miss.access->extra, rax);
    a_.mov_imm(rcx, reinterpret_cast<uint64_t>(miss.site));
    a_.call_to(stubs_.miss);
    a_.jmp_to(miss.again);  // five bytes
    if (miss.restore) load_flags();
    a_.jmp_to(miss.next);
  }
  for (const SpanMiss& miss : span_misses_) finish(miss);
  for (const Detour& detour : detours_) {
    a_.bind(detour.from);
    a_.mov_imm(rcx, reinterpret_cast<uint64_t>(detour.site));
    a_.call_to(detour.stub);
    for (int i = 0; i < 5; ++i) a_.byte(0x90);
    if (detour.restore) load_flags();
    a_.jmp_to(detour.next);
  }
  for (const Pending& pending : exits_) {
    a_.bind(pending.exit->site);
    pending.exit->unlinked = a_.here();
    flags_ = pending.flags;
    if (flags_.host && !flags_.memory) save_flags();
    a_.mov_imm(rcx, reinterpret_cast<uint64_t>(pending.exit));
    a_.jmp_to(stubs_.exit);
  }
}

}  // namespace husk::soft::jit
