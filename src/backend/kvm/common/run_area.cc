#include "backend/kvm/common/run_area.h"

#include <pthread.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cerrno>
#include <csignal>
#include <thread>

#include "base/try.h"

namespace husk::kvm {
namespace {

int kick_signal() { return SIGRTMIN + 6; }

void set_flag(uint8_t* flag, uint8_t value) {
  if (flag != nullptr) std::atomic_ref(*flag).store(value, std::memory_order_relaxed);
}

}  // namespace

void install_kick_signal() {
  [[maybe_unused]] static const bool installed = [] {
    struct sigaction action{};
    action.sa_handler = [](int) {};
    sigemptyset(&action.sa_mask);
    return ::sigaction(kick_signal(), &action, nullptr) == 0;
  }();
}

bool ExitGate::enter() {
  // Asked for once: this is on the path of every exit.
  static thread_local const auto thread = static_cast<pid_t>(::syscall(SYS_gettid));
  thread_.store(thread, std::memory_order_relaxed);
  // An old request's late flag. One that sees kInside sets it after this.
  set_flag(flag_.load(std::memory_order_relaxed), 0);
  if ((state_.fetch_or(kInside, std::memory_order_acq_rel) & kRequested) == 0) return true;
  leave();
  return false;
}

void ExitGate::leave() { state_.store(0, std::memory_order_release); }

void ExitGate::request() {
  users_.fetch_add(1, std::memory_order_acq_rel);
  const uint32_t before = state_.fetch_or(kRequested, std::memory_order_acq_rel);
  set_flag(flag_.load(std::memory_order_acquire), 1);
  if (before == kInside)
    ::syscall(SYS_tgkill, ::getpid(), thread_.load(std::memory_order_relaxed), kick_signal());
  users_.fetch_sub(1, std::memory_order_release);
}

void ExitGate::attach(uint8_t* flag) {
  flag_.store(flag, std::memory_order_release);
  // Whoever still uses the old one must be done before it is unmapped.
  while (users_.load(std::memory_order_acquire) != 0) std::this_thread::yield();
}

Result<RunArea> RunArea::create(base::Fd vcpu, size_t size) {
  install_kick_signal();
  RunArea area;
  area.mapping_ = HUSK_TRY(
      base::Mapping::map(size, PROT_READ | PROT_WRITE, MAP_SHARED, vcpu.get(), 0, "KVM's vCPU"));
  area.vcpu_ = std::move(vcpu);
  area.run_ = reinterpret_cast<kvm_run*>(area.mapping_.data());
  area.gate_ = std::make_shared<ExitGate>();
  area.gate_->attach(&area.run_->immediate_exit);
  return area;
}

RunArea::~RunArea() {
  if (gate_ != nullptr) gate_->attach(nullptr);
}

bool RunArea::enter() {
  if (!gate_->enter()) {
    if (complete()) {
      gate_->request();  // for the next time: this exit comes first
      return true;
    }
    errno = EINTR;
    return false;
  }
  const int result = ::ioctl(vcpu_.get(), KVM_RUN, 0);
  const int error = errno;
  gate_->leave();
  errno = error;
  return result == 0;
}

bool RunArea::complete() {
  set_flag(&run_->immediate_exit, 1);
  const bool exit = ::ioctl(vcpu_.get(), KVM_RUN, 0) == 0;
  set_flag(&run_->immediate_exit, 0);
  return exit;
}

}  // namespace husk::kvm
