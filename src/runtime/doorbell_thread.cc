#include "runtime/doorbell_thread.h"

#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include <array>
#include <chrono>

#include "base/log.h"
#include "base/try.h"

namespace husk::runtime {
namespace {

constexpr uint64_t kOrders = ~uint64_t{0};  // the index of the eventfd that is no bell

Result<base::Fd> make_eventfd() {
  base::Fd fd(::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK));
  if (!fd.valid()) return fail_errno("doorbell", "cannot make an eventfd");
  return fd;
}

// How often it has been signalled since the last call.
uint64_t take(const base::Fd& eventfd) {
  uint64_t count = 0;
  return ::read(eventfd.get(), &count, sizeof(count)) == sizeof(count) ? count : 0;
}

}  // namespace

Result<std::unique_ptr<DoorbellThread>> DoorbellThread::create() {
  std::unique_ptr<DoorbellThread> made(new DoorbellThread);
  made->epoll_ = base::Fd(::epoll_create1(EPOLL_CLOEXEC));
  if (!made->epoll_.valid()) return fail_errno("doorbells", "cannot make an epoll descriptor");
  made->ordered_ = HUSK_TRY(make_eventfd());
  HUSK_TRY(made->watch(made->ordered_.get(), kOrders));
  return made;
}

DoorbellThread::~DoorbellThread() { finish(); }

Result<void> DoorbellThread::watch(int fd, uint64_t index) {
  epoll_event event{};
  event.events = EPOLLIN;
  event.data.u64 = index;
  if (::epoll_ctl(epoll_.get(), EPOLL_CTL_ADD, fd, &event) != 0)
    return fail_errno("doorbell", "cannot be watched");
  return {};
}

Result<int> DoorbellThread::add(contract::IoHandler& handler, uint64_t offset, uint32_t size,
                                uint64_t value) {
  base::Fd eventfd = HUSK_TRY(make_eventfd());
  HUSK_TRY(watch(eventfd.get(), bells_.size()));
  bells_.push_back({std::move(eventfd), &handler, offset, size, value});
  return bells_.back().eventfd.get();
}

void DoorbellThread::start() {
  running_ = true;
  thread_ = std::thread([this] { run(); });
}

// With mutex_ held.
void DoorbellThread::give(Order order) {
  order_ = order;
  ++orders_;
  parked_ = false;
  ::eventfd_write(ordered_.get(), 1);
  changed_.notify_all();
}

bool DoorbellThread::park(uint64_t timeout_ns) {
  std::unique_lock lock(mutex_);
  if (order_ != Order::kFinish) give(Order::kPark);
  if (changed_.wait_for(lock, std::chrono::nanoseconds(timeout_ns),
                        [&] { return parked_ || !running_; }))
    return true;
  if (order_ == Order::kPark) give(Order::kRun);
  return false;
}

void DoorbellThread::unpark() {
  const std::lock_guard lock(mutex_);
  if (order_ == Order::kPark) give(Order::kRun);
}

void DoorbellThread::finish() {
  {
    const std::lock_guard lock(mutex_);
    give(Order::kFinish);
  }
  if (thread_.joinable()) thread_.join();
}

void DoorbellThread::answer(const Bell& bell) {
  const uint64_t rings = take(bell.eventfd);
  if (rings == 0) return;
  rings_ += rings;
  ++writes_;
  bell.handler->write(bell.offset, bell.size, bell.value);
}

void DoorbellThread::answer_all() {
  for (const Bell& bell : bells_) answer(bell);
}

void DoorbellThread::run() {
  std::array<epoll_event, 16> events;
  for (bool go_on = true; go_on;) {
    const int count = ::epoll_wait(epoll_.get(), events.data(), events.size(), -1);
    for (int i = 0; i < count; ++i) {
      const uint64_t index = events[static_cast<size_t>(i)].data.u64;
      if (index == kOrders) {
        go_on = obey();
      } else {
        answer(bells_[index]);
      }
    }
  }
  base::log(base::LogLevel::kDebug, "doorbells: {} rings, answered by {} writes", rings_, writes_);
}

// An order may be followed by the next while this one is carried out: only what the last one was
// counts, and what rang before it.
bool DoorbellThread::obey() {
  std::unique_lock lock(mutex_);
  (void)take(ordered_);
  while (order_ != Order::kRun) {
    const uint64_t order = orders_;
    lock.unlock();
    answer_all();
    lock.lock();
    if (orders_ != order) continue;
    running_ = order_ != Order::kFinish;
    parked_ = running_;
    changed_.notify_all();
    if (!running_) return false;
    changed_.wait(lock, [&] { return orders_ != order; });
  }
  return true;
}

}  // namespace husk::runtime
