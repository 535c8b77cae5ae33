// Translates one block: decodes it again, finds out which flags live where and which accesses share
// a check, and writes the code.
#pragma once

#include <span>
#include <vector>

#include "backend/soft/interp/cpu.h"
#include "backend/soft/jit/code_store.h"
#include "backend/soft/jit/flag_use.h"
#include "backend/soft/jit/form.h"
#include "backend/soft/jit/operands.h"
#include "backend/soft/jit/registers.h"
#include "backend/soft/jit/spans.h"
#include "backend/soft/jit/stubs.h"

namespace husk::soft::jit {

class BlockTranslator {
 public:
  // `careful`: each access is checked by itself.
  BlockTranslator(CodeStore& store, const Stubs& stubs, const Block& block, uint64_t rip,
                  std::span<const uint8_t> bytes, bool careful);
  // Null when nothing of it would be worth it.
  Translation* run();

 private:
  struct Item {
    decode::Insn insn;
    Form form;
    FlagUse flags;
    uint16_t offset = 0;
    uint16_t first_op = 0, op_count = 0;
    FlagSet live_before = 0, live_after = 0;
    Accesses accesses;
    Places places;
    uint8_t accessed = 0;  // of the accesses, so far
  };
  // Where the guest's flags are at this point of the code; nowhere when nobody asks for them.
  struct Flags {
    bool host = false, memory = false;
  };
  // Code that is written behind the block's own.
  struct Miss {
    JumpSite from;
    const uint8_t* again;
    size_t item;
    Site site;
    const Access* access;
    const uint8_t* next = nullptr;
  };
  struct SpanMiss {
    const uint8_t* again;
    size_t item;
    Site site;
    const Access* access;
    const Span* span;
    JumpSite from, misaligned;
  };
  struct Detour {
    JumpSite from;
    size_t item;
    const uint8_t* stub;
    const uint8_t* next = nullptr;
  };
  struct Pending {
    JumpSite site;
    Exit exit;
    bool saves_flags;
  };

  // block_translator.cc
  bool collect();
  void find_spans();
  void find_live_flags();
  void begin();
  [[nodiscard]] bool begins_with_clobber() const;
  [[nodiscard]] bool may_fault(const Item& item) const;
  void translate(Item& item);
  [[nodiscard]] uint64_t rip_of(const Item& item) const { return rip_ + item.offset; }
  [[nodiscard]] uint64_t next_rip(const Item& item) const {
    return rip_ + item.offset + item.insn.length;
  }
  [[nodiscard]] static Site site_of(const Item& item);
  void call(const uint8_t* stub, Site site, const uint8_t* next);
  void call_interpreter(const Item& item);
  void interpret(Item& item);
  void finish();
  void finish(Pending& pending);
  void add_exit(JumpSite site, const Exit& exit, Flags flags);
  [[nodiscard]] uint16_t distance(const uint8_t* at) const {
    return static_cast<uint16_t>(at - reinterpret_cast<const uint8_t*>(out_));
  }
  [[nodiscard]] size_t index_of(const Item& item) const {
    return static_cast<size_t>(&item - items_.data());
  }

  // flags.cc
  void save_flags();
  void load_flags();
  void before_clobber(const Item& item);
  void before_native(const Item& item);
  [[nodiscard]] static bool needs_native(const Item& item);
  void after_native(const Item& item);

  // memory_access.cc
  [[nodiscard]] Mem access(Item& item);  // its next one
  [[nodiscard]] Mem single_access(Item& item, const Access& access);
  [[nodiscard]] static bool simple_address(const decode::MemoryOperand& operand, int64_t low,
                                           int64_t high, Mem& m);
  void compare_constant(uint64_t tag, uint64_t linear, bool write);
  void compare_entry(bool write);
  void load_addend(bool write);

  // span_access.cc
  [[nodiscard]] bool shared(const Place& place) const {
    return place.span != Place::kNone && place.span < slots_.size() &&
           slots_[place.span] != kNoSlot;
  }
  [[nodiscard]] Mem first_access(Item& item, const Access& access, const Place& place);
  void finish(const SpanMiss& miss);
  bool constant_address(const Item& item, const decode::MemoryOperand& operand,
                        uint64_t& linear) const;
  void linear_address(const Item& item, const decode::MemoryOperand& operand, int32_t extra,
                      uint8_t into);
  // `m` without RAX.
  Mem free_rax(Mem m);

  // plain.cc, arithmetic.cc, host_units.cc, branches.cc: one function a family
  void plain(Item& item);
  void emit_plain(const Form& form, uint8_t reg, uint8_t rm, const Mem* m);
  void move(const Item& item);
  void move_immediate(Item& item);
  void lea(Item& item);
  void shift_by_cl(Item& item);
  void convert(Item& item);
  void multiply(Item& item);
  void divide(Item& item);
  void compare_exchange(Item& item);
  void push(Item& item);
  void push_immediate(Item& item);
  void push_memory(Item& item);
  void pop(Item& item);
  void leave(Item& item);
  void jump(Item& item);
  void jump_if(Item& item);
  void call(Item& item);
  void ret(Item& item);
  void jump_indirect(Item& item);
  void call_indirect(Item& item);
  void want_vectors(Item& item);
  void want_whole_vectors(Item& item);
  void zero_upper(Item& item);
  void want_x87(Item& item);
  void want(Item& item, const Mem& live, bool& wanted, const uint8_t* stub);
  void status_word(Item& item);
  void guest_to(uint8_t into, uint8_t guest);
  void to_guest(uint8_t guest, uint8_t from);
  void exit_to(uint64_t target, uint64_t from, int cc);
  void load_target(Item& item, bool in_memory);
  void look_up();  // the code for the RIP in RAX, to RCX; null where the interpreter has to look
  void jump_to_found(Item& item, int32_t stack);
  void store_constant(const Mem& m, uint64_t value);
  void move_stack(int32_t bytes);
  void detour(Item& item, JumpSite from);

  // privileged.cc
  void in_ring0(Item& item);
  void disable_interrupts(Item& item);
  void swap_gs(Item& item);

  CodeStore& store_;
  const Stubs& stubs_;
  const Block& block_;
  uint64_t rip_;
  bool careful_;
  std::span<const uint8_t> bytes_;  // from the block's start
  std::vector<Item> items_;
  static constexpr uint8_t kNoSlot = 0xff;
  std::vector<Span> spans_;
  std::vector<uint8_t> slots_;  // of HotState::span_hosts, for spans of several accesses
  std::vector<Miss> misses_;
  std::vector<SpanMiss> span_misses_;
  std::vector<Detour> detours_;
  std::vector<Pending> exits_;
  Translation* out_ = nullptr;  // its address is the start of all distances
  Assembler a_;
  Flags flags_;
  bool vectors_wanted_ = false, whole_vectors_wanted_ = false, x87_wanted_ = false;
};

}  // namespace husk::soft::jit
