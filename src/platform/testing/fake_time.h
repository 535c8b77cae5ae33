// Time for tests: a clock that stands until it is moved, and alarms that ring while it moves. Chips
// take their clocks as plain functions, so there is one time for all; a new FakeTime starts it
// anew.
#pragma once

#include <algorithm>
#include <limits>
#include <utility>
#include <vector>

#include "contract/alarm.h"

namespace husk::platform::testing {

class FakeTime : public contract::AlarmFactory {
 public:
  static constexpr uint64_t kNever = std::numeric_limits<uint64_t>::max();

  explicit FakeTime(uint64_t start_ns = 0) { now_ = start_ns; }

  [[nodiscard]] static uint64_t clock() { return now_; }
  [[nodiscard]] uint64_t rings() const { return rings_; }
  [[nodiscard]] bool armed() const { return next() != nullptr; }

  // Rings what falls due on the way, each at its own moment.
  void advance(uint64_t ns) { advance_to(now_ + ns); }
  void advance_to(uint64_t target) {
    for (FakeAlarm* due = next(); due != nullptr && due->deadline <= target; due = next()) {
      now_ = std::max(now_, due->deadline);
      due->deadline = kNever;
      ++rings_;
      due->callback();
    }
    now_ = target;
  }
  // Time passes and nothing rings until later: a host that was busy.
  void stall(uint64_t ns) { now_ += ns; }

  std::unique_ptr<contract::Alarm> create_alarm(std::function<void()> callback) override {
    auto alarm = std::make_unique<FakeAlarm>(*this, std::move(callback));
    alarms_.push_back(alarm.get());
    return alarm;
  }

 private:
  struct FakeAlarm : contract::Alarm {
    FakeAlarm(FakeTime& t, std::function<void()> c) : time(t), callback(std::move(c)) {}
    ~FakeAlarm() override { std::erase(time.alarms_, this); }
    void set(uint64_t deadline_ns) override { deadline = deadline_ns; }
    void cancel() override { deadline = kNever; }

    FakeTime& time;
    std::function<void()> callback;
    uint64_t deadline = kNever;
  };

  [[nodiscard]] FakeAlarm* next() const {
    const auto first =
        std::min_element(alarms_.begin(), alarms_.end(),
                         [](FakeAlarm* a, FakeAlarm* b) { return a->deadline < b->deadline; });
    return first == alarms_.end() || (*first)->deadline == kNever ? nullptr : *first;
  }

  static inline uint64_t now_ = 0;
  uint64_t rings_ = 0;
  std::vector<FakeAlarm*> alarms_;
};

}  // namespace husk::platform::testing
