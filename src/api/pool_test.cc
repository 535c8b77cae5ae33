#include "husk/pool.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <atomic>
#include <future>
#include <optional>
#include <set>
#include <thread>
#include <vector>

namespace husk::pool {
namespace {

using namespace std::chrono_literals;
using ::testing::HasSubstr;

constexpr auto kPatience = 20s;  // for what happens at once, on a host that has other things to do

// Stands still until a test moves it. Who waits looks at it every millisecond.
class FakeClock : public Clock {
 public:
  uint64_t now_ns() const override { return now_.load(); }
  void wait(std::unique_lock<std::mutex>& lock, std::condition_variable& changed,
            uint64_t) override {
    changed.wait_for(lock, 1ms);
  }
  void advance(std::chrono::nanoseconds time) { now_ += static_cast<uint64_t>(time.count()); }

 private:
  std::atomic<uint64_t> now_{1'000'000'000};
};

// Counts those that there are.
struct Machine {
  Machine(int made_as, std::atomic<int>& living) : number(made_as), alive(living) { ++alive; }
  ~Machine() { --alive; }
  const int number;
  std::atomic<int>& alive;
};

class PoolTest : public ::testing::Test {
 protected:
  ~PoolTest() override {
    hold(false);
    pool_.reset();
    EXPECT_EQ(alive_, 0);
  }
  Result<std::unique_ptr<Machine>> make() {
    std::unique_lock lock(mutex_);
    held_.wait(lock, [&] { return !hold_; });
    ++tries_;
    if (broken_) return fail(ErrorKind::kBackend, "factory", "is broken");
    auto machine = std::make_unique<Machine>(++made_, alive_);
    most_ = std::max(most_, alive_.load());
    return machine;
  }
  void start(const Options& options) {
    auto pool = Pool<Machine>::create(options, [this] { return make(); }, clock_);
    ASSERT_TRUE(pool);
    pool_.emplace(std::move(*pool));
  }
  // Makers stand still in the factory.
  void hold(bool on) {
    const std::lock_guard lock(mutex_);
    hold_ = on;
    held_.notify_all();
  }
  void break_it(bool on) {
    const std::lock_guard lock(mutex_);
    broken_ = on;
  }
  int tries() {
    const std::lock_guard lock(mutex_);
    return tries_;
  }
  // Until it is so.
  template <class Condition>
  [[nodiscard]] static bool comes(Condition condition) {
    const auto until = std::chrono::steady_clock::now() + kPatience;
    while (!condition()) {
      if (std::chrono::steady_clock::now() > until) return false;
      std::this_thread::sleep_for(1ms);
    }
    return true;
  }
  [[nodiscard]] bool counts_become(const Counts& counts) {
    return comes([&] { return pool_->counts() == counts; });
  }
  auto acquire_later() {
    return std::async(std::launch::async, [this] { return pool_->acquire(); });
  }

  std::shared_ptr<FakeClock> clock_ = std::make_shared<FakeClock>();
  std::atomic<int> alive_{0};
  std::mutex mutex_;
  std::condition_variable held_;
  int made_ = 0, tries_ = 0, most_ = 0;
  bool hold_ = false, broken_ = false;
  std::optional<Pool<Machine>> pool_;
};

TEST_F(PoolTest, ReadiesTheLeastAheadAndNoMore) {
  start({.min = 3, .max = 5});
  EXPECT_TRUE(counts_become({.ready = 3}));
  EXPECT_EQ(tries(), 3);
}

TEST_F(PoolTest, WhatWasReleasedIsNeverHandedOutAgain) {
  start({.min = 1, .max = 2});
  std::set<int> seen;
  for (int i = 0; i < 20; ++i) {
    auto machine = pool_->acquire();
    ASSERT_TRUE(machine);
    EXPECT_TRUE(seen.insert((*machine)->number).second);
  }
  EXPECT_TRUE(counts_become({.ready = 1}));
  EXPECT_EQ(alive_, 1);
}

TEST_F(PoolTest, ThereAreNeverMoreThanTheMost) {
  start({.min = 1, .max = 3, .makers = 4});
  std::vector<std::thread> users;
  for (int user = 0; user < 8; ++user) {
    users.emplace_back([&] {
      for (int i = 0; i < 30; ++i) EXPECT_TRUE(pool_->acquire());
    });
  }
  for (std::thread& user : users) user.join();
  const std::lock_guard lock(mutex_);
  EXPECT_LE(most_, 3);
}

TEST_F(PoolTest, WhoWaitsTooLongIsToldSo) {
  start({.min = 0, .max = 1, .acquire_timeout = 10s});
  auto first = pool_->acquire();
  ASSERT_TRUE(first);
  auto second = acquire_later();
  EXPECT_TRUE(counts_become({.out = 1, .waiting = 1}));
  clock_->advance(9s);
  EXPECT_EQ(second.wait_for(50ms), std::future_status::timeout);
  clock_->advance(1s);
  const auto late = second.get();
  ASSERT_FALSE(late);
  EXPECT_EQ(late.error().kind, ErrorKind::kTimeout);
  EXPECT_EQ(late.error().message(),
            "pool: no machine became ready within 10 s; 1 of at most 1 are in use");
  first->release();
  EXPECT_TRUE(pool_->acquire());
}

TEST_F(PoolTest, ARelaseServesWhoWaitsInOrder) {
  start({.min = 0, .max = 1});
  std::optional first = pool_->acquire();
  std::vector<int> order;
  std::mutex order_mutex;
  std::vector<std::thread> users;
  for (int user = 0; user < 4; ++user) {
    users.emplace_back([&, user] {
      const auto machine = pool_->acquire();
      const std::lock_guard lock(order_mutex);
      order.push_back(machine ? user : -1);
    });
    ASSERT_TRUE(counts_become({.out = 1, .waiting = static_cast<size_t>(user) + 1}));
  }
  first.reset();
  for (std::thread& user : users) user.join();
  EXPECT_THAT(order, ::testing::ElementsAre(0, 1, 2, 3));
}

TEST_F(PoolTest, ReadyOnesAboveTheLeastGoWhenNobodyWantsThem) {
  start({.min = 1, .max = 4, .idle_timeout = 60s, .acquire_timeout = 1s});
  EXPECT_TRUE(counts_become({.ready = 1}));
  hold(true);
  auto used = pool_->acquire();
  auto impatient = acquire_later(), other = acquire_later();
  EXPECT_TRUE(counts_become({.making = 1, .out = 1, .waiting = 2}));
  clock_->advance(1s);
  EXPECT_FALSE(impatient.get());
  EXPECT_FALSE(other.get());
  auto again = acquire_later();
  EXPECT_TRUE(counts_become({.making = 1, .out = 1, .waiting = 1}));
  hold(false);
  EXPECT_TRUE(again.get());
  EXPECT_TRUE(comes([&] { return pool_->counts().ready >= 1; }));
  const size_t ready = pool_->counts().ready;
  clock_->advance(59s);
  std::this_thread::sleep_for(20ms);
  EXPECT_EQ(pool_->counts().ready, ready) << "not yet";
  clock_->advance(1s);
  EXPECT_TRUE(comes([&] { return pool_->counts() == Counts{.ready = 1, .out = 1}; }));
}

TEST_F(PoolTest, AFactoryThatFailsIsHeardByWhoWaits) {
  break_it(true);
  start({.min = 0, .max = 2});
  const auto machine = pool_->acquire();
  ASSERT_FALSE(machine);
  EXPECT_EQ(machine.error().message(), "factory: is broken");
  EXPECT_TRUE(counts_become({}));
  break_it(false);
  EXPECT_TRUE(pool_->acquire());
}

TEST_F(PoolTest, AFactoryThatFailsAheadIsTriedAgainEverMoreSeldom) {
  break_it(true);
  start({.min = 1, .max = 2});
  for (int expected = 1, seconds = 1; expected < 5; ++expected, seconds *= 2) {
    ASSERT_TRUE(comes([&] { return tries() == expected; }));
    ASSERT_TRUE(counts_become({}));
    std::this_thread::sleep_for(10ms);
    EXPECT_EQ(tries(), expected);
    clock_->advance(std::chrono::seconds(seconds));
  }
  break_it(false);
  EXPECT_TRUE(pool_->acquire()) << "at once, when somebody waits";
}

TEST_F(PoolTest, ItsEndWaitsForWhatIsBeingMadeAndEndsWhoWaits) {
  hold(true);
  start({.min = 1, .max = 1});
  EXPECT_TRUE(counts_become({.making = 1}));
  auto waiter = acquire_later();
  EXPECT_TRUE(counts_become({.making = 1, .waiting = 1}));
  std::thread opener([&] {
    const auto refused = waiter.get();
    ASSERT_FALSE(refused);
    EXPECT_EQ(refused.error().kind, ErrorKind::kState);
    hold(false);
  });
  pool_.reset();
  opener.join();
  EXPECT_EQ(alive_, 0);
}

TEST_F(PoolTest, AMachineMayOutliveThePool) {
  start({.min = 2, .max = 4});
  {
    const auto machine = pool_->acquire();
    ASSERT_TRUE(machine);
    pool_.reset();
    EXPECT_EQ(alive_, 1);
  }
  EXPECT_EQ(alive_, 0);
}

TEST_F(PoolTest, AMoreRecentOneReplacesAnother) {
  start({.min = 0, .max = 4});
  auto one = pool_->acquire();
  auto two = pool_->acquire();
  ASSERT_TRUE(one && two);
  const int number = (*two)->number;
  *one = std::move(*two);
  EXPECT_EQ((*one)->number, number);
  EXPECT_TRUE(counts_become({.out = 1}));
}

TEST(Options, ThatMakeNoSenseAreRefused) {
  const auto why = [](const Options& options) {
    const auto pool =
        Pool<int>::create(options, []() -> Result<std::unique_ptr<int>> { return nullptr; });
    return pool ? std::string() : pool.error().message();
  };
  EXPECT_THAT(why({.min = 0, .max = 0}), HasSubstr("max: must be 1 at least"));
  EXPECT_THAT(why({.min = 3, .max = 2}), HasSubstr("min: must not be more than max"));
  EXPECT_THAT(why({.makers = 0}), HasSubstr("makers"));
  EXPECT_THAT(why({.idle_timeout = -1ns}), HasSubstr("idle_timeout"));
  EXPECT_THAT(why({.acquire_timeout = -1ns}), HasSubstr("acquire_timeout"));
}

}  // namespace
}  // namespace husk::pool
