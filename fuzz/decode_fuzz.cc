// The instruction decoder on any bytes, in the three code sizes. What must hold whatever the bytes
// are:
//   - an accepted instruction is within the input and within 15 bytes, and its parts are in range;
//   - it depends on its own bytes only: cut to its length it is the same, cut shorter it is
//   truncated;
//   - "too long" is said only of 15 bytes or more, "truncated" only of fewer.
#include <cstdlib>
#include <cstring>
#include <memory>
#include <span>

#include "backend/soft/decode/insn.h"

namespace {

using namespace husk::soft::decode;

void require(bool holds) {
  if (!holds) std::abort();
}

bool is_size(uint8_t size) { return size == 2 || size == 4 || size == 8; }
bool is_register(uint8_t reg) { return reg < 16 || reg == kNoRegister; }

void check_parts(const Insn& insn, CodeSize size) {
  require(insn.length >= 1 && insn.length <= 15);
  require(is_size(insn.operand_size) && is_size(insn.address_size));
  require(size == CodeSize::k64 || (insn.operand_size != 8 && insn.address_size != 8 && !insn.rex));
  require(insn.mod < 4 && insn.reg < 16 && insn.rm < 16);
  require(is_register(insn.mem.base) || insn.mem.base == kRipBase);
  require(is_register(insn.mem.index) && insn.mem.scale_log2 < 4 && insn.mem.segment < 6);
  require(insn.imm_size + insn.imm2_size < insn.length);
}

void check(std::span<const uint8_t> bytes, CodeSize size) {
  Insn insn;
  const Status status = decode(bytes, size, insn);
  if (status == Status::kTruncated) require(bytes.size() < 15);
  if (status == Status::kTooLong) require(bytes.size() >= 15);
  if (status != Status::kOk) return;
  check_parts(insn, size);
  require(insn.length <= bytes.size());
  Insn again;
  require(decode(bytes.first(insn.length), size, again) == Status::kOk);
  require(again.length == insn.length && again.imm == insn.imm &&
          again.mem.displacement == insn.mem.displacement);
  for (size_t cut = 0; cut < insn.length; ++cut) {
    require(decode(bytes.first(cut), size, again) == Status::kTruncated);
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  // A copy of the exact size, so that the sanitizer sees a read behind it.
  const std::unique_ptr<uint8_t[]> exact(new uint8_t[size]);
  if (size != 0) std::memcpy(exact.get(), data, size);
  for (const CodeSize mode : {CodeSize::k16, CodeSize::k32, CodeSize::k64}) {
    check({exact.get(), size}, mode);
  }
  return 0;
}
