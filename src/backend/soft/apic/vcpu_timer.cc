#include "backend/soft/apic/vcpu_timer.h"

#include <unistd.h>

#include <csignal>

#include "base/clock.h"

namespace husk::soft::apic {
namespace {

thread_local VcpuSignal* running = nullptr;

thread_local pid_t thread_id = 0;  // 0: not asked for yet

pid_t this_thread() {
  if (thread_id == 0) thread_id = ::gettid();
  return thread_id;
}

int expiry() { return SIGRTMIN + 7; }

extern "C" void on_expiry(int) {
  if (running != nullptr) running->raise(kSignalInterrupt);
}

// Once for the process. Any thread of it may be the library's user's, with signals blocked.
void hear_expiry() {
  static const int installed = [] {
    ::pthread_atfork(nullptr, nullptr, [] { thread_id = 0; });  // another one, and without timers
    struct sigaction action{};
    action.sa_handler = on_expiry;
    action.sa_flags = SA_RESTART;
    return ::sigaction(expiry(), &action, nullptr);
  }();
  static_cast<void>(installed);
  sigset_t one;
  sigemptyset(&one);
  sigaddset(&one, expiry());
  ::pthread_sigmask(SIG_UNBLOCK, &one, nullptr);
}

}  // namespace

VcpuTimer::Scope::Scope(VcpuTimer& timer) {
  timer.belong_to_this_thread();
  running = timer.signal_;
}

VcpuTimer::Scope::~Scope() { running = nullptr; }

VcpuTimer::~VcpuTimer() { drop(); }

void VcpuTimer::drop() {
  if (thread_ != 0) ::timer_delete(timer_);
  thread_ = 0;
  armed_ns_ = 0;
}

void VcpuTimer::belong_to_this_thread() {
  if (thread_ == this_thread()) return;
  drop();
  hear_expiry();
  sigevent event{};
  event.sigev_notify = SIGEV_THREAD_ID;
  event.sigev_signo = expiry();
  event._sigev_un._tid = this_thread();  // glibc has no other name for it (timer_create(2))
  usable_ = {};
  if (::timer_create(CLOCK_MONOTONIC, &event, &timer_) == 0)
    thread_ = this_thread();
  else
    usable_ = fail_errno("vCPU", "cannot have a timer");
}

void VcpuTimer::arm(uint64_t deadline_ns) {
  if (deadline_ns == 0) return;
  const bool earlier = armed_ns_ != 0 && armed_ns_ <= deadline_ns;
  if (!earlier || armed_ns_ <= base::monotonic_ns()) set(deadline_ns);
}

void VcpuTimer::arm_exactly(uint64_t deadline_ns) {
  if (armed_ns_ == deadline_ns || (deadline_ns == 0 && armed_ns_ <= base::monotonic_ns())) return;
  set(deadline_ns);
}

void VcpuTimer::set(uint64_t deadline_ns) {
  armed_ns_ = deadline_ns;
  if (thread_ == 0) return;
  itimerspec when{};
  when.it_value = {static_cast<time_t>(deadline_ns / 1'000'000'000),
                   static_cast<long>(deadline_ns % 1'000'000'000)};
  ::timer_settime(timer_, TIMER_ABSTIME, &when, nullptr);
}

}  // namespace husk::soft::apic
