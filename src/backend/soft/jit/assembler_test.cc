#include "backend/soft/jit/assembler.h"

#include <gtest/gtest.h>

#include <array>
#include <functional>
#include <vector>

namespace husk::soft::jit {
namespace {

using Bytes = std::vector<uint8_t>;

Bytes written(const std::function<void(Assembler&)>& write) {
  std::array<uint8_t, 64> room{};
  Assembler a(room.data());
  write(a);
  return {room.data(), a.here()};
}

TEST(AssemblerTest, RegistersGoWhereTheyBelong) {
  EXPECT_EQ(written([](Assembler& a) { a.mov(rbx, r9); }), (Bytes{0x49, 0x8b, 0xd9}));
  EXPECT_EQ(written([](Assembler& a) { a.mov(r9, rbx); }), (Bytes{0x4c, 0x8b, 0xcb}));
  EXPECT_EQ(written([](Assembler& a) { a.mov32(rax, rcx); }), (Bytes{0x8b, 0xc1}));
}

// SPL to DIL need a REX prefix, the first four do not.
TEST(AssemblerTest, ByteRegistersAreTheLowOnes) {
  constexpr Encoding kTest{.opcode = 0x84, .bytes = true};
  EXPECT_EQ(written([&](Assembler& a) { a.rr(kTest, rax, rcx); }), (Bytes{0x84, 0xc1}));
  EXPECT_EQ(written([&](Assembler& a) { a.rr(kTest, rsi, rcx); }), (Bytes{0x40, 0x84, 0xf1}));
  EXPECT_EQ(written([&](Assembler& a) { a.rr(kTest, rcx, rdi); }), (Bytes{0x40, 0x84, 0xcf}));
}

TEST(AssemblerTest, EveryBaseHasItsForm) {
  const auto load = [](const Mem& m) { return written([&](Assembler& a) { a.load(rax, m); }); };
  EXPECT_EQ(load({.base = rdx}), (Bytes{0x48, 0x8b, 0x02}));
  EXPECT_EQ(load({.base = rbp}), (Bytes{0x48, 0x8b, 0x45, 0}));  // 00 would be RIP-relative
  EXPECT_EQ(load({.base = r13}), (Bytes{0x49, 0x8b, 0x45, 0}));
  EXPECT_EQ(load({.base = rsp}), (Bytes{0x48, 0x8b, 0x04, 0x24}));  // 100 means a SIB byte
  EXPECT_EQ(load({.base = r12}), (Bytes{0x49, 0x8b, 0x04, 0x24}));
  EXPECT_EQ(load({.disp = 0x10}), (Bytes{0x48, 0x8b, 0x04, 0x25, 0x10, 0, 0, 0}));
}

TEST(AssemblerTest, DisplacementsAreAsShortAsTheyCanBe) {
  const auto load = [](int32_t disp) {
    return written([&](Assembler& a) { a.load(rax, {.base = rdx, .disp = disp}); });
  };
  EXPECT_EQ(load(127), (Bytes{0x48, 0x8b, 0x42, 0x7f}));
  EXPECT_EQ(load(-128), (Bytes{0x48, 0x8b, 0x42, 0x80}));
  EXPECT_EQ(load(128), (Bytes{0x48, 0x8b, 0x82, 0x80, 0, 0, 0}));
}

TEST(AssemblerTest, IndicesAreScaled) {
  const Mem m{.base = rbx, .disp = 4, .index = r14, .scale_log2 = 3};
  EXPECT_EQ(written([&](Assembler& a) { a.lea(r8, m); }), (Bytes{0x4e, 0x8d, 0x44, 0xf3, 0x04}));
}

TEST(AssemblerTest, PrefixesComeBeforeRex) {
  constexpr Encoding kEncoding{
      .opcode = 0x38, .map = 2, .prefix = 0x66, .wide = true, .lock = true};
  EXPECT_EQ(written([&](Assembler& a) { a.rr(kEncoding, rax, rax); }),
            (Bytes{0xf0, 0x66, 0x48, 0x0f, 0x38, 0x38, 0xc0}));
}

TEST(AssemblerTest, ConstantsTakeTheShortestForm) {
  const auto move = [](uint64_t value) {
    return written([&](Assembler& a) { a.mov_imm(r9, value); }).size();
  };
  EXPECT_EQ(move(0xffffffff), 6u);
  EXPECT_EQ(move(~uint64_t{0}), 7u);
  EXPECT_EQ(move(uint64_t{1} << 32), 10u);
}

TEST(AssemblerTest, JumpsCountFromTheirEnd) {
  std::array<uint8_t, 64> room{};
  Assembler a(room.data());
  const JumpSite forward = a.jcc(4);
  a.byte(0x90);
  a.bind(forward);
  a.jmp_to(room.data());
  EXPECT_EQ((Bytes{room.data(), a.here()}),
            (Bytes{0x0f, 0x84, 1, 0, 0, 0, 0x90, 0xe9, 0xf4, 0xff, 0xff, 0xff}));
}

}  // namespace
}  // namespace husk::soft::jit
