#include "cpu_diff/block_shape.h"

#include <array>
#include <cstring>

namespace husk::cpu_diff {
namespace {

constexpr uint8_t kRax = 0, kRcx = 1, kRsp = 4;
constexpr uint8_t kNop = 0x90;
constexpr size_t kStoreLength = 7, kStoreDisplacement = 2;

// NOP, CLC, STC, CMC, CWDE: what bytes of code may become, or be when they are jumped to.
uint8_t one_byte_insn(Rng& rng) {
  constexpr std::array<uint8_t, 5> kInsns = {kNop, 0xf8, 0xf9, 0xf5, 0x98};
  return kInsns[rng.below(kInsns.size())];
}

}  // namespace

void BlockShape::restrict_pages(CpuCase& test) {
  Rng& rng = builder_.rng;
  if (!rng.chance(12)) return;
  const uint32_t page = rng.below(test.access.size());
  test.access[page] = rng.chance(50) ? PageAccess::kRead : PageAccess::kNone;
  if (!rng.chance(20)) return;
  test.access[1 - page] = PageAccess::kRead;
  test.fault_check = FaultCheck::kAny;  // an access across both may fault in either
}

bool BlockShape::add() {
  if (builder_.test().insn_count + 2u > CpuCase::kMaxInsns) return false;
  const uint32_t kind = builder_.rng.below(100);
  if (store_ != kNoStore && kind < 40) {
    add_target();
  } else if (store_ == kNoStore && kind < 4) {
    add_store();
  } else if (kind >= 94) {
    add_jump_into();
  } else {
    return kind >= 86 && add_loop();
  }
  return true;
}

void BlockShape::finish() {
  if (store_ != kNoStore) aim_store();
}

// MOV byte [RIP + ?], imm8
void BlockShape::add_store() {
  store_ = builder_.test().code_length;
  const std::array<uint8_t, kStoreLength> bytes = {
      0xc6, 0x05, 0, 0, 0, 0, one_byte_insn(builder_.rng)};
  builder_.append_bytes(bytes);
  builder_.writes_code();
}

void BlockShape::aim_store() {
  const auto distance = static_cast<uint32_t>(builder_.test().code_length - store_ - kStoreLength);
  builder_.patch_code(store_ + kStoreDisplacement, &distance, sizeof distance);
  store_ = kNoStore;
}

void BlockShape::add_target() {
  aim_store();
  builder_.append_bytes(std::array{kNop}, 1u << kRax);
}

// A jump over the opcode of MOV reg, imm32, whose immediate is instructions as well.
void BlockShape::add_jump_into() {
  Rng& rng = builder_.rng;
  const auto condition = static_cast<uint8_t>(rng.below(16));
  const bool conditional = builder_.undefined() == 0 && rng.chance(60);
  const std::array<uint8_t, 2> jump = {static_cast<uint8_t>(conditional ? 0x70 + condition : 0xeb),
                                       1};
  builder_.append_bytes(jump);
  uint32_t reg = rng.below(7);
  if (reg == kRsp) reg = 7;
  const std::array<uint8_t, 5> move = {static_cast<uint8_t>(0xb8 + reg), one_byte_insn(rng),
                                       one_byte_insn(rng), one_byte_insn(rng), one_byte_insn(rng)};
  builder_.append_bytes(move, static_cast<uint16_t>(1u << reg | 1u << kRax));
}

// LOOP to an instruction before, but never to the first, which may load what a store of the case
// has changed since.
bool BlockShape::add_loop() {
  const CpuCase& test = builder_.test();
  if (test.insn_count < 2 || !builder_.repeatable() || !builder_.settable(kRcx)) return false;
  const uint8_t to = test.insns[1 + builder_.rng.below(test.insn_count - 1u)].offset;
  const int distance = to - (test.code_length + 2);
  if (distance < -128) return false;
  builder_.set(kRcx, 2 + builder_.rng.below(4));
  builder_.append_bytes(std::array<uint8_t, 2>{0xe2, static_cast<uint8_t>(distance)}, 1u << kRcx);
  return true;
}

}  // namespace husk::cpu_diff
