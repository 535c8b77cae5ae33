// A vCPU's descriptor and the memory that it shares with KVM, and how any thread gets it out of
// KVM_RUN.
//
// The race: a signal that arrives after the last look at the request and before KVM_RUN has begun
// is lost, its handler has run for nothing. `immediate_exit`, which KVM_RUN looks at first, closes
// it: request() sets it before it signals, and signals only a vCPU that may be inside.
#pragma once

#include <sys/types.h>

#include <atomic>
#include <cstddef>
#include <memory>
#include <span>
#include <utility>

#include "husk/error.h"

#include "backend/kvm/common/kvm_api.h"
#include "base/fd.h"

namespace husk::kvm {

// One vCPU's request to leave KVM_RUN. Outlives the vCPU, which holds it with its handles.
class ExitGate {
 public:
  // The vCPU's thread, before KVM_RUN. False: somebody wants it out, which is served by this.
  bool enter();
  // After KVM_RUN.
  void leave();
  // Any thread; makes the present KVM_RUN, or the next enter(), return at once.
  void request();

  // `flag` is kvm_run's immediate_exit; nullptr when the area goes.
  void attach(uint8_t* flag);

 private:
  static constexpr uint32_t kRequested = 1, kInside = 2;

  std::atomic<uint32_t> state_{0};
  std::atomic<pid_t> thread_{0};
  std::atomic<uint8_t*> flag_{nullptr};
  std::atomic<uint32_t> users_{0};  // threads within request()
};

// The gate as the seam's handle of a vCPU. Outlives the vCPU.
class ExitHandle {
 public:
  explicit ExitHandle(std::shared_ptr<ExitGate> gate) : gate_(std::move(gate)) {}
  static void force_exit(std::span<const ExitHandle> batch) {
    for (const ExitHandle& handle : batch) handle.gate_->request();
  }

 private:
  std::shared_ptr<ExitGate> gate_;
};

class RunArea {
 public:
  // `vcpu` as KVM_CREATE_VCPU made it.
  [[nodiscard]] static Result<RunArea> create(base::Fd vcpu, size_t size);
  RunArea(RunArea&&) = default;
  RunArea& operator=(RunArea&&) = delete;
  ~RunArea();

  [[nodiscard]] int fd() const { return vcpu_.get(); }
  [[nodiscard]] kvm_run& operator*() const { return *run_; }
  [[nodiscard]] kvm_run* operator->() const { return run_; }
  [[nodiscard]] std::byte* bytes() const { return mapping_.data(); }
  [[nodiscard]] const std::shared_ptr<ExitGate>& gate() const { return gate_; }

  // One KVM_RUN. False: it did not get to an exit, because of a request or a signal; errno is EINTR
  // then, and something else when KVM failed. The last exit's access is complete in either case.
  [[nodiscard]] bool enter();
  // Completes the access that the last exit asked for, without running guest code. True: the
  // instruction asks for one more, which is an exit.
  [[nodiscard]] bool complete();

 private:
  RunArea() = default;

  base::Fd vcpu_;
  base::Mapping mapping_;
  kvm_run* run_ = nullptr;
  std::shared_ptr<ExitGate> gate_;
};

// Makes the signal that force_exit() sends harmless: a handler that does nothing. Once per process.
void install_kick_signal();

}  // namespace husk::kvm
