#include <gtest/gtest.h>

#include <array>
#include <cstring>

#include "gdb/aarch64/registers.h"

namespace husk::gdb::aarch64 {
namespace {

constexpr uint64_t kValid = 1, kTable = 3;

class Arm64Translate : public ::testing::Test {
 protected:
  static constexpr uint64_t kSize = uint64_t{1} << 20;

  void set(uint64_t id, uint64_t value) {
    Bytes bytes(sizeof(value));
    std::memcpy(bytes.data(), &value, sizeof(value));
    std::erase_if(state_.registers, [&](const auto& one) { return one.id == id; });
    state_.registers.push_back({id, bytes});
  }
  void entry(uint64_t table, uint64_t index, uint64_t value) {
    ASSERT_TRUE(memory_->store(Gpa{table + 8 * index}, value));
  }
  uint64_t at(uint64_t address) const {
    const auto found = translate(state_, *memory_, address);
    return found ? found->value : ~uint64_t{0};
  }

  VcpuState state_;
  std::unique_ptr<memory::GuestMemory> memory_ =
      *memory::GuestMemory::create(std::array{memory::RegionSpec{Gpa{0}, kSize}});
};

TEST_F(Arm64Translate, WithoutTheMmuAddressesArePhysical) {
  EXPECT_EQ(at(0x40080000), 0x40080000U);
}

// As Linux has it: 48 bits, 4 KiB, both halves; TG1 says 4 KiB by 2.
TEST_F(Arm64Translate, FourKilobytePages) {
  set(kSctlrEl1, 1);
  set(kTcrEl1, 16 | uint64_t{16} << 16 | uint64_t{2} << 30 | uint64_t{1} << 37);
  set(kTtbr1El1, 0x1000 | uint64_t{7} << 48);  // an ASID
  set(kTtbr0El1, 0x5000);
  entry(0x1000, 0x100, 0x2000 | kTable);
  entry(0x2000, 0, 0x3000 | kTable);
  entry(0x3000, 1, 0x4000'0000 | kValid | uint64_t{1} << 54);  // a block of 2 MiB
  entry(0x3000, 2, 0x4000 | kTable);
  entry(0x4000, 5, 0x1234'5000 | kTable);
  entry(0x4000, 6, 0x1234'6000 | kValid);  // reserved at the last level
  EXPECT_EQ(at(0xffff800000212345), 0x4001'2345U);
  EXPECT_EQ(at(0xffff800000405678), 0x1234'5678U);
  EXPECT_EQ(at(0xffff800000406678), ~uint64_t{0});
  EXPECT_EQ(at(0xffff800000600000), ~uint64_t{0});
  EXPECT_EQ(at(0xfff0800000405678), ~uint64_t{0}) << "outside both ranges";
  entry(0x5000, 0, 0x2000 | kTable);
  EXPECT_EQ(at(0x0000000000405678), 0x1234'5678U);
  EXPECT_EQ(at(0xab00000000405678), 0x1234'5678U) << "a tag";
}

TEST_F(Arm64Translate, SixtyFourKilobytePages) {
  set(kSctlrEl1, 1);
  set(kTcrEl1, uint64_t{22} << 16 | uint64_t{3} << 30);  // 42 bits: two levels
  set(kTtbr1El1, 0x10000);
  entry(0x10000, 0x1000, 0x20000 | kTable);  // of 13 bits, from 29 on
  entry(0x20000, 7, 0x5'4321'0000 | kTable);
  constexpr uint64_t kUpper = ~uint64_t{0} << 42;
  EXPECT_EQ(at(kUpper | uint64_t{0x1000} << 29 | 0x7'1234), 0x5'4321'1234U);
  EXPECT_EQ(at(kUpper | uint64_t{0x1001} << 29 | 0x7'1234), ~uint64_t{0});
}

TEST_F(Arm64Translate, SizesThatCannotBeAreUnmapped) {
  set(kSctlrEl1, 1);
  for (uint64_t size = 0; size < 64; ++size) {
    set(kTcrEl1, size | size << 16);
    EXPECT_TRUE(at(0x1000) == ~uint64_t{0} || size >= 16) << size;
    (void)at(~uint64_t{0});
  }
}

TEST(Arm64Registers, TheStackPointerIsThatOfTheLevel) {
  VcpuState state;
  state.sp = 0x10;
  state.registers.push_back({kSpEl1, Bytes(8, std::byte{0x11})});
  const auto sp = [&] {
    const Bytes all = read_all(features(state));
    return all.at(architecture().offsets[31]);
  };
  state.pstate = contract::aarch64::kPstateEl1h;
  EXPECT_EQ(sp(), std::byte{0x11});
  state.pstate = 0;
  EXPECT_EQ(sp(), std::byte{0x10});
  EXPECT_EQ(architecture().pc, 32U);
}

}  // namespace
}  // namespace husk::gdb::aarch64
