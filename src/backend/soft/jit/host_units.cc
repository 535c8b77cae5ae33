// XMM and x87 registers: lent to the guest at a block's first use of them.
#include "backend/soft/jit/block_translator.h"

namespace husk::soft::jit {

void BlockTranslator::want_vectors(Item& item) {
  want(item, HUSK_HOT(sse_live), vectors_wanted_, stubs_.vectors);
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
