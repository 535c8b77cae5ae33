#include "runtime/debug_gate.h"

#include <algorithm>
#include <utility>

namespace husk::runtime {

bool DebugGate::wanted(const gdb::Stop& stop) const {
  const auto at = [&](const DebugPoint& point) { return point.addr == stop.why.addr; };
  switch (stop.why.cause) {
    case DebugCause::kStep:
      return stop.vcpu < actions_.size() && actions_[stop.vcpu] == gdb::Action::kStep;
    case DebugCause::kSoftwareBreakpoint:
      return std::ranges::find(points_.software, stop.why.addr) != points_.software.end();
    default:
      return std::ranges::any_of(points_.hardware, at);
  }
}

void DebugGate::stopped(uint32_t vcpu, const DebugStop& why) {
  {
    const std::lock_guard lock(mutex_);
    const gdb::Stop stop{vcpu, why};
    if (!wanted(stop)) return;
    stops_.push_back(stop);
  }
  end_.hold();
  wake();
}

void DebugGate::expect(std::vector<gdb::Action> actions, gdb::Points points) {
  const std::lock_guard lock(mutex_);
  actions_ = std::move(actions);
  points_ = std::move(points);
  std::erase_if(stops_, [&](const gdb::Stop& stop) {
    return stop.why.cause == DebugCause::kStep || !wanted(stop);
  });
}

void DebugGate::expect_nothing() {
  const std::lock_guard lock(mutex_);
  actions_.clear();
  points_ = {};
  stops_.clear();
}

bool DebugGate::waiting() {
  const std::lock_guard lock(mutex_);
  return !stops_.empty();
}

std::optional<gdb::Stop> DebugGate::take() {
  const std::lock_guard lock(mutex_);
  if (stops_.empty()) return std::nullopt;
  const gdb::Stop stop = stops_.front();
  stops_.pop_front();
  return stop;
}

void DebugGate::forget(uint32_t vcpu) {
  const std::lock_guard lock(mutex_);
  std::erase_if(stops_, [&](const gdb::Stop& stop) { return stop.vcpu == vcpu; });
}

void DebugGate::set_listener(std::function<void()> listener) {
  const std::lock_guard lock(mutex_);
  listener_ = std::move(listener);
}

void DebugGate::wake() {
  const std::lock_guard lock(mutex_);
  if (listener_) listener_();
}

}  // namespace husk::runtime
