// What a pool of machines does, whatever they are: include/husk/pool.h.
#include "husk/pool.h"

#include <fmt/core.h>

#include <algorithm>
#include <deque>
#include <optional>
#include <set>
#include <thread>
#include <vector>

#include "base/clock.h"

namespace husk::pool {
namespace {

using detail::Core;
using Machine = Core::Machine;

constexpr uint64_t kNever = ~0ULL;
// How long a factory that failed is left alone if nobody waits for what it makes.
constexpr uint64_t kFirstRetryNs = 1'000'000'000;
constexpr uint64_t kLastRetryNs = 60'000'000'000;

class HostClock final : public Clock {
 public:
  uint64_t now_ns() const override { return base::monotonic_ns(); }
  void wait(std::unique_lock<std::mutex>& lock, std::condition_variable& changed,
            uint64_t until_ns) override {
    if (until_ns == kNever) return changed.wait(lock);
    const uint64_t now = now_ns();
    if (now < until_ns) changed.wait_for(lock, std::chrono::nanoseconds(until_ns - now));
  }
};

uint64_t nanoseconds(std::chrono::nanoseconds time) { return static_cast<uint64_t>(time.count()); }

class PoolCore final : public Core {
 public:
  PoolCore(const Options& options, Factory factory, std::shared_ptr<Clock> clock)
      : options_(options), factory_(std::move(factory)), clock_(std::move(clock)) {
    for (unsigned i = 0; i < options_.makers; ++i) makers_.emplace_back([this] { work(); });
  }
  ~PoolCore() override { close(); }

  Result<Machine> acquire() override {
    std::unique_lock lock(mutex_);
    const uint64_t ticket = ++last_ticket_;
    const uint64_t failures = failures_;
    const uint64_t until = clock_->now_ns() + nanoseconds(options_.acquire_timeout);
    waiting_.insert(ticket);
    changed_.notify_all();
    while (!closed_ && !may_take(ticket) && failures_ == failures && clock_->now_ns() < until)
      clock_->wait(lock, changed_, until);
    auto outcome = closed_                 ? closed_error()
                   : may_take(ticket)      ? Result<Machine>(take())
                   : failures_ != failures ? Result<Machine>(std::unexpected(*last_error_))
                                           : timeout_error();
    waiting_.erase(ticket);
    changed_.notify_all();
    return outcome;
  }

  void release(Machine machine) override {
    const std::lock_guard lock(mutex_);
    --out_;
    if (closed_) return;  // the caller's reference was the last one
    ending_.push_back(std::move(machine));
    changed_.notify_all();
  }

  // Once nobody is in acquire() any more, and nobody calls it.
  void close() override {
    std::unique_lock lock(mutex_);
    closed_ = true;
    changed_.notify_all();
    changed_.wait(lock, [&] { return waiting_.empty(); });
    lock.unlock();
    for (std::thread& maker : makers_) {
      if (maker.joinable()) maker.join();
    }
    ready_.clear();
    ending_.clear();
  }

  Counts counts() const override {
    const std::lock_guard lock(mutex_);
    return {ready_.size(), making_, out_, ending_.size() + being_ended_, waiting_.size()};
  }

 private:
  struct Ready {
    Machine machine;
    uint64_t since_ns;
  };

  [[nodiscard]] bool may_take(uint64_t ticket) const {
    return !ready_.empty() && *waiting_.begin() == ticket;
  }
  // The newest: the others may go when they are not wanted.
  [[nodiscard]] Machine take() {
    Machine machine = std::move(ready_.back().machine);
    ready_.pop_back();
    ++out_;
    return machine;
  }
  static Result<Machine> closed_error() {
    return fail(ErrorKind::kState, "pool", "it is being brought down");
  }
  [[nodiscard]] Result<Machine> timeout_error() const {
    const auto waited = std::chrono::duration<double>(options_.acquire_timeout).count();
    return fail(ErrorKind::kTimeout, "pool",
                fmt::format("no machine became ready within {} s; {} of at most {} are in use",
                            waited, out_, options_.max));
  }

  // A maker's thread.
  void work() {
    std::unique_lock lock(mutex_);
    while (!closed_) {
      const uint64_t now = clock_->now_ns();
      expire(now);
      if (!ending_.empty()) {
        end_one(lock);
      } else if (wants_more(now)) {
        make_one(lock);
      } else {
        clock_->wait(lock, changed_, next_event());
      }
    }
  }

  void expire(uint64_t now) {
    while (ready_.size() > options_.min && expiry() <= now) {
      ending_.push_back(std::move(ready_.front().machine));
      ready_.pop_front();
    }
  }
  [[nodiscard]] uint64_t expiry() const {
    return ready_.front().since_ns + nanoseconds(options_.idle_timeout);
  }
  [[nodiscard]] size_t present() const {
    return ready_.size() + making_ + out_ + ending_.size() + being_ended_;
  }
  [[nodiscard]] bool wants_more(uint64_t now) const {
    const size_t coming = ready_.size() + making_;
    if (present() >= options_.max) return false;
    return coming < waiting_.size() || (coming < options_.min && now >= retry_at_);
  }
  [[nodiscard]] uint64_t next_event() const {
    uint64_t next = kNever;
    if (ready_.size() > options_.min) next = expiry();
    if (ready_.size() + making_ < options_.min && present() < options_.max)
      next = std::min(next, retry_at_);
    return next;
  }

  void end_one(std::unique_lock<std::mutex>& lock) {
    Machine machine = std::move(ending_.front());
    ending_.pop_front();
    ++being_ended_;
    lock.unlock();
    machine.reset();
    lock.lock();
    --being_ended_;
    changed_.notify_all();
  }

  void make_one(std::unique_lock<std::mutex>& lock) {
    ++making_;
    lock.unlock();
    auto made = factory_();
    lock.lock();
    --making_;
    const uint64_t now = clock_->now_ns();
    if (made) {
      ready_.push_back({std::move(*made), now});
      retry_in_ = kFirstRetryNs;
      retry_at_ = 0;
    } else {
      ++failures_;
      last_error_ = std::move(made.error());
      retry_at_ = now + retry_in_;
      retry_in_ = std::min(2 * retry_in_, kLastRetryNs);
    }
    changed_.notify_all();
  }

  const Options options_;
  const Factory factory_;
  const std::shared_ptr<Clock> clock_;
  mutable std::mutex mutex_;
  std::condition_variable changed_;
  std::deque<Ready> ready_;  // the oldest first
  std::deque<Machine> ending_;
  std::set<uint64_t> waiting_;  // by ticket
  uint64_t last_ticket_ = 0, failures_ = 0;
  std::optional<Error> last_error_;
  uint64_t retry_at_ = 0, retry_in_ = kFirstRetryNs;
  size_t making_ = 0, out_ = 0, being_ended_ = 0;
  bool closed_ = false;
  std::vector<std::thread> makers_;
};

Result<void> check(const Options& options) {
  const auto wrong = [](const char* what, const char* why) {
    return fail(ErrorKind::kInvalidArgument, std::string("pool's ") + what, why);
  };
  if (options.max == 0) return wrong("max", "must be 1 at least");
  if (options.min > options.max) return wrong("min", "must not be more than max");
  if (options.makers == 0) return wrong("makers", "must be 1 at least");
  if (options.idle_timeout.count() < 0) return wrong("idle_timeout", "must not be negative");
  if (options.acquire_timeout.count() < 0) return wrong("acquire_timeout", "must not be negative");
  return {};
}

}  // namespace

Result<std::shared_ptr<Core>> Core::create(const Options& options, Factory factory,
                                           std::shared_ptr<Clock> clock) {
  if (auto checked = check(options); !checked) return std::unexpected(std::move(checked.error()));
  if (clock == nullptr) clock = std::make_shared<HostClock>();
  return std::make_shared<PoolCore>(options, std::move(factory), std::move(clock));
}

}  // namespace husk::pool
