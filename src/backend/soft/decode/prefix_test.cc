// Legacy prefixes and REX, and the sizes that they choose.
#include <gtest/gtest.h>

#include "backend/soft/decode/testing/decoded.h"

namespace husk::soft::decode {
namespace {

using testing::decode16;
using testing::decode32;
using testing::decode64;
using testing::decode_in;

TEST(Prefix, LegacyPrefixesComeInAnyOrder) {
  // lock addw fs:[eax], 1
  for (const auto& insn : {decode32({0xf0, 0x66, 0x64, 0x83, 0x00, 0x01}),
                           decode32({0x64, 0xf0, 0x66, 0x83, 0x00, 0x01}),
                           decode32({0x66, 0x64, 0xf0, 0x83, 0x00, 0x01})}) {
    ASSERT_EQ(insn.status, Status::kOk);
    EXPECT_TRUE(insn.lock);
    EXPECT_TRUE(insn.operand_prefix);
    EXPECT_EQ(insn.operand_size, 2);
    EXPECT_EQ(insn.mem.segment, 4);
    EXPECT_EQ(insn.length, 6);
  }
}

TEST(Prefix, LastRepeatPrefixCounts) {
  EXPECT_EQ(decode64({0xf2, 0xf3, 0xa4}).rep, Rep::kRepe);   // rep movsb
  EXPECT_EQ(decode64({0xf3, 0xf2, 0xa6}).rep, Rep::kRepne);  // repne cmpsb
  EXPECT_EQ(decode64({0xa4}).rep, Rep::kNone);
}

TEST(Prefix, LastSegmentPrefixCountsIn32BitMode) {
  // es fs mov eax, [ebx]; then fs es
  EXPECT_EQ(decode32({0x26, 0x64, 0x8b, 0x03}).mem.segment, 4);
  EXPECT_EQ(decode32({0x64, 0x26, 0x8b, 0x03}).mem.segment, 0);
  EXPECT_EQ(decode32({0x2e, 0x8b, 0x03}).mem.segment, 1);
  EXPECT_EQ(decode32({0x36, 0x8b, 0x03}).mem.segment, 2);
  EXPECT_EQ(decode32({0x3e, 0x8b, 0x45, 0x00}).mem.segment, 3);
}

// Measured on a processor: a segment prefix without meaning does not cancel one with a meaning.
TEST(Prefix, OnlyFsAndGsCountIn64BitMode) {
  // gs ds mov rax, [rdi]
  const auto insn = decode64({0x65, 0x3e, 0x48, 0x8b, 0x07});
  EXPECT_EQ(insn.mem.segment, 5);
  EXPECT_EQ(insn.segment_override, 5);
  // es mov eax, [rbp+0]: still the stack segment
  const auto dropped = decode64({0x26, 0x8b, 0x45, 0x00});
  EXPECT_EQ(dropped.mem.segment, 2);
  EXPECT_EQ(dropped.segment_override, kNoRegister);
}

TEST(Prefix, StringInstructionsKeepTheirOverride) {
  EXPECT_EQ(decode32({0x26, 0xa4}).segment_override, 0);  // movsb es:[edi], es:[esi]
  EXPECT_EQ(decode64({0x64, 0xac}).segment_override, 4);  // lodsb fs:[rsi]
}

TEST(Prefix, RexCountsOnlyBeforeTheOpcode) {
  // rex.w mov rax, [rax]
  EXPECT_EQ(decode64({0x48, 0x8b, 0x00}).operand_size, 8);
  // rex.w, then 66: mov ax, [rax]
  const auto lost = decode64({0x48, 0x66, 0x8b, 0x00});
  EXPECT_EQ(lost.operand_size, 2);
  EXPECT_FALSE(lost.rex);
  // rex.b, then rex.w: the second one
  const auto second = decode64({0x41, 0x48, 0x8b, 0x00});
  EXPECT_EQ(second.operand_size, 8);
  EXPECT_EQ(second.mem.base, 0);
  // 40 is inc eax outside 64-bit mode
  EXPECT_EQ(decode32({0x40}).opcode, 0x40);
  EXPECT_EQ(decode32({0x40}).length, 1);
}

TEST(Prefix, RexExtendsEachRegisterField) {
  // mov r9, [r10 + r11*4]
  const auto insn = decode64({0b0100'1111, 0x8b, 0b00'001'100, 0b10'011'010});
  EXPECT_EQ(insn.reg, 9);
  EXPECT_EQ(insn.mem.base, 10);
  EXPECT_EQ(insn.mem.index, 11);
  EXPECT_EQ(insn.mem.scale_log2, 2);
  EXPECT_EQ(insn.group(), 1);
  // push r15; bswap r12d; xchg r8, rax
  EXPECT_EQ(decode64({0x41, 0x57}).rm, 15);
  EXPECT_EQ(decode64({0x41, 0x0f, 0xcc}).rm, 12);
  EXPECT_EQ(decode64({0x49, 0x90}).rm, 8);
}

TEST(Prefix, EmptyRexSelectsTheNewByteRegisters) {
  EXPECT_TRUE(decode64({0x40, 0x88, 0xe0}).rex);  // mov al, spl
  EXPECT_FALSE(decode64({0x88, 0xe0}).rex);       // mov al, ah
}

TEST(Prefix, OperandSizeFollowsModeAndPrefix) {
  EXPECT_EQ(decode16({0x01, 0xc0}).operand_size, 2);
  EXPECT_EQ(decode16({0x66, 0x01, 0xc0}).operand_size, 4);
  EXPECT_EQ(decode32({0x01, 0xc0}).operand_size, 4);
  EXPECT_EQ(decode32({0x66, 0x01, 0xc0}).operand_size, 2);
  EXPECT_EQ(decode64({0x01, 0xc0}).operand_size, 4);
  EXPECT_EQ(decode64({0x66, 0x48, 0x01, 0xc0}).operand_size, 8);
  EXPECT_EQ(decode64({0x48, 0xed}).operand_size, 4);        // in eax, dx
  EXPECT_EQ(decode16({0x0f, 0x20, 0xc0}).operand_size, 4);  // mov eax, cr0
}

TEST(Prefix, AddressSizeFollowsModeAndPrefix) {
  EXPECT_EQ(decode16({0xac}).address_size, 2);
  EXPECT_EQ(decode16({0x67, 0xac}).address_size, 4);
  EXPECT_EQ(decode32({0xac}).address_size, 4);
  EXPECT_EQ(decode32({0x67, 0xac}).address_size, 2);
  EXPECT_EQ(decode64({0xac}).address_size, 8);
  EXPECT_EQ(decode64({0x67, 0xac}).address_size, 4);
}

TEST(Prefix, StackInstructionsDefaultTo64Bits) {
  EXPECT_EQ(decode64({0x50}).operand_size, 8);        // push rax
  EXPECT_EQ(decode64({0x66, 0x58}).operand_size, 2);  // pop ax
  EXPECT_EQ(decode64({0x6a, 0xff}).operand_size, 8);  // push -1
  EXPECT_EQ(decode64({0x0f, 0xa0}).operand_size, 8);  // push fs
  EXPECT_EQ(decode64({0x9c}).operand_size, 8);        // pushfq
  EXPECT_EQ(decode64({0xc9}).operand_size, 8);        // leave
  EXPECT_EQ(decode64({0x8f, 0xc0}).operand_size, 8);  // pop rax
  EXPECT_EQ(decode32({0x50}).operand_size, 4);
}

TEST(Prefix, GroupFiveHasASizeForEachExtension) {
  EXPECT_EQ(decode64({0xff, 0b11'000'000}).operand_size, 4);        // inc eax
  EXPECT_EQ(decode64({0xff, 0b11'010'000}).operand_size, 8);        // call rax
  EXPECT_EQ(decode64({0x66, 0xff, 0b11'100'000}).operand_size, 8);  // jmp rax: 66 is ignored
  EXPECT_EQ(decode64({0xff, 0b11'110'000}).operand_size, 8);        // push rax
  EXPECT_EQ(decode64({0x66, 0xff, 0b11'110'000}).operand_size, 2);  // push ax
  EXPECT_EQ(decode64({0xff, 0b00'011'000}).operand_size, 4);        // call far [rax]
  EXPECT_EQ(decode32({0xff, 0b11'010'000}).operand_size, 4);
}

TEST(Prefix, NearBranchesIgnoreTheOperandPrefixIn64BitMode) {
  const auto call = decode64({0x66, 0xe8, 1, 0, 0, 0});
  EXPECT_EQ(call.operand_size, 8);
  EXPECT_EQ(call.length, 6);
  EXPECT_EQ(decode64({0x66, 0xc3}).operand_size, 8);
  EXPECT_EQ(decode64({0x66, 0x0f, 0x84, 0, 0, 0, 0}).length, 7);
  // In 32-bit mode the prefix shortens the displacement.
  EXPECT_EQ(decode32({0x66, 0xe8, 1, 0}).length, 4);
}

TEST(Prefix, FifteenBytesAreTheLimit) {
  // fourteen 66 and nop; then fifteen
  EXPECT_EQ(decode64({0x66, 0x66, 0x66, 0x66, 0x66, 0x66, 0x66, 0x66, 0x66, 0x66, 0x66, 0x66, 0x66,
                      0x66, 0x90})
                .length,
            15);
  EXPECT_EQ(decode64({0x66, 0x66, 0x66, 0x66, 0x66, 0x66, 0x66, 0x66, 0x66, 0x66, 0x66, 0x66, 0x66,
                      0x66, 0x66, 0x90})
                .status,
            Status::kTooLong);
}

TEST(Prefix, EndingEarlyIsTruncated) {
  EXPECT_EQ(decode64({}).status, Status::kTruncated);
  EXPECT_EQ(decode64({0x66}).status, Status::kTruncated);
  EXPECT_EQ(decode64({0x0f}).status, Status::kTruncated);
  EXPECT_EQ(decode64({0x0f, 0x38}).status, Status::kTruncated);
  EXPECT_EQ(decode64({0x8b}).status, Status::kTruncated);
  EXPECT_EQ(decode64({0x8b, 0x04}).status, Status::kTruncated);
  EXPECT_EQ(decode64({0x8b, 0x80, 0, 0, 0}).status, Status::kTruncated);
  EXPECT_EQ(decode64({0xb8, 0, 0, 0}).status, Status::kTruncated);
}

}  // namespace
}  // namespace husk::soft::decode
