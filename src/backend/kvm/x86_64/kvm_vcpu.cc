// The way into the guest and out of it. Nothing here allocates or locks between an exit and the
// next entry.
#include "backend/kvm/x86_64/kvm_vcpu.h"

#include <sys/ioctl.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <utility>

#include "backend/kvm/common/mmio.h"
#include "base/log.h"

namespace husk::kvm {

using seam::VcpuExit;

VcpuExit KvmVcpu::step() {
  for (;;) {
    if (io_at_ < io_count_) return next_io();
    // KVM does not tell a step whose instruction ended with a device's write.
    if (stepping()) (void)complete_access();
    if (std::exchange(step_kept_, false)) {
      if (const auto exit = stepped()) return *exit;
    }
    if (std::exchange(exit_kept_, false)) {
      if (const auto exit = take_exit()) return *exit;
    }
    // One that nobody has answered is asked again: KVM would take anything for its result.
    if (unanswered_ && area_->exit_reason == KVM_EXIT_HYPERCALL) return hypercall();
    if (stopped_at_) go_past_stop();
    if (stepping()) arm();
    if (home_.irqchip != nullptr && id_ == 0) offer_extint();
    const bool exited = area_.enter();
    access_open_ = unanswered_ = false;
    if (!exited) {
      if (errno == EINTR || errno == EAGAIN) return {.kind = VcpuExit::Kind::kCanceled};
      base::log(base::LogLevel::kError, "vCPU {}: KVM_RUN failed: {}", id_, std::strerror(errno));
      return {.kind = VcpuExit::Kind::kUnknown, .raw = static_cast<uint32_t>(errno)};
    }
    if (const auto exit = take_exit()) return *exit;
  }
}

std::optional<VcpuExit> KvmVcpu::take_exit() {
  const kvm_run& run = *area_;
  if (run.exit_reason != KVM_EXIT_DEBUG) resumed_with_.reset();
  switch (run.exit_reason) {
    case KVM_EXIT_IO:
      access_open_ = true;
      io_at_ = 0;
      io_count_ = run.io.count;
      return next_io();
    case KVM_EXIT_MMIO:
      access_open_ = true;
      return mmio();
    case KVM_EXIT_HYPERCALL:
      access_open_ = true;
      return hypercall();
    case KVM_EXIT_DEBUG:
      return debug_exit();
    case KVM_EXIT_INTR:
      return VcpuExit{.kind = VcpuExit::Kind::kCanceled};
    case KVM_EXIT_SHUTDOWN:
      return VcpuExit{.kind = VcpuExit::Kind::kShutdown};
    case KVM_EXIT_IOAPIC_EOI:
      if (home_.irqchip != nullptr && home_.irqchip->controller() != nullptr)
        home_.irqchip->controller()->end_of_interrupt(run.eoi.vector);
      return std::nullopt;
    case KVM_EXIT_IRQ_WINDOW_OPEN:
      return std::nullopt;
    case KVM_EXIT_DIRTY_RING_FULL:
      // A ring that cannot be emptied would bring the vCPU out at once for ever.
      if (home_.harvest && home_.harvest()) return std::nullopt;
      return VcpuExit{.kind = VcpuExit::Kind::kUnknown, .raw = run.exit_reason};
    case KVM_EXIT_INTERNAL_ERROR:
      base::log(base::LogLevel::kDebug, "vCPU {}: KVM gave up on the guest (internal error {})",
                id_, run.internal.suberror);
      return VcpuExit{.kind = VcpuExit::Kind::kUnknown, .raw = run.exit_reason};
    case KVM_EXIT_FAIL_ENTRY:
      base::log(base::LogLevel::kError, "vCPU {}: the processor refuses its state ({:#x})", id_,
                uint64_t{run.fail_entry.hardware_entry_failure_reason});
      return VcpuExit{.kind = VcpuExit::Kind::kUnknown, .raw = run.exit_reason};
    default:
      return VcpuExit{.kind = VcpuExit::Kind::kUnknown, .raw = run.exit_reason};
  }
}

VcpuExit KvmVcpu::next_io() {
  const auto& io = area_->io;
  VcpuExit exit;
  exit.kind = VcpuExit::Kind::kIo;
  exit.port = io.port;
  exit.size = io.size;
  exit.write = io.direction == KVM_EXIT_IO_OUT;
  if (exit.write) {
    std::memcpy(&exit.data, area_.bytes() + io.data_offset + uint64_t{io_at_} * io.size,
                std::min<size_t>(io.size, sizeof(exit.data)));
    ++io_at_;
  } else {
    unanswered_ = true;
  }
  return exit;
}

VcpuExit KvmVcpu::mmio() {
  const VcpuExit exit = mmio_exit(*area_);
  unanswered_ = !exit.write;
  return exit;
}

VcpuExit KvmVcpu::hypercall() {
  unanswered_ = true;
  return {.kind = VcpuExit::Kind::kHypercall, .data = area_->hypercall.nr};
}

void KvmVcpu::set_read_data(uint64_t value) {
  unanswered_ = false;
  if (area_->exit_reason == KVM_EXIT_HYPERCALL) {
    area_->hypercall.ret = value;
  } else if (area_->exit_reason == KVM_EXIT_MMIO) {
    answer_mmio(*area_, value);
  } else if (io_at_ < io_count_) {
    const auto& io = area_->io;
    std::memcpy(area_.bytes() + io.data_offset + uint64_t{io_at_} * io.size, &value,
                std::min<size_t>(io.size, sizeof(value)));
    ++io_at_;
  }
}

// The 8259s' interrupt reaches the processor only when it can take one (INTA is the processor's).
void KvmVcpu::offer_extint() {
  const bool wanted = home_.irqchip->extint();
  area_->request_interrupt_window = wanted ? 1 : 0;
  if (!wanted || area_->ready_for_interrupt_injection == 0) return;
  kvm_interrupt interrupt{};
  interrupt.irq = home_.irqchip->controller()->acknowledge_extint();
  ::ioctl(area_.fd(), KVM_INTERRUPT, &interrupt);
  area_->request_interrupt_window = home_.irqchip->extint() ? 1 : 0;
}

// The state between a device's answer and the instruction's end is KVM's own: it is gone through
// before anybody looks at registers.
Result<void> KvmVcpu::complete_access() {
  if (!unanswered_ && io_at_ == io_count_ && access_open_) {
    access_open_ = false;
    exit_kept_ = area_.complete();
    step_kept_ = stepping() && !exit_kept_;
  }
  // A debugger's stop is between two instructions.
  const bool between = !exit_kept_ || area_->exit_reason == KVM_EXIT_DEBUG;
  if (!unanswered_ && io_at_ == io_count_ && between) return {};
  return fail(ErrorKind::kState, "vCPU " + std::to_string(id_),
              "is within an instruction that waits for a device");
}

}  // namespace husk::kvm
