#include "backend/soft/jit/flag_use.h"

#include <gtest/gtest.h>

#include "backend/soft/decode/testing/decoded.h"

namespace husk::soft::jit {
namespace {

FlagUse use(std::initializer_list<int> bytes) { return flag_use(decode::testing::decode64(bytes)); }

TEST(FlagUseTest, ArithmeticKillsAll) {
  EXPECT_EQ(use({0x01, 0xc8}).kills, kAllFlags);  // ADD EAX, ECX
  EXPECT_EQ(use({0x01, 0xc8}).reads, 0);
  EXPECT_EQ(use({0x83, 0xf8, 0x01}).kills, kAllFlags);  // CMP EAX, 1
  EXPECT_EQ(use({0x11, 0xc8}).reads, kFlagCf);          // ADC EAX, ECX
  EXPECT_EQ(use({0x83, 0xd8, 0x01}).reads, kFlagCf);    // SBB EAX, 1
}

TEST(FlagUseTest, IncrementsKeepTheCarry) {
  EXPECT_EQ(use({0xff, 0xc0}).kills, kAllFlags & ~kFlagCf);  // INC EAX
  EXPECT_EQ(use({0xff, 0xc8}).kills, kAllFlags & ~kFlagCf);  // DEC EAX
}

TEST(FlagUseTest, ShiftsDependOnTheirCount) {
  EXPECT_FALSE(use({0xc1, 0xe0, 0x00}).touches);              // SHL EAX, 0
  EXPECT_FALSE(use({0xc1, 0xe0, 0x20}).touches);              // SHL EAX, 32, which is 0
  EXPECT_EQ(use({0xc1, 0xe0, 0x03}).kills, kAllFlags);        // SHL EAX, 3
  EXPECT_EQ(use({0x48, 0xc1, 0xe0, 0x20}).kills, kAllFlags);  // SHL RAX, 32
  EXPECT_EQ(use({0xd3, 0xe0}).kills, 0);                      // SHL EAX, CL
  EXPECT_TRUE(use({0xd3, 0xe0}).touches);
  EXPECT_EQ(use({0xc1, 0xc0, 0x03}).kills, kFlagCf);  // ROL EAX, 3
  EXPECT_EQ(use({0xc1, 0xd0, 0x03}).reads, kFlagCf);  // RCL EAX, 3
}

TEST(FlagUseTest, ConditionsReadWhatTheyTest) {
  EXPECT_EQ(use({0x74, 0x00}).reads, kFlagZf);                            // JZ
  EXPECT_EQ(use({0x0f, 0x87, 0, 0, 0, 0}).reads, kFlagCf | kFlagZf);      // JA
  EXPECT_EQ(use({0x0f, 0x9c, 0xc0}).reads, kFlagSf | kFlagOf);            // SETL AL
  EXPECT_EQ(use({0x0f, 0x4f, 0xc1}).reads, kFlagZf | kFlagSf | kFlagOf);  // CMOVG EAX, ECX
  EXPECT_EQ(use({0x0f, 0x4f, 0xc1}).kills, 0);
}

TEST(FlagUseTest, MovesLeaveThemAlone) {
  for (const auto& bytes : {std::initializer_list<int>{0x89, 0xc8},  // MOV EAX, ECX
                            {0x8d, 0x47, 0x08},                      // LEA EAX, [RDI+8]
                            {0x50},                                  // PUSH RAX
                            {0xf7, 0xd0},                            // NOT EAX
                            {0x0f, 0xb6, 0xc1},                      // MOVZX EAX, CL
                            {0x0f, 0x28, 0xc1},                      // MOVAPS XMM0, XMM1
                            {0xe8, 0, 0, 0, 0}}) {
    const FlagUse none = use(bytes);
    EXPECT_EQ(none.reads, 0);
    EXPECT_EQ(none.kills, 0);
    EXPECT_FALSE(none.touches);
  }
}

TEST(FlagUseTest, WhatIsNotKnownReadsAll) {
  EXPECT_EQ(use({0x0f, 0xa2}).reads, kAllFlags);  // CPUID
  EXPECT_EQ(use({0x9c}).reads, kAllFlags);        // PUSHF
}

TEST(FlagUseTest, ComparisonsOfFloatsKillAll) {
  EXPECT_EQ(use({0x0f, 0x2e, 0xc1}).kills, kAllFlags);              // UCOMISS XMM0, XMM1
  EXPECT_EQ(use({0x66, 0x0f, 0x38, 0x17, 0xc1}).kills, kAllFlags);  // PTEST XMM0, XMM1
  EXPECT_EQ(use({0xdb, 0xf1}).kills, kAllFlags);                    // FCOMI ST(1)
  EXPECT_EQ(use({0xda, 0xc1}).reads, kFlagCf | kFlagZf | kFlagPf);  // FCMOVB ST(1)
}

}  // namespace
}  // namespace husk::soft::jit
