#include "backend/soft/soft_vcpu.h"

#include <malloc.h>

#include <algorithm>
#include <utility>

#include "backend/soft/cpu_mode.h"
#include "backend/soft/interp/cpuid.h"
#include "backend/soft/jit/translator.h"
#include "base/clock.h"
#include "base/try.h"
#include "contract/debug.h"

namespace husk::soft {

using interp::Stop;
using seam::VcpuExit;

SoftVcpu::SoftVcpu(SharedMachine& machine, uint32_t id, apic::VcpuSignal& signal)
    : machine_(machine),
      id_(id),
      signal_(signal),
      apic_(id, machine.bus, signal),
      timer_(signal),
      waiting_for_sipi_(id != 0) {
  cpu_ = std::make_unique<interp::Cpu>(machine.memory, *this, id, signal.bits());
  cpu_->show(machine.cpu_model,
             interp::with_topology(machine.cpuid, apic_.id(), machine.vcpu_count));
  machine.memory.tell_modifications(id, signal.word(), apic::kSignalCode);
  translate_hot_code();
  machine.bus.add(apic_);
}

SoftVcpu::~SoftVcpu() { machine_.memory.stop_telling(id_); }

void SoftVcpu::translate_hot_code() {
  const CpuModeChoice choice = cpu_mode_choice();
  if (!choice.translates) return;
  cpu_->set_translator(jit::create_translator(), choice.threshold);
}

uint64_t SoftVcpu::guest_ns() {
  return base::monotonic_ns() + machine_.time_offset.load(std::memory_order_relaxed);
}

apic::Tsc SoftVcpu::clock(uint64_t adjust) const {
  return {machine_.time_offset.load(std::memory_order_relaxed), adjust, tsc_khz_};
}

void SoftVcpu::apic_write(uint32_t offset, uint32_t size, uint64_t value) {
  apic_.write(offset, size, value);
  timer_.arm(apic_.timer_deadline());
}

bool SoftVcpu::apic_msr_write(uint32_t index, uint64_t value) {
  const uint64_t before = apic_.timer_deadline();
  const auto page = apic_.page();
  const bool done = apic_.write_msr(index, value);
  if (apic_.timer_deadline() != before) timer_.arm(apic_.timer_deadline());
  if (apic_.page() != page) cpu_->flush_tlb_all();
  return done;
}

// What other vCPUs sent that is no maskable interrupt.
void SoftVcpu::take_events(uint32_t bits) {
  if ((bits & apic::kSignalNmi) != 0) nmi_pending_ = true;
  if ((bits & apic::kSignalInit) != 0 && !shut_down_) {
    apic_.reset(true);
    cpu_->reset();
    waiting_for_sipi_ =
        id_ != 0;  // the boot processor would start at the reset vector: the machine resets instead
    halted_ = nmi_pending_ = false;
  }
  if ((bits & apic::kSignalStartup) != 0 && waiting_for_sipi_) {
    waiting_for_sipi_ = false;
    cpu_->start_at(apic_.startup_vector());
  }
}

// Looks at what other threads and the timer want; called between two stretches of guest code.
SoftVcpu::Attention SoftVcpu::attend() {
  const uint32_t bits = signal_.take();
  apic_.set_tsc(clock(cpu_->tsc_adjust));
  const uint64_t next = apic_.update_timer(base::monotonic_ns());
  timer_.arm(next);
  take_events(bits);
  if ((bits & apic::kSignalExit) != 0) return Attention::kExit;
  if (waiting_for_sipi_) return Attention::kWait;
  if (in_flight_.kind != contract::x86::InFlight::Kind::kNone) {
    deliver_in_flight();
    return Attention::kRun;
  }
  deliver_interrupts();
  return halted_ ? Attention::kWait : Attention::kRun;
}

// What another CPU had begun to deliver when its state was captured.
void SoftVcpu::deliver_in_flight() {
  using Kind = contract::x86::InFlight::Kind;
  const contract::x86::InFlight event = std::exchange(in_flight_, {});
  bool delivered = true;
  if (event.kind == Kind::kException) {
    delivered = cpu_->deliver_exception(event.vector, event.has_error_code, event.error_code);
  } else if (event.kind != Kind::kSoftware) {  // RIP is still at the instruction: it runs again
    delivered = cpu_->deliver(event.vector, true);
  }
  if (!delivered) shut_down_ = true;
}

void SoftVcpu::deliver_interrupts() {
  if (cpu_->debugging().stepping() && !halted_) return;  // they wait until it is over
  cpu_->recheck_interrupts = false;
  if (nmi_pending_ && !cpu_->nmi_blocked && !cpu_->shadow) {
    nmi_pending_ = false;
    halted_ = false;
    if (!cpu_->deliver(interp::kNmi, true)) shut_down_ = true;
    return;
  }
  if (!cpu_->interrupts_enabled()) return;
  if (const auto vector = apic_.take_interrupt()) {
    halted_ = false;
    if (!cpu_->deliver(*vector, true)) shut_down_ = true;
  }
}

void SoftVcpu::wait_for_event() {
  machine_.memory.set_idle(id_);
  const uint64_t deadline = waiting_for_sipi_ ? 0 : apic_.timer_deadline();
  timer_.arm_exactly(deadline);
  const uint64_t patience = base::monotonic_ns() + keep_code_ns_;
  if (cpu_->code_bytes() > kIdleCode && (deadline == 0 || deadline > patience)) {
    signal_.wait(patience);
    if (signal_.bits() == 0 && base::monotonic_ns() >= patience) release_code();
  } else {
    signal_.wait(deadline);
  }
  cpu_->acknowledge_code_epoch();
}

// Of a guest that has much to do now and then, less and less often.
void SoftVcpu::release_code() {
  constexpr uint64_t kLongestNs = 60'000'000'000;
  cpu_->release_code();
  ::malloc_trim(0);
  keep_code_ns_ = std::min(4 * keep_code_ns_, kLongestNs);
}

VcpuExit SoftVcpu::step() {
  const apic::VcpuTimer::Scope running(timer_);
  if (!timer_.usable()) return {.kind = VcpuExit::Kind::kUnknown, .raw = kNoTimer};
  if (std::exchange(debug_kept_, false)) return debug_exit();
  // First, so that a cancelled vCPU is always between two instructions.
  const Stop completed = cpu_->complete_access();
  if (completed == Stop::kDevice) return device_exit();
  if (completed == Stop::kDebug) return debug_exit();
  if (completed == Stop::kShutdown) shut_down_ = true;
  for (;;) {
    const Attention attention = attend();
    if (shut_down_) return shutdown_exit();
    if (attention == Attention::kExit) return {.kind = VcpuExit::Kind::kCanceled};
    if (attention == Attention::kWait) {
      wait_for_event();
      continue;
    }
    switch (cpu_->run()) {
      case Stop::kNone:
        break;
      case Stop::kDevice:
        return device_exit();
      case Stop::kHalt:
        halted_ = true;
        break;
      case Stop::kShutdown:
        shut_down_ = true;
        return shutdown_exit();
      case Stop::kDebug:
        return debug_exit();
    }
  }
}

VcpuExit SoftVcpu::shutdown_exit() { return {.kind = VcpuExit::Kind::kShutdown}; }

VcpuExit SoftVcpu::debug_exit() {
  if (std::exchange(cpu_->halted_before_stop, false)) halted_ = true;
  const DebugStop& why = cpu_->debugging().last;
  return {.kind = VcpuExit::Kind::kDebug, .cause = why.cause, .virt_addr = why.addr};
}

Result<void> SoftVcpu::set_debug(const DebugOptions& options) {
  HUSK_TRY(contract::check_debug(options));
  cpu_->set_debug(options);
  return {};
}

VcpuExit SoftVcpu::device_exit() {
  const interp::DeviceRequest request = cpu_->device.request();
  VcpuExit exit;
  exit.write = request.write;
  exit.size = request.size;
  exit.data = request.data;
  switch (request.kind) {
    case interp::DeviceRequest::Kind::kPort:
      exit.kind = VcpuExit::Kind::kIo;
      exit.port = static_cast<uint16_t>(request.address);
      break;
    case interp::DeviceRequest::Kind::kMemory:
      exit.kind = VcpuExit::Kind::kMmio;
      exit.phys_addr = request.address;
      break;
    case interp::DeviceRequest::Kind::kHypercall:
      exit.kind = VcpuExit::Kind::kHypercall;
      exit.data = request.address;
      break;
  }
  if (request.write) cpu_->device.answer(0);
  return exit;
}

}  // namespace husk::soft
