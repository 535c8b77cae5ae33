#include "virtio/queue.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <array>
#include <vector>

#include "virtio/testing/driver.h"

namespace husk::virtio {
namespace {

using namespace testing;  // NOLINT(google-build-using-namespace)

TEST(Queue, GivesAChainWithItsBuffersInOrderAndTakesItBack) {
  Driver driver;
  Queue queue = driver.queue();
  driver.describe(0, {Driver::kBuffers.value, 16, kNext, 3});
  driver.describe(3, {Driver::kBuffers.value + 0x100, 32, kWrite, 0});
  driver.make_available(0);
  ASSERT_TRUE(driver.memory().store<uint32_t>(Driver::kBuffers, 0x11223344));
  auto chain = queue.pop();
  ASSERT_TRUE(chain && *chain);
  EXPECT_EQ((*chain)->readable_bytes(), 16u);
  EXPECT_EQ((*chain)->writable_bytes(), 32u);
  uint32_t value = 0;
  EXPECT_EQ((*chain)->read(0, std::as_writable_bytes(std::span(&value, 1))), 4u);
  EXPECT_EQ(value, 0x11223344u);
  EXPECT_EQ((*chain)->write(30, std::as_bytes(std::span(&value, 1))), 2u) << "only what is there";
  ASSERT_TRUE(queue.push(**chain, 5));
  EXPECT_EQ(driver.used_index(), 1);
  EXPECT_EQ(*driver.memory().load<uint32_t>(Driver::kUsed + 4), 0u);
  EXPECT_EQ(*driver.memory().load<uint32_t>(Driver::kUsed + 8), 5u);
  auto none = queue.pop();
  ASSERT_TRUE(none);
  EXPECT_FALSE(*none);
}

// A driver may cut its buffers anywhere: every range comes out the same as from one piece.
TEST(Chain, IsOneRowOfBytesHoweverItIsCut) {
  std::array<uint8_t, 12> bytes{};
  for (uint8_t n = 0; n < bytes.size(); ++n) bytes[n] = n;
  std::array<uint8_t, 12> target{};
  const auto in = std::as_bytes(std::span(bytes));
  const auto out = std::as_writable_bytes(std::span(target));
  Chain chain;
  chain.readable = {in.first(3), in.subspan(3, 0), in.subspan(3, 4), in.subspan(7, 5)};
  chain.writable = {out.first(1), out.subspan(1, 6), out.subspan(7, 0), out.subspan(7, 5)};
  for (size_t from = 0; from <= bytes.size(); ++from) {
    for (size_t length = 0; length <= bytes.size() + 1; ++length) {
      const size_t there = std::min(length, bytes.size() - from);
      std::vector<uint8_t> got(length, 0xff), expected(length, 0xff);
      std::copy_n(bytes.begin() + from, there, expected.begin());
      ASSERT_EQ(chain.read(from, std::as_writable_bytes(std::span(got))), there);
      ASSERT_EQ(got, expected) << from << " " << length;

      target.fill(0xff);
      std::array<uint8_t, 12> written{};
      written.fill(0xff);
      std::copy_n(bytes.begin(), there, written.begin() + from);
      const auto source = std::as_bytes(std::span(bytes)).first(std::min(length, bytes.size()));
      ASSERT_EQ(chain.write(from, source), there);
      ASSERT_EQ(target, written) << from << " " << length;
    }
  }
}

TEST(Queue, FollowsAnIndirectTable) {
  Driver driver;
  Queue queue = driver.queue();
  const Descriptor table[2] = {{Driver::kBuffers.value, 8, kNext, 1},
                               {Driver::kBuffers.value + 8, 8, kWrite, 0}};
  ASSERT_TRUE(driver.memory().store(Gpa{0x5000}, table));
  driver.describe(2, {0x5000, sizeof(table), kIndirect, 0});
  driver.make_available(2);
  auto chain = queue.pop();
  ASSERT_TRUE(chain && *chain);
  EXPECT_EQ((*chain)->head, 2);
  EXPECT_EQ((*chain)->readable_bytes(), 8u);
  EXPECT_EQ((*chain)->writable_bytes(), 8u);
}

TEST(Queue, InterruptsAsTheDriverAsks) {
  Driver driver;
  Queue queue = driver.queue(true);
  driver.describe(0, {Driver::kBuffers.value, 8, 0, 0});
  const Gpa used_event = Driver::kAvailable + 4 + Driver::kSize * 2;
  ASSERT_TRUE(driver.memory().store<uint16_t>(used_event, 1));  // when the second is used
  driver.make_available(0);
  ASSERT_TRUE(queue.push(**queue.pop(), 0));
  EXPECT_FALSE(queue.needs_interrupt());
  driver.make_available(0);
  ASSERT_TRUE(queue.push(**queue.pop(), 0));
  EXPECT_TRUE(queue.needs_interrupt());
  EXPECT_FALSE(queue.needs_interrupt()) << "once";

  Driver plain_driver;
  Queue plain = plain_driver.queue(false);
  plain_driver.describe(0, {Driver::kBuffers.value, 8, 0, 0});
  ASSERT_TRUE(plain_driver.memory().store<uint16_t>(Driver::kAvailable, 1));  // NO_INTERRUPT
  plain_driver.make_available(0);
  ASSERT_TRUE(plain.push(**plain.pop(), 0));
  EXPECT_FALSE(plain.needs_interrupt());
}

struct Malformed {
  const char* name;
  Descriptor first;
  const char* why;
};

class MalformedQueue : public ::testing::TestWithParam<Malformed> {};

TEST_P(MalformedQueue, IsAnErrorAndNothingElse) {
  Driver driver;
  Queue queue = driver.queue();
  driver.describe(0, GetParam().first);
  driver.describe(1, {Driver::kBuffers.value, 8, kNext, 1});
  driver.describe(2, {Driver::kBuffers.value, 8, 0, 0});
  driver.make_available(0);
  auto chain = queue.pop();
  ASSERT_FALSE(chain);
  EXPECT_EQ(chain.error().why, GetParam().why);
}

constexpr uint64_t kBuffer = 0x10000;
INSTANTIATE_TEST_SUITE_P(
    All, MalformedQueue,
    ::testing::Values(
        Malformed{"OutsideRam", {0x3fff9, 8, 0, 0}, "buffer outside RAM"},
        Malformed{"Wrapping", {~0ull - 3, 8, 0, 0}, "buffer outside RAM"},
        Malformed{"NextOutOfRange", {kBuffer, 8, kNext, 8}, "descriptor index out of range"},
        Malformed{"Loop", {kBuffer, 8, kNext, 1}, "descriptor chain loops"},
        Malformed{"SelfLoop", {kBuffer, 8, kNext, 0}, "descriptor chain loops"},
        Malformed{"ReadableBehindWritable",
                  {kBuffer, 8, kNext | kWrite, 2},
                  "readable buffer behind a writable one"},
        Malformed{"IndirectWithNext",
                  {kBuffer, 16, kIndirect | kNext, 2},
                  "indirect descriptor with a successor"},
        Malformed{"IndirectOddSize", {kBuffer, 17, kIndirect, 0}, "bad indirect table size"},
        Malformed{"IndirectEmpty", {kBuffer, 0, kIndirect, 0}, "bad indirect table size"},
        Malformed{
            "IndirectHuge", {kBuffer, 0x10010 * 16u, kIndirect, 0}, "bad indirect table size"},
        Malformed{"IndirectOutsideRam", {0x3fff8, 16, kIndirect, 0}, "indirect table outside RAM"}),
    [](const auto& tested) { return tested.param.name; });

TEST(Queue, RefusesNestedIndirectTablesAndTooManyChains) {
  Driver driver;
  Queue queue = driver.queue();
  ASSERT_TRUE(driver.memory().store(Gpa{0x5000}, Descriptor{0x6000, 16, kIndirect, 0}));
  driver.describe(0, {0x5000, 16, kIndirect, 0});
  driver.make_available(0);
  EXPECT_FALSE(queue.pop());

  Driver eager;
  Queue flooded = eager.queue();
  ASSERT_TRUE(eager.memory().store<uint16_t>(Driver::kAvailable + 2, Driver::kSize + 1));
  const auto chain = flooded.pop();
  ASSERT_FALSE(chain);
  EXPECT_EQ(chain.error().why, "more chains available than the queue holds");
}

// A table that names the same memory again and again asks for more than there is of it.
TEST(Queue, BoundsTheBytesOfAChain) {
  constexpr uint32_t kPiece = 0x40000, kMost = kMaxChainBytes / kPiece;
  for (const uint32_t count : {kMost, kMost + 1}) {
    Driver driver;
    Queue queue = driver.queue();
    for (uint32_t i = 0; i < count; ++i) {
      const bool last = i + 1 == count;
      (void)driver.memory().store(Gpa{0x5000 + i * 16},
                                  Descriptor{0, kPiece, static_cast<uint16_t>(last ? 0 : kNext),
                                             static_cast<uint16_t>(i + 1)});
    }
    driver.describe(0, {0x5000, count * 16, kIndirect, 0});
    driver.make_available(0);
    const auto chain = queue.pop();
    EXPECT_EQ(chain.has_value(), count == kMost);
    EXPECT_TRUE(chain || chain.error().why == "descriptor chain too large");
  }
}

TEST(Queue, IndicesWrapAround) {
  Driver driver;
  Queue queue = driver.queue();
  driver.describe(3, {Driver::kBuffers.value, 8, kWrite, 0});
  for (uint32_t i = 0; i < 0x10000 + 5; ++i) {
    driver.make_available(3);
    const auto chain = queue.pop();
    ASSERT_TRUE(chain && *chain) << i;
    ASSERT_TRUE(queue.push(**chain, 1));
    ASSERT_TRUE(queue.needs_interrupt());
  }
  EXPECT_EQ(driver.used_index(), 5);
}

// A machine that is saved by its dirty pages must not lose what the device asked of the driver.
TEST(Queue, WhatTheDeviceWritesIsDirty) {
  Driver driver;
  Queue queue = driver.queue(true);
  driver.describe(0, {Driver::kBuffers.value, 8, kWrite, 0});
  ASSERT_TRUE(driver.memory().enable_dirty_tracking());
  driver.make_available(0);
  const auto chain = queue.pop();
  (void)driver.memory().take_dirty_pages().value();
  ASSERT_TRUE(queue.push(**chain, 8));
  EXPECT_EQ(driver.memory().take_dirty_pages().value(),
            (std::vector<Gpa>{Driver::kUsed, Driver::kBuffers}));
  EXPECT_TRUE(queue.arm_notification());
  EXPECT_EQ(driver.memory().take_dirty_pages().value(), std::vector<Gpa>{Driver::kUsed});
  EXPECT_EQ(*driver.memory().load<uint16_t>(Driver::kUsed + 4 + Driver::kSize * 8), 1);
}

TEST(Queue, RefusesBadRings) {
  Driver driver;
  const auto create = [&](uint16_t size, uint64_t descriptors, uint64_t available, uint64_t used) {
    return Queue::create(driver.memory(),
                         {size, Gpa{descriptors}, Gpa{available}, Gpa{used}, true, true});
  };
  EXPECT_TRUE(create(8, 0x1000, 0x2000, 0x3000));
  EXPECT_FALSE(create(0, 0x1000, 0x2000, 0x3000));
  EXPECT_FALSE(create(6, 0x1000, 0x2000, 0x3000));
  EXPECT_FALSE(create(512, 0x1000, 0x2000, 0x3000));
  EXPECT_FALSE(create(8, 0x1008, 0x2000, 0x3000));
  EXPECT_FALSE(create(8, 0x1000, 0x2001, 0x3000));
  EXPECT_FALSE(create(8, 0x1000, 0x2000, 0x3002));
  EXPECT_FALSE(create(8, 0x3fff0, 0x2000, 0x3000));
  EXPECT_FALSE(create(8, ~0ull & ~15ull, 0x2000, 0x3000));
}

}  // namespace
}  // namespace husk::virtio
