#include "backend/soft/jit/spans.h"

#include <gtest/gtest.h>

#include "backend/soft/decode/testing/decoded.h"

namespace husk::soft::jit {
namespace {

using decode::testing::decode64;

class SpansTest : public ::testing::Test {
 protected:
  Places see(std::initializer_list<int> bytes) {
    const auto insn = decode64(bytes);
    rip_ += insn.length;
    return finder_.add(insn, form_of(insn), rip_);
  }
  const Span& only() const {
    EXPECT_EQ(finder_.spans().size(), 1u);
    return finder_.spans().front();
  }

  SpanFinder finder_;
  uint64_t rip_ = 0x401000;
};

TEST_F(SpansTest, PushesAreOneSpan) {
  const Places first = see({0x55}) /* PUSH RBP */, second = see({0x53});
  EXPECT_TRUE(first[0].first);
  EXPECT_FALSE(second[0].first);
  EXPECT_EQ(second[0].offset, -8);
  EXPECT_EQ(only().uses, 2);
  EXPECT_EQ(only().low, -8);
  EXPECT_EQ(only().high, 8);
  EXPECT_TRUE(only().write);
}

TEST_F(SpansTest, FieldsAreOneSpanAndNeedNoWrites) {
  see({0x8b, 0x47, 0x10});                        // MOV EAX, [RDI+16]
  const Places second = see({0x8b, 0x4f, 0x04});  // MOV ECX, [RDI+4]
  EXPECT_EQ(second[0].offset, -12);
  EXPECT_EQ(only().low, -12);
  EXPECT_EQ(only().high, 4);
  EXPECT_FALSE(only().write);
}

TEST_F(SpansTest, FollowsPointersThatMoveByConstants) {
  see({0x8b, 0x07});                            // MOV EAX, [RDI]
  see({0x48, 0x83, 0xc7, 0x08});                // ADD RDI, 8
  see({0x48, 0x89, 0xfe});                      // MOV RSI, RDI
  see({0x48, 0x8d, 0x56, 0xfc});                // LEA RDX, [RSI-4]
  see({0x48, 0xff, 0xca});                      // DEC RDX
  const Places last = see({0x8b, 0x4a, 0x02});  // MOV ECX, [RDX+2]
  EXPECT_EQ(last[0].offset, 5);
  EXPECT_EQ(only().uses, 2);
}

TEST_F(SpansTest, AWrittenRegisterBeginsAnother) {
  see({0x8b, 0x07});                      // MOV EAX, [RDI]
  see({0x83, 0xc7, 0x08});                // ADD EDI, 8: the upper half goes
  see({0x8b, 0x07});                      // MOV EAX, [RDI]
  see({0x48, 0x8b, 0x3f});                // MOV RDI, [RDI]
  see({0x8b, 0x07});                      // MOV EAX, [RDI]
  EXPECT_EQ(finder_.spans().size(), 3u);  // the last but one is at what RDI was before
}

TEST_F(SpansTest, ASecondAccessChecksForItselfOnly) {
  const Places both = see({0xff, 0x32});  // PUSH [RDX]
  const Places push = see({0x55});        // PUSH RBP
  const Places last = see({0x53});        // PUSH RBX
  EXPECT_TRUE(both[1].first);
  EXPECT_TRUE(push[0].first);
  EXPECT_FALSE(last[0].first);
  EXPECT_EQ(finder_.spans()[both[1].span].uses, 1);
}

TEST_F(SpansTest, LeaveTakesTheFramePointer) {
  see({0x48, 0x89, 0xe5});           // MOV RBP, RSP
  see({0x8b, 0x45, 0x08});           // MOV EAX, [RBP+8]
  const Places leave = see({0xc9});  // LEAVE: POP RBP
  const Places ret = see({0xc3});
  EXPECT_EQ(leave[0].offset, -8);
  EXPECT_EQ(ret[0].offset, 0);
  EXPECT_EQ(only().uses, 3);
}

TEST_F(SpansTest, WhatIsInterpretedEndsAll) {
  see({0x8b, 0x07});  // MOV EAX, [RDI]
  see({0x0f, 0xa2});  // CPUID
  const Places second = see({0x8b, 0x07});
  EXPECT_TRUE(second[0].first);
}

TEST_F(SpansTest, AStoreThatMayNotComeIsInNoSpanOfLoads) {
  see({0x8b, 0x07});                             // MOV EAX, [RDI]
  see({0x74, 0x10});                             // JZ
  const Places load = see({0x8b, 0x4f, 0x04});   // MOV ECX, [RDI+4]
  const Places store = see({0x89, 0x4f, 0x08});  // MOV [RDI+8], ECX
  EXPECT_FALSE(load[0].first);
  EXPECT_TRUE(store[0].first);
  EXPECT_FALSE(finder_.spans().front().write);
}

TEST_F(SpansTest, IndexAndScaleCount) {
  see({0x8b, 0x04, 0xb7});                        // MOV EAX, [RDI+RSI*4]
  see({0x48, 0xff, 0xc6});                        // INC RSI
  const Places second = see({0x8b, 0x04, 0xb7});  // the next element
  const Places other = see({0x8b, 0x04, 0xf7});   // MOV EAX, [RDI+RSI*8]
  EXPECT_FALSE(second[0].first);
  EXPECT_EQ(second[0].offset, 4);
  EXPECT_TRUE(other[0].first);
}

TEST_F(SpansTest, SegmentsAreApart) {
  see({0x65, 0x48, 0x8b, 0x04, 0x25, 8, 0, 0, 0});                     // MOV RAX, GS:[8]
  const Places gs = see({0x65, 0x48, 0x8b, 0x04, 0x25, 16, 0, 0, 0});  // MOV RAX, GS:[16]
  const Places fs = see({0x64, 0x48, 0x8b, 0x04, 0x25, 16, 0, 0, 0});  // MOV RAX, FS:[16]
  const Places none = see({0x48, 0x8b, 0x04, 0x25, 16, 0, 0, 0});      // MOV RAX, [16]
  EXPECT_FALSE(gs[0].first);
  EXPECT_TRUE(fs[0].first);
  EXPECT_TRUE(none[0].first);
}

TEST_F(SpansTest, AreNoLongerThanTheyMayBe) {
  see({0x8b, 0x07});                                     // MOV EAX, [RDI]
  const Places near = see({0x8b, 0x87, 0xfc, 0, 0, 0});  // MOV EAX, [RDI+252]
  const Places far = see({0x8b, 0x87, 0xfd, 0, 0, 0});   // MOV EAX, [RDI+253]
  EXPECT_FALSE(near[0].first);
  EXPECT_TRUE(far[0].first);
}

TEST_F(SpansTest, ConstantAddressesShareAPage) {
  see({0x8b, 0x04, 0x25, 0xf8, 0x0f, 0, 0});                      // MOV EAX, [0xff8]
  const Places same = see({0x8b, 0x04, 0x25, 0xfc, 0x0f, 0, 0});  // MOV EAX, [0xffc]
  const Places next = see({0x8b, 0x04, 0x25, 0x00, 0x10, 0, 0});  // MOV EAX, [0x1000]
  EXPECT_FALSE(same[0].first);
  EXPECT_TRUE(next[0].first);
}

TEST_F(SpansTest, AlignmentIsTheSameForAll) {
  see({0x8b, 0x47, 0x04});                              // MOV EAX, [RDI+4]
  const Places first = see({0x0f, 0x28, 0x47, 0x10});   // MOVAPS XMM0, [RDI+16]
  const Places second = see({0x0f, 0x28, 0x47, 0x20});  // MOVAPS XMM0, [RDI+32]
  const Places wrong = see({0x0f, 0x28, 0x47, 0x28});   // MOVAPS XMM0, [RDI+40]
  EXPECT_FALSE(first[0].first);
  EXPECT_FALSE(second[0].first);
  EXPECT_TRUE(wrong[0].first);
  EXPECT_EQ(finder_.spans().front().aligned_at.value_or(0) % 16, 12);
}

}  // namespace
}  // namespace husk::soft::jit
