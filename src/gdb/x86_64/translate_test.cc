#include <gtest/gtest.h>

#include <array>

#include "gdb/x86_64/registers.h"

namespace husk::gdb::x86_64 {
namespace {

constexpr uint64_t kPaging = 0x80000001, kPae = 1 << 5, kPse = 1 << 4, kLa57 = 1 << 12;
constexpr uint64_t kLma = 1 << 10;
constexpr uint64_t kPresent = 1, kLarge = 0x80, kNoExecute = uint64_t{1} << 63;

class X86Translate : public ::testing::Test {
 protected:
  static constexpr uint64_t kSize = uint64_t{1} << 20;

  void entry64(uint64_t table, uint64_t index, uint64_t value) {
    ASSERT_TRUE(memory_->store(Gpa{table + 8 * index}, value));
  }
  void entry32(uint64_t table, uint32_t index, uint32_t value) {
    ASSERT_TRUE(memory_->store(Gpa{table + 4 * index}, value));
  }
  // The physical address, or ~0.
  uint64_t at(uint64_t linear) const {
    const auto found = translate(state_, *memory_, linear);
    return found ? found->value : ~uint64_t{0};
  }

  VcpuState state_;
  std::unique_ptr<memory::GuestMemory> memory_ =
      *memory::GuestMemory::create(std::array{memory::RegionSpec{Gpa{0}, kSize}});
};

TEST_F(X86Translate, WithoutPagingThereAreFourGigabytes) {
  EXPECT_EQ(at(0x12345), 0x12345U);
  EXPECT_EQ(at(0xffffffff), 0xffffffffU);
  EXPECT_EQ(at(0x100000000), ~uint64_t{0});
}

TEST_F(X86Translate, FourLevels) {
  state_.cr0 = kPaging, state_.cr4 = kPae, state_.efer = kLma, state_.cr3 = 0x1000 | 5;  // a PCID
  entry64(0x1000, 511, 0x2000 | kPresent | kNoExecute);
  entry64(0x2000, 510, 0x3000 | kPresent);
  entry64(0x2000, 509, 0x1'4000'0000 | kPresent | kLarge);
  entry64(0x3000, 8, 0x20'0000'0000 | kPresent | kLarge | 1 << 12);  // PAT is no address
  entry64(0x3000, 9, 0x4000 | kPresent);
  entry64(0x4000, 3, 0xabcde000 | kPresent | kNoExecute);
  EXPECT_EQ(at(0xffffffff81012345), 0x20'0001'2345U) << "2 MiB";
  EXPECT_EQ(at(0xffffffff81203456), 0xabcde456U) << "4 KiB";
  EXPECT_EQ(at(0xffffffff52345678), 0x1'5234'5678U) << "1 GiB";
  EXPECT_EQ(at(0xffffffff81204000), ~uint64_t{0}) << "not present";
  EXPECT_EQ(at(0x7fff81203456), ~uint64_t{0});
  EXPECT_EQ(at(0x0000ffff81203456), ~uint64_t{0}) << "not canonical";
}

TEST_F(X86Translate, FiveLevels) {
  state_.cr0 = kPaging, state_.cr4 = kPae | kLa57, state_.efer = kLma, state_.cr3 = 0x1000;
  entry64(0x1000, 256, 0x2000 | kPresent);
  entry64(0x2000, 0, 0x3000 | kPresent);
  entry64(0x3000, 0, 0x4000 | kPresent);
  entry64(0x4000, 1, 0x40'0000 | kPresent | kLarge);
  EXPECT_EQ(at(0xff00000000200123), 0x40'0123U);
  state_.cr4 = kPae;
  EXPECT_EQ(at(0xff00000000200123), ~uint64_t{0});
}

TEST_F(X86Translate, Pae) {
  state_.cr0 = kPaging, state_.cr4 = kPae, state_.cr3 = 0x1020;
  entry64(0x1020, 3, 0x2000 | kPresent);
  entry64(0x2000, 511, 0x3000 | kPresent);
  entry64(0x2000, 1, 0x7'0020'0000 | kPresent | kLarge);
  entry64(0x3000, 511, 0x8'1234'5000 | kPresent);
  EXPECT_EQ(at(0xffffffff), 0x8'1234'5fffU);
  EXPECT_EQ(at(0xc0234567), 0x7'0023'4567U);
  EXPECT_EQ(at(0x80000000), ~uint64_t{0});
  EXPECT_EQ(at(0x1ffffffff), ~uint64_t{0});
}

TEST_F(X86Translate, ThirtyTwoBits) {
  state_.cr0 = kPaging, state_.cr4 = kPse, state_.cr3 = 0x1000;
  entry32(0x1000, 0x300, 0x2000 | kPresent);
  entry32(0x1000, 0x301, 0x00c02000 | kPresent | kLarge);  // bit 13 is bit 32
  entry32(0x2000, 0x3ff, 0xabcde000 | kPresent);
  EXPECT_EQ(at(0xc03ff123), 0xabcde123U);
  EXPECT_EQ(at(0xc0512345), 0x1'00d1'2345U);
  state_.cr4 = 0;
  EXPECT_EQ(at(0xc0512345), ~uint64_t{0}) << "without PSE its tables are outside memory";
}

TEST_F(X86Translate, TablesThatAreNowhereEndTheWalk) {
  state_.cr0 = kPaging, state_.cr4 = kPae, state_.efer = kLma, state_.cr3 = 0xfffffffff000;
  EXPECT_EQ(at(0), ~uint64_t{0});
  state_.cr3 = 0x1000;
  entry64(0x1000, 0, 0x1000 | kPresent);  // a table that is its own
  EXPECT_EQ(at(0x123), 0x1123U);
}

}  // namespace
}  // namespace husk::gdb::x86_64
