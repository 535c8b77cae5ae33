// What follows each opcode, and which opcodes are none (Intel SDM vol. 2, appendix A).
#include <gtest/gtest.h>

#include "backend/soft/decode/testing/decoded.h"

namespace husk::soft::decode {
namespace {

using testing::decode16;
using testing::decode32;
using testing::decode64;

TEST(Opcode, ImmediatesAreSignExtended) {
  EXPECT_EQ(decode64({0x83, 0b11'000'000, 0xff}).imm, -1);  // add eax, -1
  EXPECT_EQ(decode64({0x48, 0x81, 0b11'000'000, 0, 0, 0, 0x80}).imm, -0x80000000LL);
  EXPECT_EQ(decode64({0x66, 0x05, 0xfe, 0xff}).imm, -2);  // add ax, -2
  EXPECT_EQ(decode64({0x66, 0x05, 0xfe, 0xff}).imm_size, 2);
}

TEST(Opcode, MovTakesAFullImmediate) {
  // mov rax, 0x8877665544332211
  const auto wide = decode64({0x48, 0xb8, 0x11, 0x22, 0x33, 0x44, 0x55, 0x66, 0x77, 0x88});
  EXPECT_EQ(static_cast<uint64_t>(wide.imm), 0x8877665544332211u);
  EXPECT_EQ(wide.imm_size, 8);
  EXPECT_EQ(decode64({0xb8, 1, 0, 0, 0}).length, 5);
  EXPECT_EQ(decode64({0x66, 0xb8, 1, 0}).length, 4);
  EXPECT_EQ(decode64({0x48, 0xc7, 0xc0, 1, 0, 0, 0}).length, 7);  // mov rax, 1
}

TEST(Opcode, OnlyTestOfGroupThreeHasAnImmediate) {
  EXPECT_EQ(decode64({0xf6, 0b11'000'000, 1}).length, 3);           // test al, 1
  EXPECT_EQ(decode64({0xf7, 0b11'001'000, 1, 0, 0, 0}).length, 6);  // test eax, 1 (its twin)
  EXPECT_EQ(decode64({0x66, 0xf7, 0b11'000'000, 1, 0}).length, 5);
  for (int group = 2; group < 8; ++group) {
    EXPECT_EQ(decode64({0xf6, 0b11'000'000 | group << 3}).length, 2) << group;
    EXPECT_EQ(decode64({0xf7, 0b11'000'000 | group << 3}).length, 2) << group;
  }
}

TEST(Opcode, FarPointersHaveAnOffsetAndASelector) {
  const auto far32 = decode32({0xea, 1, 2, 3, 4, 8, 0});  // jmp 8:0x04030201
  EXPECT_EQ(far32.imm, 0x04030201);
  EXPECT_EQ(far32.imm2, 8);
  EXPECT_EQ(far32.imm_size, 4);
  EXPECT_EQ(far32.imm2_size, 2);
  EXPECT_EQ(far32.length, 7);
  EXPECT_EQ(decode16({0x9a, 1, 2, 0xff, 0xff}).imm2, 0xffff);
  EXPECT_EQ(decode16({0x66, 0xea, 1, 2, 3, 4, 8, 0}).length, 8);
}

TEST(Opcode, EnterHasASizeAndALevel) {
  const auto insn = decode64({0xc8, 0x10, 0x80, 0xff});  // enter 0x8010, 255
  EXPECT_EQ(static_cast<uint16_t>(insn.imm), 0x8010);
  EXPECT_EQ(insn.imm2, 255);
  EXPECT_EQ(insn.length, 4);
  EXPECT_EQ(insn.operand_size, 8);
}

TEST(Opcode, BranchDisplacements) {
  EXPECT_EQ(decode64({0x74, 0xfe}).imm, -2);  // je .
  EXPECT_EQ(decode64({0x0f, 0x84, 0xfa, 0xff, 0xff, 0xff}).imm, -6);
  EXPECT_EQ(decode16({0x0f, 0x84, 0xfc, 0xff}).imm, -4);
  EXPECT_EQ(decode64({0xe2, 0xfe}).length, 2);  // loop .
  EXPECT_EQ(decode64({0xc2, 8, 0}).imm, 8);     // ret 8
}

TEST(Opcode, MapsAreToldApart) {
  EXPECT_EQ(decode64({0x00, 0xc0}).map, OpMap::kPrimary);
  const auto shuffle = decode64({0x66, 0x0f, 0x38, 0x00, 0xc1});  // pshufb xmm0, xmm1
  EXPECT_EQ(shuffle.map, OpMap::k0F38);
  EXPECT_EQ(shuffle.opcode, 0);
  EXPECT_TRUE(shuffle.operand_prefix);
  const auto align = decode64({0x66, 0x0f, 0x3a, 0x0f, 0xc1, 5});  // palignr xmm0, xmm1, 5
  EXPECT_EQ(align.map, OpMap::k0F3A);
  EXPECT_EQ(align.imm, 5);
  EXPECT_EQ(decode64({0x0f, 0x0b}).map, OpMap::k0F);  // ud2
}

TEST(Opcode, SseImmediates) {
  EXPECT_EQ(decode64({0x66, 0x0f, 0x70, 0xc0, 0x1b}).length, 5);  // pshufd
  EXPECT_EQ(decode64({0x66, 0x0f, 0x73, 0xd8, 0x04}).length, 5);  // psrldq
  EXPECT_EQ(decode64({0x0f, 0xc6, 0xc0, 0x1b}).length, 4);        // shufps
  EXPECT_EQ(decode64({0x0f, 0xc2, 0xc0, 0x01}).length, 4);        // cmpps
  EXPECT_EQ(decode64({0x0f, 0x77}).length, 2);                    // emms
  EXPECT_EQ(decode64({0x0f, 0x58, 0xc0}).length, 3);              // addps
}

TEST(Opcode, X87EscapesHaveModrm) {
  for (int op = 0xd8; op <= 0xdf; ++op) {
    EXPECT_EQ(decode64({op, 0b11'000'001}).length, 2) << op;
    EXPECT_EQ(decode64({op, 0b01'000'001, 8}).length, 3) << op;
  }
}

TEST(Opcode, HintsHaveModrm) {
  const auto endbr64 = decode64({0xf3, 0x0f, 0x1e, 0xfa});
  EXPECT_EQ(endbr64.status, Status::kOk);
  EXPECT_EQ(endbr64.length, 4);
  EXPECT_EQ(endbr64.rep, Rep::kRepe);
  EXPECT_EQ(decode64({0x66, 0x0f, 0x1f, 0x84, 0, 0, 0, 0, 0}).length, 9);  // nopw
  EXPECT_EQ(decode64({0x0f, 0x0d, 0b00'001'000}).length, 3);               // prefetchw
}

TEST(Opcode, UndefinedInstructionsDecode) {
  EXPECT_EQ(decode64({0x0f, 0x0b}).length, 2);        // ud2
  EXPECT_EQ(decode64({0x0f, 0xb9, 0xc0}).length, 3);  // ud1
  EXPECT_EQ(decode64({0x0f, 0xff, 0xc0}).length, 3);  // ud0
}

TEST(Opcode, InvalidOnlyIn64BitMode) {
  for (const int op : {0x06, 0x07, 0x0e, 0x16, 0x17, 0x1e, 0x1f, 0x27, 0x2f, 0x37, 0x3f,
                       0x60, 0x61, 0x62, 0x82, 0x9a, 0xc4, 0xce, 0xd4, 0xd5, 0xd6, 0xea}) {
    EXPECT_EQ(decode64({op, 0, 0, 0, 0, 0, 0, 0}).status, Status::kInvalid) << std::hex << op;
    EXPECT_EQ(decode32({op, 0, 0, 0, 0, 0, 0, 0}).status, Status::kOk) << std::hex << op;
    EXPECT_EQ(decode16({op, 0, 0, 0, 0, 0, 0, 0}).status, Status::kOk) << std::hex << op;
  }
}

TEST(Opcode, VectorEscapesAreNotFarPointers) {
  for (const int op : {0xc4, 0xc5, 0x62}) {  // VEX with map 0, with LOCK; EVEX
    EXPECT_EQ(decode32({0xf0, op, 0xc0, 0, 0, 0, 0}).status, Status::kInvalid) << std::hex << op;
    EXPECT_EQ(decode32({op, 0x00}).length, 2) << std::hex << op;  // les, lds, bound
    EXPECT_EQ(decode64({0xf0, op, 0x80, 0, 0, 0}).status, Status::kInvalid) << std::hex << op;
  }
}

TEST(Opcode, ThatDoNotExistAreInvalid) {
  for (const int op : {0x04, 0x0a, 0x0c, 0x0e, 0x0f, 0x24, 0x25, 0x26, 0x27, 0x36, 0x37, 0x39,
                       0x3b, 0x3c, 0x3d, 0x3e, 0x3f, 0x78, 0x79, 0x7a, 0x7b, 0xa6, 0xa7}) {
    EXPECT_EQ(decode64({0x0f, op, 0, 0, 0, 0}).status, Status::kInvalid) << std::hex << op;
  }
  EXPECT_EQ(decode64({0x0f, 0x38, 0x0c, 0xc0}).status, Status::kInvalid);
  EXPECT_EQ(decode64({0x0f, 0x3a, 0x00, 0xc0, 0}).status, Status::kInvalid);
}

}  // namespace
}  // namespace husk::soft::decode
