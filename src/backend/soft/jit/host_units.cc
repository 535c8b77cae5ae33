// XMM and x87 registers: lent to the guest at a block's first use of them.
#include "backend/soft/jit/block_translator.h"

namespace husk::soft::jit {

void BlockTranslator::want_vectors(Item& item) {
  want(item, HUSK_HOT(sse_live), vectors_wanted_, stubs_.vectors);
}
// Behind want_vectors(): where the guest has not enabled AVX, the interpreter raises the fault that
// ends the block here.
void BlockTranslator::want_whole_vectors(Item& item) {
  constexpr uint8_t kNotEqual = 5;
  if (whole_vectors_wanted_) return;
  whole_vectors_wanted_ = true;
  before_clobber(item);
  a_.rm(op(0x83), 7, HUSK_HOT(sse_live));
  a_.byte(interp::kWholeVectors);
  detour(item, a_.jcc(kNotEqual));
}

void BlockTranslator::zero_upper(Item& item) {
  want_vectors(item);
  want_whole_vectors(item);
  before_native(item);
  a_.byte(0xc5);
  a_.byte(item.form.encoding.vex_256 ? 0xfc : 0xf8);
  a_.byte(0x77);
}

void BlockTranslator::want_x87(Item& item) {
  want(item, HUSK_HOT(x87_lent), x87_wanted_, stubs_.x87);
}

// The registers that `live` tells of are the guest's from here on.
void BlockTranslator::want(Item& item, const Mem& live, bool& wanted, const uint8_t* stub) {
  constexpr uint8_t kZero = 4;
  if (wanted) return;
  wanted = true;
  before_clobber(item);
  a_.rm(op(0x83), 7, live);
  a_.byte(0);
  const JumpSite missing = a_.jcc(kZero);
  detours_.push_back({.from = missing, .item = index_of(item), .stub = stub, .next = a_.here()});
}

void BlockTranslator::status_word(Item& item) {
  want_x87(item);
  emit_plain(item.form, item.form.reg, item.form.rm, nullptr);
  a_.rr({.opcode = 0x89, .prefix = 0x66}, rax, host_of(kGuestRax));
}

}  // namespace husk::soft::jit
