// ModRM, SIB, displacements and segments, in the three addressing widths (Intel SDM vol. 2, 2.1.5).
#include <gtest/gtest.h>

#include "backend/soft/decode/testing/decoded.h"

namespace husk::soft::decode {
namespace {

using testing::decode16;
using testing::decode32;
using testing::decode64;

constexpr uint8_t kAx = 0, kCx = 1, kBx = 3, kSp = 4, kBp = 5, kSi = 6, kDi = 7;
constexpr uint8_t kSs = 2, kDs = 3;

TEST(Address, SixteenBitFormsPairBasesWithIndices) {
  struct Form {
    uint8_t base, index, segment;
  };
  constexpr Form kForms[8] = {{kBx, kSi, kDs},         {kBx, kDi, kDs},
                              {kBp, kSi, kSs},         {kBp, kDi, kSs},
                              {kSi, kNoRegister, kDs}, {kDi, kNoRegister, kDs},
                              {kBp, kNoRegister, kSs}, {kBx, kNoRegister, kDs}};
  for (int rm = 0; rm < 8; ++rm) {
    const auto insn = decode16({0x8b, 0b01'000'000 | rm, 0x80});  // mov ax, [...-128]
    EXPECT_EQ(insn.mem.base, kForms[rm].base) << rm;
    EXPECT_EQ(insn.mem.index, kForms[rm].index) << rm;
    EXPECT_EQ(insn.mem.segment, kForms[rm].segment) << rm;
    EXPECT_EQ(insn.mem.displacement, -128) << rm;
    EXPECT_EQ(insn.length, 3);
  }
}

TEST(Address, SixteenBitAbsoluteTakesThePlaceOfBp) {
  const auto insn = decode16({0x8b, 0b00'000'110, 0x34, 0x12});  // mov ax, [0x1234]
  EXPECT_EQ(insn.mem.base, kNoRegister);
  EXPECT_EQ(insn.mem.displacement, 0x1234);
  EXPECT_EQ(insn.mem.segment, kDs);
  EXPECT_EQ(decode16({0x8b, 0b10'000'110, 0xff, 0xff}).mem.displacement, -1);  // [bp-1]
}

TEST(Address, RegisterFormHasNoMemory) {
  const auto insn = decode64({0x8b, 0b11'010'011});  // mov edx, ebx
  EXPECT_FALSE(insn.memory);
  EXPECT_TRUE(insn.has_modrm);
  EXPECT_EQ(insn.reg, 2);
  EXPECT_EQ(insn.rm, 3);
  EXPECT_EQ(insn.mod, 3);
}

TEST(Address, DisplacementsAreSignExtended) {
  EXPECT_EQ(decode64({0x8b, 0b01'000'000, 0x80}).mem.displacement, -128);
  EXPECT_EQ(decode64({0x8b, 0b10'000'000, 0, 0, 0, 0x80}).mem.displacement, -0x80000000LL);
  EXPECT_EQ(decode64({0x8b, 0b00'000'000}).mem.displacement, 0);
}

TEST(Address, RipRelativeOnlyIn64BitMode) {
  const auto rip = decode64({0x8b, 0b00'000'101, 4, 0, 0, 0});  // mov eax, [rip+4]
  EXPECT_EQ(rip.mem.base, kRipBase);
  EXPECT_EQ(rip.mem.displacement, 4);
  EXPECT_EQ(rip.mem.segment, kDs);
  EXPECT_EQ(decode64({0x41, 0x8b, 0b00'000'101, 4, 0, 0, 0}).mem.base, kRipBase);  // REX.B too
  const auto eip = decode64({0x67, 0x8b, 0b00'000'101, 4, 0, 0, 0});  // mov eax, [eip+4]
  EXPECT_EQ(eip.mem.base, kRipBase);
  EXPECT_EQ(eip.address_size, 4);
  EXPECT_EQ(decode32({0x8b, 0b00'000'101, 4, 0, 0, 0}).mem.base, kNoRegister);
}

TEST(Address, SibWithoutIndex) {
  const auto insn = decode64({0x8b, 0b00'000'100, 0b11'100'100});  // mov eax, [rsp]
  EXPECT_EQ(insn.mem.base, kSp);
  EXPECT_EQ(insn.mem.index, kNoRegister);
  EXPECT_EQ(insn.mem.scale_log2, 0);
  EXPECT_EQ(insn.mem.segment, kSs);
  // With REX.X it is r12.
  EXPECT_EQ(decode64({0x42, 0x8b, 0b00'000'100, 0b11'100'100}).mem.index, 12);
}

TEST(Address, SibWithoutBase) {
  const auto insn = decode64({0x8b, 0b00'000'100, 0b01'001'101, 1, 0, 0, 0});  // [rcx*2 + 1]
  EXPECT_EQ(insn.mem.base, kNoRegister);
  EXPECT_EQ(insn.mem.index, kCx);
  EXPECT_EQ(insn.mem.scale_log2, 1);
  EXPECT_EQ(insn.mem.displacement, 1);
  EXPECT_EQ(insn.mem.segment, kDs);
  // REX.B does not bring the base back, mod 1 does.
  EXPECT_EQ(decode64({0x41, 0x8b, 0b00'000'100, 0b01'001'101, 1, 0, 0, 0}).mem.base, kNoRegister);
  EXPECT_EQ(decode64({0x8b, 0b01'000'100, 0b01'001'101, 1}).mem.base, kBp);
}

TEST(Address, StackBasesDefaultToTheStackSegment) {
  EXPECT_EQ(decode64({0x8b, 0b01'000'101, 0}).mem.segment, kSs);             // [rbp]
  EXPECT_EQ(decode64({0x41, 0x8b, 0b01'000'101, 0}).mem.segment, kDs);       // [r13]
  EXPECT_EQ(decode64({0x41, 0x8b, 0b00'000'100, 0x24}).mem.segment, kDs);    // [r12]
  EXPECT_EQ(decode32({0x8b, 0b00'000'100, 0b00'101'000}).mem.segment, kDs);  // [eax + ebp]
  EXPECT_EQ(decode32({0x65, 0x8b, 0b01'000'101, 0}).mem.segment, 5);         // gs:[ebp]
}

TEST(Address, MoffsFollowsTheAddressSize) {
  const auto wide = decode64({0xa1, 1, 2, 3, 4, 5, 6, 7, 0x88});  // mov eax, [0x88...01]
  EXPECT_TRUE(wide.memory);
  EXPECT_FALSE(wide.has_modrm);
  EXPECT_EQ(wide.length, 9);
  EXPECT_EQ(static_cast<uint64_t>(wide.mem.displacement), 0x8807060504030201u);
  EXPECT_EQ(wide.mem.base, kNoRegister);
  EXPECT_EQ(decode64({0x67, 0xa1, 0, 0, 0, 0x80}).mem.displacement, 0x80000000LL);
  EXPECT_EQ(decode16({0xa3, 0xff, 0xff}).mem.displacement, 0xffff);
  EXPECT_EQ(decode32({0x64, 0xa0, 0, 0, 0, 0}).mem.segment, 4);
}

TEST(Address, ControlRegisterMovesIgnoreMod) {
  const auto insn = decode64({0x0f, 0x22, 0b00'000'101});  // mov cr0, rbp
  EXPECT_FALSE(insn.memory);
  EXPECT_EQ(insn.length, 3);
  EXPECT_EQ(insn.rm, kBp);
  EXPECT_EQ(insn.operand_size, 8);
  EXPECT_EQ(decode64({0x44, 0x0f, 0x20, 0b10'000'100}).reg, 8);  // mov rsp, cr8
  EXPECT_EQ(decode32({0x0f, 0x21, 0b01'111'000}).length, 3);     // mov eax, dr7
}

TEST(Address, OpcodeRegisterTakesRexB) {
  EXPECT_EQ(decode64({0xb9, 0, 0, 0, 0}).rm, kCx);
  EXPECT_EQ(decode64({0x91}).rm, kCx);
  EXPECT_EQ(decode64({0x58}).rm, kAx);
}

}  // namespace
}  // namespace husk::soft::decode
