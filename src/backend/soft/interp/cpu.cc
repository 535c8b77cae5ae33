// The run loop, and how it finds and builds blocks.
#include "backend/soft/interp/cpu.h"

#include <cstring>
#include <utility>

#include "backend/soft/interp/cpuid.h"
#include "backend/soft/interp/handlers.h"
#include "backend/soft/interp/known_code.h"
#include "backend/soft/interp/lowering.h"
#include "backend/soft/interp/operands.h"

namespace husk::soft::interp {

using namespace contract::x86;  // NOLINT(google-build-using-namespace): the names of this subject

namespace {

constexpr uint64_t kNoChaining = ~uint64_t{0};  // a code key that no jump entry has
constexpr uint32_t kMaxInsn = 15;
constexpr uint32_t kMaxBlockOps = 96;
// A block goes on behind so many conditional jumps forward, which are mostly not taken, as long as
// it is short.
constexpr uint32_t kMaxJumpsPassed = 3, kShortBlockOps = 24;
constexpr uint64_t kDr6SingleStep = 1u << 14;

bool jumps_forward_on_condition(const decode::Insn& insn) {
  const bool near = insn.map == decode::OpMap::kPrimary && insn.opcode >> 4 == 7;
  const bool far = insn.map == decode::OpMap::k0F && insn.opcode >> 4 == 8;
  return (near || far) && insn.imm > 0;
}

}  // namespace

Cpu::Cpu(mmu::PhysicalMap& memory_map, Environment& environment, size_t index,
         const std::atomic<uint32_t>& signal_word)
    : attention(signal_word),
      fpu_unit(std::make_unique<fpu::Unit>()),
      memory(memory_map),
      env(environment),
      index_(index),
      ops_(std::make_unique<OpList>()) {
  attention_word = &signal_word;
  show(CpuModel::kHost, with_topology(offered_cpuid(), 0, 1));
  reset();
}

Cpu::~Cpu() = default;

// The page that `linear` is fetched from. False: the fetch faulted.
bool Cpu::fetch_page(uint64_t linear, FetchedPage& page) {
  if (!long_mode()) linear &= 0xffffffffu;
  if (noncanonical(nullptr, linear)) return false;
  const mmu::PagingState paging{cr0, cr3, cr4, efer};
  const auto outcome = mmu::walk(memory, paging, linear, mmu::Access::kFetch, ring == 3, false);
  if (const auto* failed = std::get_if<mmu::PageFault>(&outcome)) {
    page_fault(nullptr, linear, failed->error_code);
    return false;
  }
  const auto& translation = std::get<mmu::Translation>(outcome);
  page = {memory.page(translation.gpa), translation.gpa, translation.shift, translation.global};
  if (page.ref.host != nullptr) return true;
  fault(nullptr, kGp, 0);  // code outside RAM: nothing here can supply it
  return false;
}

const Block* Cpu::find_block(bool single) {
  if (!code64() && rip > seg[kCs].limit) {
    fault(nullptr, kGp, 0);
    return nullptr;
  }
  JumpEntry& entry = jumps[jump_index(rip)];
  if (!single && fits(*this, entry, rip)) return entry.block;
  const uint64_t linear = rip + seg_base_of_code();
  FetchedPage page;
  FetchedPage second;
  if (!fetch_page(linear, page)) return nullptr;
  const uint64_t key = page.gpa << 2 | static_cast<uint64_t>(code_size);
  const Block* block = single ? nullptr : blocks_.find(key);
  if (block == nullptr || !block->current()) {
    if (blocks_.full() || fpu_unit->exhausted()) forget_blocks();
    block = build_block(linear, page, second, single);
    if (block == nullptr || single || !memory.settled(*page.ref.state, page.epoch)) return block;
  }
  const bool straddles = block->generation_now2 != nullptr;
  if (straddles && !memory.settled(*second.ref.state, second.epoch)) return block;
  const bool global = page.global && (!straddles || second.global);
  code_pages_.note(linear, page.shift);
  if (straddles) code_pages_.note((linear & kPageMask) + kPageSize, second.shift);
  low_global_code_ |= global && linear >> 63 == 0;
  entry = {rip, global ? global_code_key : code_key, block, nullptr};
  return block;
}

// The translation of the block that RIP is at, when it has one or is worth one by now.
const void* Cpu::code_of(const Block* block) {
  JumpEntry& entry = jumps[jump_index(rip)];
  if (entry.block != block || !fits(*this, entry, rip)) return nullptr;  // it is not kept
  if (entry.code != nullptr) return entry.code;
  if (block->code != nullptr && block->code_rip == rip && block->code_age == code_age_)
    return entry.code = block->code;
  if (block->heat > 0) {
    --block->heat;
    return nullptr;
  }
  if (translator_ != nullptr && code64()) entry.code = translator_->translate(*this, *block, rip);
  if (entry.code == nullptr) {
    block->heat = kNeverHot;
  } else {
    block->code = entry.code;
    block->code_rip = rip;
    block->code_age = code_age_;
  }
  return entry.code;
}

void Cpu::forget_code() {
  ++code_age_;
  if (translator_ != nullptr) translator_->forget();
}

void Cpu::set_translator(std::unique_ptr<Translator> translator, int32_t threshold) {
  translator_ = std::move(translator);
  initial_heat_ = translator_ == nullptr ? kNeverHot : threshold;
  forget_blocks();
}

void Cpu::forget_blocks() {
  blocks_.clear();
  fpu_unit->forget_code();
  forget_code();
  jumps.fill({});
  forget_jumps(Jumps::kAll);
  update_mode();
}

void Cpu::release_code() {
  forget_blocks();
  blocks_.release();
  fpu_unit->release_room();
  if (translator_ != nullptr) translator_->release_room();
}

// Decodes from `linear` to the end of the block or page into ops_; exactly one instruction when
// `single`. False: the fetch of a second page faulted.
bool Cpu::decode_block(uint64_t linear, const FetchedPage& page, FetchedPage& second, bool single) {
  const auto* bytes = reinterpret_cast<const uint8_t*>(page.ref.host);
  const uint64_t start = linear % kPageSize;
  OpList& ops = *ops_;
  ops.clear();
  decoded_.clear();
  uint64_t at = start;
  bool ends = false;
  uint32_t passed = 0;
  while (!ends && at < kPageSize && (single ? at == start : ops.size() < kMaxBlockOps)) {
    std::array<uint8_t, kMaxInsn> window;
    const auto available = static_cast<uint32_t>(std::min<uint64_t>(kMaxInsn, kPageSize - at));
    std::memcpy(window.data(), bytes + at, available);
    decode::Insn insn;
    auto decoded = decode::decode({window.data(), available}, code_size, insn);
    if (decoded == decode::Status::kTruncated) {
      if (at != start) break;  // the straddling instruction gets a block of its own
      if (!fetch_page((linear & kPageMask) + kPageSize, second)) return false;
      second.epoch = memory.begin_code(*second.ref.state);
      acknowledge_code_epoch();
      second.generation = second.ref.state->generation.load(std::memory_order_acquire);
      std::memcpy(window.data() + available, second.ref.host, kMaxInsn - available);
      decoded = decode::decode(window, code_size, insn);
      ends = true;
    }
    const auto offset = static_cast<uint16_t>(at - start);
    if (debugging_.any() && debugging_.may_break_at(at))
      ops.add(breakpoint_handler()).offset = offset;
    if (decoded != decode::Status::kOk) {
      Op& op =
          ops.add(decoded == decode::Status::kTooLong ? overlong_handler() : undefined_handler());
      op.offset = offset;
      at += 1;
      decoded_.clear();  // what made it so may lie behind it
      ops.note_of_one_cpu();
      break;
    }
    if (Lowering(insn, code_size, offset, shows_v3_, *fpu_unit, ops).run()) {
      const bool passes = code64() && jumps_forward_on_condition(insn) &&
                          ops.size() < kShortBlockOps && passed < kMaxJumpsPassed;
      if (passes) ++passed;
      ends = ends || !passes;
    }
    at += insn.length;
    if (KnownCode::of_process().learns())
      decoded_.insert(decoded_.end(), window.begin(), window.begin() + insn.length);
  }
  ops.add(continue_handler()).offset = static_cast<uint16_t>(at - start);
  return true;
}

// What all CPUs of this process know of the code there; null: nothing.
Block* Cpu::known_block(uint64_t key, const FetchedPage& page) {
  const uint64_t start = page.gpa % kPageSize;
  const std::span code(reinterpret_cast<const uint8_t*>(page.ref.host) + start, kPageSize - start);
  const KnownCode::Code* known = KnownCode::of_process().find(key, code);
  return known == nullptr ? nullptr : blocks_.make_over(known->ops);
}

const Block* Cpu::build_block(uint64_t linear, FetchedPage& page, FetchedPage& second,
                              bool single) {
  page.epoch = memory.begin_code(*page.ref.state);
  acknowledge_code_epoch();
  page.generation = page.ref.state->generation.load(std::memory_order_acquire);
  const uint64_t key = page.gpa << 2 | static_cast<uint64_t>(code_size);
  const bool common = !single && !debugging_.any();
  Block* block = common ? known_block(key, page) : nullptr;
  if (block == nullptr) {
    if (!decode_block(linear, page, second, single)) return nullptr;
    block = blocks_.make(ops_->all());
    if (common && KnownCode::of_process().learns() && !ops_->of_one_cpu() &&
        second.ref.state == nullptr)
      KnownCode::of_process().add(key, decoded_, ops_->all());
  }
  block->key = key;
  block->heat = initial_heat_;
  block->generation_now = &page.ref.state->generation;
  block->generation = page.generation;
  if (second.ref.state != nullptr) {  // not kept: its second page may be another next time
    block->generation_now2 = &second.ref.state->generation;
    block->generation2 = second.generation;
  } else if (!single && memory.settled(*page.ref.state, page.epoch)) {
    blocks_.insert(block);
  }
  return block;
}

void Cpu::execute(const Block* block) {
  regs[kSlotBlockRip] = rip;
  device.rewind();
  const Op* op = block->ops;
  do {
    op = op->fn(*this, op);
  } while (op != nullptr);
}

// One instruction, and what belongs to its end: the single-step trap, the end of an interrupt
// shadow.
void Cpu::run_one() {
  const bool shadowed = shadow;
  const bool trap = (rflags_rest & kTf) != 0;
  const Block* block = find_block(true);
  if (block == nullptr) return;
  shadow = step_suppressed = false;
  rflags_rest &= ~kRf;
  code_key = global_code_key = kNoChaining;
  execute(block);
  update_mode();
  if (stop == Stop::kDevice || stop == Stop::kDebug) {  // it is yet to be executed
    shadow = shadowed;
    return;
  }
  device.commit();
  if (trap && !pending_.active && !step_suppressed) {
    dr6 |= kDr6SingleStep;
    fault(nullptr, kDb);
  }
}

// The shadow of STI and MOV SS keeps interrupts off the next instruction. With none in sight it may
// end before that is begun. True: it has, and interrupts must not be looked at until then.
bool Cpu::end_idle_shadow() {
  if (!shadow || recheck_interrupts || attention.load(std::memory_order_acquire) != 0) return false;
  shadow = false;
  return true;
}

const void* Cpu::next_code() {
  if (stop != Stop::kNone || device.replaying() || debugging_.any()) return nullptr;
  if (pending_.active && !deliver_pending()) {
    if (stop == Stop::kNone) stop = Stop::kShutdown;
    return nullptr;
  }
  if ((rflags_rest & kTf) != 0 || wants_run_loop()) return nullptr;
  const JumpEntry& entry = jumps[jump_index(rip)];
  if (entry.code == nullptr || !fits(*this, entry, rip)) return nullptr;
  const bool free = end_idle_shadow();
  if (!free && (shadow || attention.load(std::memory_order_acquire) != 0)) return nullptr;
  rflags_rest &= ~kRf;
  return entry.code;
}

void Cpu::observe_others() {
  if (memory.code_epoch() != acknowledged_epoch_) acknowledge_code_epoch();
  if (memory.layout_epoch() != layout_epoch_) {
    layout_epoch_ = memory.layout_epoch();
    forget_blocks();
    flush_tlb_all();
  }
  if (translator_ != nullptr && memory.modifications() != modifications_) {
    modifications_ = memory.modifications();
    translator_->drop_stale(*this);
  }
  if (std::exchange(code_is_old_, false)) forget_code();
  if (memory.dirty_log() == nullptr) return;
  const uint64_t epoch = memory.dirty_log()->dirty_epoch();
  if (epoch == dirty_epoch_) return;
  dirty_epoch_ = epoch;
  tlb.flush_writes();
}

Stop Cpu::complete_access() {
  stop = Stop::kNone;
  while (stop == Stop::kNone && device.replaying()) {
    observe_others();
    const uint64_t began_at = rip;
    debugging_.forget_access();
    run_one();
    if (debugging_.any()) end_debugged(began_at);
    if (stop == Stop::kNone && pending_.active && !deliver_pending() && stop == Stop::kNone)
      stop = Stop::kShutdown;
  }
  fpu_unit->leave(fpu_state);
  return stop;
}

Stop Cpu::run() { return debugging_.any() ? run_loop<true>() : run_loop<false>(); }

template <bool debugged>
Stop Cpu::run_loop() {
  stop = Stop::kNone;
  for (;;) {
    observe_others();
    if (pending_.active && !deliver_pending()) {
      if (stop == Stop::kNone) stop = Stop::kShutdown;
    }
    if (stop != Stop::kNone) break;
    const bool begins = end_idle_shadow();
    const bool held = shadow || (rflags_rest & kTf) != 0 || device.replaying();
    const bool stepping = debugged && debugging_.stepping();
    const bool recheck = recheck_interrupts && !stepping;  // for they wait until it is over
    if (!held && !begins && (recheck || attention.load(std::memory_order_acquire) != 0)) break;
    const uint64_t began_at = rip;
    if constexpr (debugged) begin_debugged();
    if (held || stepping || (debugged && debugging_.watching())) {
      run_one();
    } else {
      const Block* block = find_block(false);
      rflags_rest &= ~kRf;
      const void* code = block == nullptr || debugged ? nullptr : code_of(block);
      if (code != nullptr) {
        translator_->run(*this, code);
      } else if (block != nullptr) {
        execute(block);
      }
    }
    if constexpr (debugged) end_debugged(began_at);
  }
  fpu_unit->leave(fpu_state);
  return stop;
}

bool Cpu::port_in(const Op* op, uint16_t port, uint32_t size, uint32_t& value) {
  DeviceRequest request{DeviceRequest::Kind::kPort, false, static_cast<uint8_t>(size), port, 0};
  if (!device.perform(request)) {
    stop = Stop::kDevice;
    rip = ip_of(op) & ip_mask;
    return false;
  }
  value = static_cast<uint32_t>(request.data);
  return true;
}

bool Cpu::port_out(const Op* op, uint16_t port, uint32_t size, uint32_t value) {
  const uint32_t mask = size == 4 ? 0xffffffffu : (1u << size * 8) - 1;
  DeviceRequest request{DeviceRequest::Kind::kPort, true, static_cast<uint8_t>(size), port,
                        value & mask};
  if (device.perform(request)) return true;
  stop = Stop::kDevice;
  rip = ip_of(op) & ip_mask;
  return false;
}

// The I/O permission bitmap (Intel SDM vol. 1, 19.5.2).
bool Cpu::io_permitted(const Op* op, uint16_t port, uint32_t size) {
  if (!protected_mode() || (ring <= (rflags_rest >> 12 & 3) && !vm86())) return true;
  uint16_t map = 0;
  uint16_t bits = 0;
  const bool wide = (tr.attributes & 0xd) == 9;  // a 32- or 64-bit TSS
  bool allowed = wide && tr.limit >= 0x67;
  if (allowed) {
    if (!system_load(op, tr.base + 0x66, &map, 2)) return false;
    allowed = map + port / 8u + 1 <= tr.limit;
  }
  if (allowed) {
    if (!system_load(op, tr.base + map + port / 8u, &bits, 2)) return false;
    allowed = (bits >> port % 8 & ((1u << size) - 1)) == 0;
  }
  if (!allowed) fault(op, kGp, 0);
  return allowed;
}

}  // namespace husk::soft::interp
