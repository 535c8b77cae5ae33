// The 8254's state, from which another goes on.
#include <algorithm>

#include "platform/pit8254.h"
#include "platform/pit8254_ticks.h"

namespace husk::platform {

Pit8254::State Pit8254::capture() const {
  const std::lock_guard lock(mutex_);
  State state;
  for (size_t i = 0; i < counters_.size(); ++i) {
    const Counter& counter = counters_[i];
    contract::x86::PitCounterState& saved = state.counters[i] = counter;
    saved.held = counter.held && counter.counting;
    if (!counter.counting) continue;
    const uint64_t passed =
        counter.held ? ticks_to_ns(counter.held_ticks) : clock_() - counter.start_ns;
    saved.ns_since_load = std::min(passed, Counter::kLongestNs);
  }
  state.interrupt_due = due_ns_ != 0;
  state.control = control_;
  return state;
}

void Pit8254::restore(const State& state) {
  const std::lock_guard lock(mutex_);
  unschedule();
  for (size_t i = 0; i < counters_.size(); ++i) {
    counters_[i] = Counter{state.counters[i]};
    counters_[i].start_ns = clock_() - counters_[i].ns_since_load;
    counters_[i].held_ticks = ns_to_ticks(counters_[i].ns_since_load);
  }
  control_ = state.control;
  counters_[2].gate = (control_ & State::kGate) != 0;
  if (!state.interrupt_due) return;
  if (counters_[0].periodic()) {
    schedule();
  } else {
    schedule_single(counters_[0].ns_since_load);
  }
}

// What is late comes at once.
void Pit8254::schedule_single(uint64_t passed_ns) {
  const uint64_t whole = ticks_to_ns(counters_[0].reload);
  due_ns_ = clock_() + (whole > passed_ns ? whole - passed_ns : 0);
  alarm_->set(due_ns_);
}

}  // namespace husk::platform
