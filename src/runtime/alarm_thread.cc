#include "runtime/alarm_thread.h"

#include <algorithm>
#include <chrono>

#include "base/clock.h"

namespace husk::runtime {

class AlarmThread::Entry : public contract::Alarm {
 public:
  Entry(AlarmThread& thread, std::function<void()> callback)
      : thread_(thread), callback_(std::move(callback)) {}
  ~Entry() override {
    std::unique_lock lock(thread_.mutex_);
    thread_.remove(*this);
    thread_.idle_.wait(lock, [&] { return thread_.running_ != this; });
  }
  void set(uint64_t deadline_ns) override { thread_.set(*this, deadline_ns); }
  void cancel() override {
    const std::lock_guard lock(thread_.mutex_);
    thread_.remove(*this);
  }
  void fire() { callback_(); }

 private:
  AlarmThread& thread_;
  std::function<void()> callback_;
};

AlarmThread::AlarmThread() : thread_([this] { run(); }) {}

AlarmThread::~AlarmThread() {
  {
    const std::lock_guard lock(mutex_);
    stopping_ = true;
  }
  changed_.notify_one();
  thread_.join();
}

std::unique_ptr<contract::Alarm> AlarmThread::create_alarm(std::function<void()> callback) {
  return std::make_unique<Entry>(*this, std::move(callback));
}

void AlarmThread::remove(Entry& entry) {
  std::erase_if(queue_, [&](const auto& item) { return item.second == &entry; });
}

void AlarmThread::set(Entry& entry, uint64_t deadline_ns) {
  {
    const std::lock_guard lock(mutex_);
    remove(entry);
    queue_.emplace(deadline_ns, &entry);
  }
  changed_.notify_one();
}

void AlarmThread::run() {
  std::unique_lock lock(mutex_);
  while (!stopping_) {
    if (queue_.empty()) {
      changed_.wait(lock);
      continue;
    }
    const auto first = queue_.begin();
    if (first->first > base::monotonic_ns()) {
      changed_.wait_until(
          lock, std::chrono::steady_clock::time_point(std::chrono::nanoseconds(first->first)));
      continue;
    }
    running_ = first->second;
    queue_.erase(first);
    lock.unlock();
    running_->fire();
    lock.lock();
    running_ = nullptr;
    idle_.notify_all();
  }
}

}  // namespace husk::runtime
