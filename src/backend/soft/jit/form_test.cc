#include "backend/soft/jit/form.h"

#include <gtest/gtest.h>

#include "backend/soft/decode/testing/decoded.h"

namespace husk::soft::jit {
namespace {

Form form(std::initializer_list<int> bytes) { return form_of(decode::testing::decode64(bytes)); }

TEST(FormTest, ArithmeticStaysItself) {
  const Form add = form({0x48, 0x03, 0x0a});  // ADD RCX, [RDX]
  EXPECT_EQ(add.family, Family::kPlain);
  EXPECT_EQ(add.encoding.opcode, 0x03);
  EXPECT_TRUE(add.encoding.wide);
  EXPECT_EQ(add.reg_role, Role::kBoth);
  EXPECT_TRUE(add.memory);
  EXPECT_FALSE(add.writes_memory);
  EXPECT_EQ(add.size, 8);
}

// RAX has a form of its own, but is another register of the host's.
TEST(FormTest, AccumulatorsBecomeRegisters) {
  const Form add = form({0x48, 0x05, 4, 3, 2, 1});  // ADD RAX, 0x01020304
  EXPECT_EQ(add.encoding.opcode, 0x81);
  EXPECT_EQ(add.reg, 0);
  EXPECT_EQ(add.rm, 0);
  EXPECT_EQ(add.imm, 0x01020304);
  EXPECT_EQ(add.rm_role, Role::kBoth);
}

TEST(FormTest, MovesOfRegistersAreApart) {
  EXPECT_EQ(form({0x89, 0xc8}).family, Family::kMove);         // MOV EAX, ECX
  EXPECT_EQ(form({0x48, 0x8b, 0xc1}).family, Family::kMove);   // MOV RAX, RCX
  EXPECT_EQ(form({0x66, 0x89, 0xc8}).family, Family::kPlain);  // MOV AX, CX leaves the rest
  EXPECT_EQ(form({0x88, 0xc8}).family, Family::kPlain);        // MOV AL, CL
  EXPECT_EQ(form({0x89, 0x08}).family, Family::kPlain);        // MOV [RAX], ECX
}

TEST(FormTest, HighBytesAreInterpreted) {
  EXPECT_EQ(form({0x88, 0xe0}).family, Family::kInterpreted);        // MOV AL, AH
  EXPECT_EQ(form({0x40, 0x88, 0xe0}).family, Family::kPlain);        // MOV AL, SPL
  EXPECT_EQ(form({0x0f, 0xb6, 0xc4}).family, Family::kInterpreted);  // MOVZX EAX, AH
}

TEST(FormTest, LockedInstructionsStayLocked) {
  const Form locked = form({0xf0, 0x48, 0x01, 0x08});  // LOCK ADD [RAX], RCX
  EXPECT_EQ(locked.family, Family::kPlain);
  EXPECT_TRUE(locked.encoding.lock);
  EXPECT_TRUE(locked.writes_memory);
}

TEST(FormTest, BitsBeyondTheOperandAreInterpreted) {
  EXPECT_EQ(form({0x0f, 0xab, 0x08}).family, Family::kInterpreted);  // BTS [RAX], ECX
  EXPECT_EQ(form({0x0f, 0xab, 0xc8}).family, Family::kPlain);        // BTS EAX, ECX
  EXPECT_EQ(form({0x0f, 0xba, 0x28, 3}).family, Family::kPlain);     // BTS [RAX], 3
}

TEST(FormTest, AlignedOperandsAreKnown) {
  EXPECT_TRUE(form({0x0f, 0x28, 0x07}).aligned);   // MOVAPS XMM0, [RDI]
  EXPECT_FALSE(form({0x0f, 0x10, 0x07}).aligned);  // MOVUPS XMM0, [RDI]
  EXPECT_FALSE(form({0x0f, 0x28, 0xc1}).aligned);  // MOVAPS XMM0, XMM1
}

TEST(FormTest, AddressesOf32BitsAreInterpreted) {
  EXPECT_EQ(form({0x67, 0x8b, 0x00}).family, Family::kInterpreted);  // MOV EAX, [EAX]
}

TEST(FormTest, KernelEntriesAreTranslated) {
  EXPECT_EQ(form({0xfa}).family, Family::kDisableInterrupts);
  EXPECT_EQ(form({0x0f, 0x01, 0xf8}).family, Family::kSwapGs);
  EXPECT_EQ(form({0x0f, 0x01, 0xf9}).family, Family::kInterpreted);  // RDTSCP
  EXPECT_EQ(form({0x0f, 0x01, 0x38}).family, Family::kInterpreted);  // INVLPG [RAX]
}

TEST(FormTest, VexStaysItself) {
  const Form add = form({0xc5, 0b0'0110'1'01, 0x58, 0x03});  // VADDPD YMM8, YMM9, [RBX]
  EXPECT_EQ(add.family, Family::kPlain);
  EXPECT_TRUE(add.sse && add.avx && add.encoding.vex && add.encoding.vex_256);
  EXPECT_EQ(add.encoding.vvvv, 9);
  EXPECT_EQ(add.reg, 8);
  EXPECT_EQ(add.size, 32);
  EXPECT_FALSE(add.aligned);
  EXPECT_TRUE(form({0xc5, 0xfd, 0x6f, 0x03}).aligned);        // VMOVDQA YMM0, [RBX]
  EXPECT_TRUE(form({0xc5, 0xfe, 0x7f, 0x03}).writes_memory);  // VMOVDQU [RBX], YMM0
  EXPECT_EQ(form({0xc5, 0xf8, 0x77}).family, Family::kZeroUpper);
}

// VEX's register is under another name, or in memory, where no instruction takes it from.
TEST(FormTest, GeneralRegistersOfVexAreRenamed) {
  const Form andn = form({0xc4, 0xe2, 0xf8, 0xf2, 0xca});  // ANDN RCX, RAX, RDX
  EXPECT_EQ(andn.family, Family::kPlain);
  EXPECT_EQ(andn.encoding.vvvv, r9);
  EXPECT_FALSE(andn.sse);
  EXPECT_EQ(form({0xc4, 0xe2, 0xb0, 0xf2, 0xca}).family, Family::kInterpreted);  // RAX is R9
}

TEST(FormTest, LanesByAMaskAreInterpreted) {
  EXPECT_EQ(form({0xc4, 0xe2, 0x7d, 0x2c, 0x03}).family, Family::kInterpreted);        // VMASKMOVPS
  EXPECT_EQ(form({0xc4, 0xe2, 0x69, 0x90, 0x0c, 0x20}).family, Family::kInterpreted);  // VPGATHERDD
}

TEST(FormTest, ChangedMasksEndTheTranslation) {
  EXPECT_TRUE(form({0x0f, 0xae, 0x10}).last);  // LDMXCSR [RAX]
  EXPECT_TRUE(form({0xd9, 0x28}).last);        // FLDCW [RAX]
  EXPECT_FALSE(form({0xd9, 0x00}).last);       // FLD DWORD [RAX]
}

}  // namespace
}  // namespace husk::soft::jit
