#include "backend/soft/jit/translator.h"

#include <algorithm>
#include <cstring>

#include "backend/soft/interp/operands.h"
#include "backend/soft/jit/block_translator.h"
#include "backend/soft/jit/dump.h"
#include "backend/soft/jit/runtime.h"

namespace husk::soft::jit {

namespace {

using interp::Cpu;

constexpr int32_t kAnyKey = -0x7fffffff;  // wide enough for all
constexpr uint64_t kUpperHalf = uint64_t{1} << 63;

class Jit final : public interp::Translator {
 public:
  const void* translate(Cpu& cpu, const Block& block, uint64_t rip) override;
  void run(Cpu& cpu, const void* code) override;
  void drop_stale(Cpu& cpu) override;
  void forget() override {
    store_.forget();
    last_ = nullptr;
    stubs_ = {};
  }
  void release_room() override { store_.release_room(); }

  [[nodiscard]] bool map() { return store_.map(); }

 private:
  Translation* obtain(Cpu& cpu, const Block& block, uint64_t rip, bool careful);
  void dump(const Translation& made, std::span<const uint8_t> guest);
  void link(Cpu& cpu, Exit& exit, Translation& target);
  const uint8_t* guarded(const Cpu& cpu, Exit& exit, const uint8_t* code, bool same_page);
  void link_again(Exit& exit, uint64_t key);
  void set_key(Exit& exit, uint64_t key);
  static uint64_t key_of(const Cpu& cpu, uint64_t rip) {
    return (rip & kUpperHalf) != 0 ? cpu.global_code_key : cpu.code_key;
  }
  // Of jump entries and blocks.
  void forget_entries(Cpu& cpu, const Translation& gone) {
    const uint8_t* code = store_.executable(gone.entry_loading);
    interp::JumpEntry& entry = cpu.jumps[interp::jump_index(gone.rip)];
    if (entry.code == code) entry = {};
    if (gone.block->code == code) gone.block->code = nullptr;
  }
  void make_room(Cpu& cpu) {
    if (store_.make_room(2 * CodeStore::kLongest,
                         [&](const Translation& gone) { forget_entries(cpu, gone); }))
      last_ = nullptr;
  }

  CodeStore store_;
  Dump dump_;
  Stubs stubs_;
  Exit* last_ = nullptr;  // that code was left through, to be linked if the next code is its
  uint64_t last_key_ = 0;
};

const void* Jit::translate(Cpu& cpu, const Block& block, uint64_t rip) {
  if (stubs_.enter == nullptr) stubs_ = write_stubs(store_, callbacks());
  if (store_.conflicts(block)) drop_stale(cpu);
  const Translation* found = obtain(cpu, block, rip, false);
  return found == nullptr ? nullptr : store_.executable(found->entry_loading);
}

Translation* Jit::obtain(Cpu& cpu, const Block& block, uint64_t rip, bool careful) {
  Translation* found = store_.find(block, rip, careful);
  if (found != nullptr) return found;
  const CodeBytes bytes(cpu, block, rip);
  if (!bytes.valid()) return nullptr;
  make_room(cpu);
  found = BlockTranslator(store_, stubs_, block, rip, bytes.span(), careful).run();
  if (found != nullptr) dump(*found, bytes.span());
  return found;
}

// Its code is the last that was written.
void Jit::dump(const Translation& made, std::span<const uint8_t> guest) {
  const Block& block = *made.block;
  const uint32_t length = block.ops[block.op_count - 1].offset;
  const uint8_t* start = reinterpret_cast<const uint8_t*>(&made + 1);
  dump_.add(made.rip, store_.executable(start), guest.first(length), {start, store_.next()});
}

void Jit::run(Cpu& cpu, const void* code) {
  if (last_ != nullptr && last_->rip == cpu.rip && last_key_ == key_of(cpu, cpu.rip)) {
    const Block& block = *cpu.jumps[interp::jump_index(cpu.rip)].block;
    Translation* next = obtain(cpu, block, cpu.rip, last_->careful);
    if (next == nullptr) return;  // it has changed just now
    code = store_.executable(next->entry_loading);
    if (last_ != nullptr) link(cpu, *last_, *next);
  }
  using Enter = const Exit* (*)(uint64_t*, const void*);
  const auto enter =
      reinterpret_cast<Enter>(const_cast<uint8_t*>(store_.executable(store_.ref_of(stubs_.enter))));
  const Exit* left = enter(cpu.regs.data(), code);
  last_ = left == nullptr ? nullptr : &store_.exit(store_.ref_of_executed(left));
  if (last_ == nullptr) return;
  cpu.rip = last_->rip;
  last_key_ = key_of(cpu, cpu.rip);
}

void Jit::drop_stale(Cpu& cpu) {
  store_.drop_stale([&](const Translation& stale) { forget_entries(cpu, stale); });
  last_ = nullptr;
}

// Straight where both are on one page: who executes the one has found its page. Otherwise the keys
// of jump entries are compared, and on the way back attention is polled.
void Jit::link(Cpu& cpu, Exit& exit, Translation& target) {
  constexpr uint8_t kMostLinks = 8;  // of an exit whose RIP is other code in other address spaces
  if (exit.target == store_.ref_of(&target)) return link_again(exit, key_of(cpu, exit.rip));
  if (exit.links == kMostLinks) return;
  if (exit.target != kNowhere) store_.unlink(exit);
  const Translation& from = store_.translation(exit.from);
  const bool straddles =
      from.block->generation_now2 != nullptr || target.block->generation_now2 != nullptr;
  const bool same_page = !straddles && (from.rip ^ target.rip) < kPageSize &&
                         from.rip / kPageSize == target.rip / kPageSize &&
                         from.block->generation_now == target.block->generation_now;
  const Ref entry = exit.host_flags ? target.entry : target.entry_loading;
  const uint8_t* code = store_.written(entry);
  if (!same_page || exit.backward) code = guarded(cpu, exit, code, same_page);
  if (code != nullptr) store_.link(exit, target, code);
}

// The code is the same, but was found under a new key.
void Jit::link_again(Exit& exit, uint64_t key) {
  if (exit.key_field != kNowhere) set_key(exit, key);
}

void Jit::set_key(Exit& exit, uint64_t key) {
  const auto difference = -static_cast<int32_t>(key);
  std::memcpy(store_.written(exit.key_field), &difference, sizeof difference);
}

// Touches no flags. Null: there is no room.
const uint8_t* Jit::guarded(const Cpu& cpu, Exit& exit, const uint8_t* code, bool same_page) {
  constexpr size_t kLongestGuard = 64;
  if (store_.room() < kLongestGuard) return nullptr;
  const uint64_t key = key_of(cpu, exit.rip);
  Assembler a(store_.next());
  const uint8_t* start = a.here();
  const auto go_on_if_rcx_is_zero = [&] {
    a.byte(0xe3);  // JRCXZ over the jump
    a.byte(5);
    a.jmp_to(CodeStore::unlinked(exit));
  };
  if (!same_page) {
    const bool kernel = (exit.rip & kUpperHalf) != 0;
    a.load(rcx, kernel ? HUSK_HOT(global_code_key) : HUSK_HOT(code_key));
    a.lea(rcx, {.base = rcx, .disp = kAnyKey});
    exit.key_field = store_.ref_of(a.here() - 4);
    set_key(exit, key);
    go_on_if_rcx_is_zero();
  }
  if (exit.backward) {
    a.load(rcx, HUSK_HOT(attention_word));
    a.rm(op(0x8b, false), rcx, {.base = rcx});
    go_on_if_rcx_is_zero();
  }
  a.jmp_to(code);
  store_.take(a.here());
  return start;
}

}  // namespace

std::unique_ptr<interp::Translator> create_translator() {
  auto jit = std::make_unique<Jit>();
  if (!jit->map()) return nullptr;
  return jit;
}

}  // namespace husk::soft::jit
