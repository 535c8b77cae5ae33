#include "runtime/doorbell_thread.h"

#include <gtest/gtest.h>
#include <sys/eventfd.h>

#include <atomic>
#include <chrono>
#include <filesystem>
#include <functional>
#include <latch>
#include <tuple>

namespace husk::runtime {
namespace {

using namespace std::chrono_literals;  // NOLINT(google-build-using-namespace)
constexpr uint64_t kLong = 20'000'000'000, kShort = 20'000'000;

// Notes writes; may do something within one.
class Chip : public contract::IoHandler {
 public:
  [[nodiscard]] std::string_view name() const override { return "chip"; }
  uint64_t read(uint64_t, uint32_t) override { return 0; }
  void write(uint64_t offset, uint32_t size, uint64_t value) override {
    if (within) within();
    const std::lock_guard lock(mutex_);
    writes_.emplace_back(offset, size, value);
    changed_.notify_all();
  }
  // Whether there are so many, soon.
  bool wait_for(size_t count) {
    std::unique_lock lock(mutex_);
    return changed_.wait_for(lock, 20s, [&] { return writes_.size() >= count; });
  }
  size_t count() {
    const std::lock_guard lock(mutex_);
    return writes_.size();
  }
  using Write = std::tuple<uint64_t, uint32_t, uint64_t>;
  std::vector<Write> writes() {
    const std::lock_guard lock(mutex_);
    return writes_;
  }

  std::function<void()> within;

 private:
  std::mutex mutex_;
  std::condition_variable changed_;
  std::vector<Write> writes_;
};

void ring(int bell) { ASSERT_EQ(::eventfd_write(bell, 1), 0); }

class Doorbells : public ::testing::Test {
 protected:
  int add(uint64_t value = 0) { return *thread_->add(chip_, 0x50, 4, value); }

  Chip chip_;
  std::unique_ptr<DoorbellThread> thread_ = *DoorbellThread::create();
};

TEST_F(Doorbells, ARingIsTheWriteThatItStandsFor) {
  const int first = add(3), second = add(7);
  thread_->start();
  ring(second);
  ASSERT_TRUE(chip_.wait_for(1));
  ring(first);
  ASSERT_TRUE(chip_.wait_for(2));
  thread_->finish();
  EXPECT_EQ(chip_.writes(), (std::vector<Chip::Write>{{0x50, 4, 7}, {0x50, 4, 3}}));
}

TEST_F(Doorbells, RingsWhileItIsBusyAreOneMoreWrite) {
  const int bell = add();
  std::latch inside(1), go_on(1);
  chip_.within = [&, first = true]() mutable {
    if (!std::exchange(first, false)) return;
    inside.count_down();
    go_on.wait();
  };
  thread_->start();
  ring(bell);
  inside.wait();
  for (int i = 0; i < 5; ++i) ring(bell);
  go_on.count_down();
  ASSERT_TRUE(chip_.wait_for(2));
  thread_->finish();
  EXPECT_EQ(chip_.count(), 2U);
}

TEST_F(Doorbells, ParkedItAnswersNothingUntilItGoesOn) {
  const int bell = add();
  thread_->start();
  ASSERT_TRUE(thread_->park(kLong));
  ring(bell);
  std::this_thread::sleep_for(30ms);
  EXPECT_EQ(chip_.count(), 0U);
  thread_->unpark();
  EXPECT_TRUE(chip_.wait_for(1));
}

TEST_F(Doorbells, WhatRangBeforeIsAnsweredWhenItHasParked) {
  std::vector<int> bells;
  for (uint64_t value = 0; value < 40; ++value) bells.push_back(add(value));
  thread_->start();
  for (size_t round = 1; round <= 200; ++round) {
    for (const int bell : bells) ring(bell);
    ASSERT_TRUE(thread_->park(kLong));
    EXPECT_EQ(chip_.count(), round * bells.size());
    thread_->unpark();
  }
}

TEST_F(Doorbells, ParkingWaitsForTheWriteThatIsUnderWay) {
  const int bell = add();
  std::latch inside(1), go_on(1);
  chip_.within = [&] {
    inside.count_down();
    go_on.wait();
  };
  thread_->start();
  ring(bell);
  inside.wait();
  EXPECT_FALSE(thread_->park(kShort)) << "it is at work";
  go_on.count_down();
  ASSERT_TRUE(chip_.wait_for(1)) << "and has not parked afterwards";
  chip_.within = nullptr;
  ring(bell);
  EXPECT_TRUE(chip_.wait_for(2));
  EXPECT_TRUE(thread_->park(kLong));
}

TEST_F(Doorbells, FinishingAnswersWhatHasRungAndNothingAfterwards) {
  const int bell = add();
  for (const bool parked : {false, true}) {
    chip_.within = [] { std::this_thread::sleep_for(1ms); };
    const auto thread = std::move(*DoorbellThread::create());
    const int own = *thread->add(chip_, 0, 4, 0);
    thread->start();
    if (parked) {
      ASSERT_TRUE(thread->park(kLong));
    }
    const size_t before = chip_.count();
    ring(own);
    thread->finish();
    EXPECT_EQ(chip_.count(), before + 1);
    ring(own);
    std::this_thread::sleep_for(5ms);
    EXPECT_EQ(chip_.count(), before + 1);
    EXPECT_TRUE(thread->park(kShort)) << "nobody is left who could do something";
    thread->unpark();
    thread->finish();
  }
  ring(bell);
  EXPECT_TRUE(thread_->park(kShort)) << "one that never started is at rest as well";
}

TEST_F(Doorbells, OrdersFollowEachOtherWithoutABreak) {
  const int bell = add();
  thread_->start();
  std::atomic<bool> stop{false};
  std::thread ringer([&] {
    while (!stop) ring(bell);
  });
  for (int round = 0; round < 2000; ++round) {
    ASSERT_TRUE(thread_->park(kLong));
    const size_t before = chip_.count();
    if (round % 20 == 0) std::this_thread::sleep_for(100us);
    EXPECT_EQ(chip_.count(), before);
    thread_->unpark();
  }
  stop = true;
  ringer.join();
}

size_t open_descriptors() {
  const std::filesystem::directory_iterator all("/proc/self/fd");
  return static_cast<size_t>(std::distance(begin(all), end(all)));
}

TEST_F(Doorbells, LeavesNoDescriptor) {
  const size_t before = open_descriptors();
  for (const bool started : {false, true}) {
    const auto thread = std::move(*DoorbellThread::create());
    for (int i = 0; i < 10; ++i) ASSERT_TRUE(thread->add(chip_, 0, 4, 0));
    EXPECT_EQ(open_descriptors(), before + 12);
    if (started) thread->start();
  }
  EXPECT_EQ(open_descriptors(), before);
}

}  // namespace
}  // namespace husk::runtime
