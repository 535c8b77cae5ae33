#include "backend/kvm/aarch64/exception_entry.h"

#include <gtest/gtest.h>

namespace husk::kvm {
namespace {

constexpr uint64_t kVectors = 0xffff800008010800, kSpan = 1 << 23, kDssbs = 1ULL << 44;
constexpr uint64_t kEntered = 0x3c5;  // EL1h, D, A, I and F masked

TEST(ExceptionEntry, TheVectorIsByWhereItComesFrom) {
  EXPECT_EQ(synchronous_entry(0x0, kSpan, kVectors).pc, kVectors + 0x400) << "EL0";
  EXPECT_EQ(synchronous_entry(0x4, kSpan, kVectors).pc, kVectors) << "EL1t";
  EXPECT_EQ(synchronous_entry(0x5, kSpan, kVectors).pc, kVectors + 0x200) << "EL1h";
}

TEST(ExceptionEntry, FlagsStayAndWhatWasOfTheInstructionGoes) {
  constexpr uint64_t kNzcv = 0xfULL << 28, kSteps = 1 << 21, kIllegal = 1 << 20, kBranch = 3 << 10;
  EXPECT_EQ(synchronous_entry(kNzcv | kSteps | kIllegal | kBranch, kSpan, 0).pstate,
            kNzcv | kEntered);
}

TEST(ExceptionEntry, PanAndSsbsAreWhatTheGuestHasConfigured) {
  constexpr uint64_t kPan = 1 << 22, kSsbs = 1 << 12;
  EXPECT_EQ(synchronous_entry(0x5, 0, 0).pstate, kEntered | kPan) << "set";
  EXPECT_EQ(synchronous_entry(0x5, kSpan, 0).pstate, kEntered) << "left alone";
  EXPECT_EQ(synchronous_entry(0x5 | kPan, kSpan, 0).pstate, kEntered | kPan) << "left alone";
  EXPECT_EQ(synchronous_entry(0x5 | kSsbs, kSpan, 0).pstate, kEntered);
  EXPECT_EQ(synchronous_entry(0x5, kSpan | kDssbs, 0).pstate, kEntered | kSsbs);
}

}  // namespace
}  // namespace husk::kvm
