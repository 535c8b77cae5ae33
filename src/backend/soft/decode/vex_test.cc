// VEX prefixes (Intel SDM vol. 2, 2.3).
#include <gtest/gtest.h>

#include <array>

#include "backend/soft/decode/testing/decoded.h"

namespace husk::soft::decode {
namespace {

using testing::decode16;
using testing::decode32;
using testing::decode64;

TEST(Vex, TwoBytesHaveOneRegisterBitAndNoMap) {
  const Insn insn =
      decode64({0xc5, 0b0'0110'1'01, 0x58, 0b11'010'011});  // vaddpd ymm10, ymm9, ymm3
  EXPECT_TRUE(insn.vex);
  EXPECT_EQ(insn.map, OpMap::k0F);
  EXPECT_EQ(insn.opcode, 0x58);
  EXPECT_EQ(insn.reg, 10);
  EXPECT_EQ(insn.vvvv, 9);
  EXPECT_EQ(insn.rm, 3);
  EXPECT_TRUE(insn.vex_256);
  EXPECT_TRUE(insn.operand_prefix);
  EXPECT_EQ(insn.length, 4);
}

TEST(Vex, ThreeBytesHaveThemAll) {
  // andn r9, r10, [r8 + r11 * 4 + 1]
  const Insn insn = decode64({0xc4, 0b000'00010, 0b1'0101'0'00, 0xf2, 0x4c, 0b10'011'000, 1});
  EXPECT_EQ(insn.map, OpMap::k0F38);
  EXPECT_EQ(insn.operand_size, 8);
  EXPECT_EQ(insn.reg, 9);
  EXPECT_EQ(insn.vvvv, 10);
  EXPECT_EQ(insn.mem.base, 8);
  EXPECT_EQ(insn.mem.index, 11);
  EXPECT_EQ(insn.mem.displacement, 1);
  EXPECT_EQ(insn.length, 7);
}

TEST(Vex, PrefixesAreInItAndNotBeforeIt) {
  EXPECT_EQ(decode64({0xc5, 0xfa, 0x10, 0xc1}).rep, Rep::kRepe);
  EXPECT_EQ(decode64({0xc5, 0xfb, 0x10, 0xc1}).rep, Rep::kRepne);
  for (const int prefix : {0x66, 0xf2, 0xf3, 0xf0, 0x48})
    EXPECT_EQ(decode64({prefix, 0xc5, 0xf8, 0x58, 0xc1}).status, Status::kInvalid) << prefix;
  EXPECT_EQ(decode64({0x67, 0x64, 0xc5, 0xf8, 0x58, 0x00}).length, 6);
  EXPECT_EQ(decode64({0x66, 0x67, 0x64, 0x67, 0xc5, 0xf8, 0x58, 0x00}).status, Status::kInvalid);
}

TEST(Vex, MapsThatDoNotExistAreInvalid) {
  for (const int map : {0, 4, 8, 31})
    EXPECT_EQ(decode64({0xc4, 0xe0 | map, 0x78, 0x58, 0xc1, 0}).status, Status::kInvalid) << map;
}

TEST(Vex, ImmediatesFollowTheOpcode) {
  EXPECT_EQ(decode64({0xc5, 0xf9, 0x70, 0xc1, 0x1b}).imm, 0x1b);     // vpshufd
  EXPECT_EQ(decode64({0xc4, 0xe3, 0x7d, 0x18, 0xc1, 1}).length, 6);  // vinsertf128
  EXPECT_EQ(decode64({0xc4, 0xe2, 0x79, 0x18, 0x04, 0x25, 1, 2, 3, 4}).length, 10);
  EXPECT_EQ(decode64({0xc5, 0xf8, 0x77}).length, 3);  // vzeroupper
}

TEST(Vex, GathersHaveAVectorForAnIndex) {
  const Insn insn = decode64({0xc4, 0xe2, 0x69, 0x90, 0x0c, 0b10'100'000});  // [rax + xmm4 * 4]
  EXPECT_EQ(insn.vector_index, 4);
  EXPECT_EQ(insn.mem.index, kNoRegister);
  EXPECT_EQ(insn.mem.scale_log2, 2);
  EXPECT_EQ(decode64({0xc4, 0xe2, 0x69, 0x90, 0x08}).vector_index, kNoRegister) << "no SIB";
}

TEST(Vex, Outside64BitModeItIsLesAndLdsUnlessTheOperandIsARegister) {
  EXPECT_EQ(decode32({0xc5, 0x00}).length, 2);
  EXPECT_FALSE(decode32({0xc5, 0x00}).vex);
  const Insn insn = decode32({0xc4, 0b110'00010, 0b1'0101'0'00, 0xf2, 0xc1});
  EXPECT_TRUE(insn.vex);
  EXPECT_EQ(insn.vvvv, 2) << "the fourth bit is ignored";
  EXPECT_EQ(insn.rm, 1);
  EXPECT_EQ(insn.operand_size, 4) << "so is W";
  EXPECT_TRUE(decode16({0xc5, 0xf8, 0x58, 0xc1}).vex);
}

TEST(Vex, IsNoRexWhateverItsBitsSay) {
  for (const CodeSize size : {CodeSize::k32, CodeSize::k64}) {
    Insn insn;
    const std::array<uint8_t, 5> bytes{0xc4, 0xe1, 0xe1, 0xe1, 0xe1};  // VPSRAW, with W
    ASSERT_EQ(decode(bytes, size, insn), Status::kOk);
    EXPECT_TRUE(insn.rex_w);
    EXPECT_FALSE(insn.rex);
  }
}

TEST(Vex, EndingEarlyIsTruncated) {
  EXPECT_EQ(decode64({0xc4}).status, Status::kTruncated);
  EXPECT_EQ(decode64({0xc4, 0xe2}).status, Status::kTruncated);
  EXPECT_EQ(decode64({0xc4, 0xe2, 0x79}).status, Status::kTruncated);
  EXPECT_EQ(decode64({0xc5, 0xf8}).status, Status::kTruncated);
  EXPECT_EQ(decode64({0xc5, 0xf8, 0x58}).status, Status::kTruncated);
}

}  // namespace
}  // namespace husk::soft::decode
