// The backend seam: what a CPU can do, whoever provides it (seed 002, hypervisor/mod.rs).
//
// A backend is a pair of classes that satisfy the concepts below; code above is compiled once per
// backend and calls it directly: no virtual call and no allocation between two exits. Everything a
// guest-visible machine needs beyond this (devices, boot, lifecycle) is written once, above.
//
// Threads: a vCPU belongs to the thread that created it; all of its members are called there. A
// vCPU's handle and an IrqLine may be used from any thread.
#pragma once

#include <concepts>
#include <cstddef>
#include <cstdint>
#include <istream>
#include <ostream>
#include <span>
#include <string>
#include <vector>

#include "husk/debug.h"
#include "husk/error.h"

namespace husk::seam {

// Rights of a guest-physical mapping; the values are the seed's.
enum class Prot : uint8_t {
  kRead = 1,
  kWrite = 2,
  kExec = 4,
  kReadWrite = 3,
  kReadExec = 5,
  kReadWriteExec = 7,
};

// A core register by role. On aarch64 x(n) is Xn; on x86-64 x(n) is the general register with
// encoding n (rax rcx rdx rbx rsp rbp rsi rdi r8..r15), kPc is RIP and kCpsr RFLAGS; the others are
// refused there.
struct CoreReg {
  enum class Role : uint8_t { kX, kFp, kLr, kPc, kCpsr, kFpsr, kFpcr };
  Role role = Role::kX;
  uint8_t index = 0;  // of kX: 0..30

  static constexpr CoreReg x(uint8_t n) { return {Role::kX, n}; }
  static constexpr CoreReg pc() { return {Role::kPc, 0}; }
  static constexpr CoreReg cpsr() { return {Role::kCpsr, 0}; }
};

// kMpidrEl1 identifies the vCPU; on x86-64 it is the APIC ID, read-only.
enum class SysReg : uint8_t { kMpidrEl1 };

// Why step() returned. Trivially copyable. For a read (kIo or kMmio with write == false) the value
// is handed back with set_read_data() before the next step(). So is a hypercall's result, which the
// backend puts where the guest looks for it; until then the vCPU is within that instruction.
struct VcpuExit {
  enum class Kind : uint8_t {
    kCanceled,         // force_exit, or a host signal: nothing happened, step again when ready
    kException,        // aarch64: syndrome, phys_addr, virt_addr
    kVtimerActivated,  // aarch64 without an in-kernel timer
    kIo,               // x86 port access
    kMmio,             // access to guest-physical space that is not RAM
    kHalt,       // the vCPU can never wake by itself: its last instruction stopped it for good
    kShutdown,   // triple fault
    kPowerOff,   // the guest asks for it by firmware that the backend is (PSCI's SYSTEM_OFF)
    kReset,      // as kPowerOff: SYSTEM_RESET
    kHypercall,  // data: its number; its arguments are in registers. See HasHypercalls
    kDebug,      // cause, and virt_addr: a watchpoint's address, or the next instruction's
    kUnknown,    // raw: the backend's own number
  };
  Kind kind = Kind::kCanceled;
  bool write = false;
  uint8_t size = 0;                      // bytes: 1, 2, 4 (and 8 for kMmio)
  DebugCause cause = DebugCause::kStep;  // kDebug
  uint16_t port = 0;                     // kIo
  uint32_t raw = 0;                      // kUnknown
  uint64_t phys_addr = 0;                // kMmio, kException
  uint64_t virt_addr = 0;                // kException, kDebug
  uint64_t syndrome = 0;                 // kException
  uint64_t data = 0;                     // a write's value; kHypercall
};
static_assert(std::is_trivially_copyable_v<VcpuExit>);

// What runtime::boot_linux() needs, which puts a kernel into memory and its entry state into the
// boot vCPU through restore_snapshot(): the same code for every backend of an architecture, so it
// is not the backend's business. The guest's RAM starts at ram_gpa.
struct LinuxBootConfig {
  std::span<const std::byte> kernel;
  std::span<const std::byte> initrd;  // empty: none
  std::string cmdline;
  uint64_t ram_gpa = 0;
  uint64_t ram_size = 0;
  std::span<const std::byte> fdt;  // ignored on x86
};

// A point in guest time, to continue from. The seed keeps one number, which cannot tell how long
// the machine was frozen; the host's clocks at the capture are kept beside it.
struct ClockRef {
  uint64_t guest_ns = 0;           // the guest's monotonic clock at the capture
  uint64_t host_monotonic_ns = 0;  // the host's, at the same moment
  uint64_t host_realtime_ns = 0;
};

// A cheap, copyable, thread-safe token for a vCPU.
template <class H>
concept VcpuHandle = std::copyable<H> && requires(std::span<const H> batch) {
  // Makes each vCPU's present or next step() return kCanceled; from any thread, never blocks.
  { H::force_exit(batch) } -> std::same_as<void>;
};

template <class V>
concept HypervisorVcpu =
    requires(V& vcpu, const typename V::SnapshotState& state, CoreReg core, SysReg sys,
             uint64_t value, std::ostream& out, std::istream& in, ClockRef ref) {
      requires VcpuHandle<typename V::Handle>;
      { vcpu.exit_token() } -> std::same_as<typename V::Handle>;
      // kState within an instruction that still waits for a device: after the exit for a read that
      // has no answer yet, or when the instruction has more accesses to make.
      { vcpu.capture_snapshot() } -> std::same_as<Result<typename V::SnapshotState>>;
      { vcpu.restore_snapshot(state) } -> std::same_as<Result<void>>;
      { V::write_snapshot_state(state, out) } -> std::same_as<Result<void>>;
      // Consumes exactly the bytes that write_snapshot_state() wrote.
      { V::read_snapshot_state(in) } -> std::same_as<Result<typename V::SnapshotState>>;
      { V::capture_clock_ref(state, value) } -> std::same_as<ClockRef>;
      // Guest monotonic time goes on from `ref`; returns the offset that was applied. Never jumps
      // back.
      { vcpu.restore_clock(ref, value) } -> std::same_as<uint64_t>;
      { vcpu.get_core(core) } -> std::same_as<Result<uint64_t>>;
      { vcpu.set_core(core, value) } -> std::same_as<Result<void>>;
      { vcpu.get_sys(sys) } -> std::same_as<Result<uint64_t>>;
      { vcpu.set_sys(sys, value) } -> std::same_as<Result<void>>;
      { vcpu.step() } -> std::same_as<VcpuExit>;
      { vcpu.set_read_data(value) } -> std::same_as<void>;
    };

// A window of guest-physical space that shows pieces of files without a copy, for devices with a
// DAX window. `at` counts from its start; everything is in units of 4 KiB. Works while vCPUs run;
// from any thread. What is not mapped reads as zeroes. Writes go to the file when `shared`, and
// nowhere otherwise. Nobody may shorten a file that is mapped.
template <class D>
concept DaxMapper =
    requires(D& dax, uint64_t at, int file, uint64_t offset, uint64_t length, bool shared) {
      { dax.map_file(at, file, offset, length, shared) } -> std::same_as<Result<void>>;
      { dax.unmap(at, length) } -> std::same_as<Result<void>>;
    };

template <class M>
concept HypervisorVm = requires(M& vm, std::byte* host, uint64_t gpa, uint64_t length, Prot prot,
                                uint32_t irq, bool level, std::span<const std::byte> bytes) {
  requires HypervisorVcpu<typename M::Vcpu>;
  // `host` stays mapped until unmap_ram() or the end of the VM; sizes are multiples of 4 KiB. While
  // no vCPU is within step(). Writes to what may not be written are device accesses.
  { vm.map_ram(host, gpa, length, prot) } -> std::same_as<Result<void>>;
  { vm.unmap_ram(gpa, length) } -> std::same_as<Result<void>>;
  // Places a window, before any vCPU runs.
  requires DaxMapper<std::remove_reference_t<decltype(**vm.dax_mapper(gpa, length))>>;
  { vm.set_irq(irq, level) } -> std::same_as<void>;
  { vm.irq_line(irq) } -> std::copyable;
  // Interrupt controller and timers; a local APIC goes with its vCPU.
  { vm.capture_intc() } -> std::same_as<Result<std::vector<std::byte>>>;
  { vm.restore_intc(bytes) } -> std::same_as<Result<void>>;
  { M::host_monotonic_ticks() } -> std::same_as<uint64_t>;
};

// What a VM may offer besides: a guest's write that only tells a device something need not leave
// the guest. From the call to the end of the VM, a vCPU's write of exactly that value and size (1,
// 2, 4 or 8 bytes) to that address adds 1 to the eventfd, and is no exit; every other access there
// is one as before. The VM keeps the eventfd alive by itself. Before any vCPU runs;
// kInvalidArgument for what it cannot watch. kUnsupported: on this host there are none after all,
// of any address and value.
template <class M>
concept HasDoorbells = requires(M& vm, uint64_t gpa, uint32_t size, uint64_t value, int eventfd) {
  { vm.ring_on_write(gpa, size, value, eventfd) } -> std::same_as<Result<void>>;
};

// What a vCPU may offer besides: stops for a debugger, which are kDebug exits. The options replace
// those that were set before; the default ones end all of it. After an exit at a breakpoint the
// next step() executes the instruction there, unless the program counter was moved.
// kInvalidArgument for points that cannot be; kUnsupported, naming it, for what this backend or its
// processor lacks: what was set before stays then.
template <class V>
concept HasDebug = requires(V& vcpu, const DebugOptions& options) {
  { vcpu.set_debug(options) } -> std::same_as<Result<void>>;
};

// What a VM may offer besides: hypercalls of its guest's kernel become exits, so that somebody
// above answers them. Without that, the backend answers: those that it does not know with the
// architecture's "not supported". Before any vCPU runs. kUnsupported, with the reason, where the
// backend answers all of them itself. Which ones become exits is the backend's to say.
template <class M>
concept HasHypercalls = requires(M& vm, bool on) {
  { vm.exit_on_hypercalls(on) } -> std::same_as<Result<void>>;
};

// What a VM may offer besides: a signal to an eventfd raises an interrupt, without a thread of this
// process. Without `resample` (-1) that is an edge; with it the line stays up until the guest has
// ended the interrupt, which `resample` is signalled for, and goes up again with the next signal.
// kInvalidArgument for an interrupt that the VM has not, kUnsupported, with the reason, for what it
// cannot do as it was made. The VM keeps the eventfds alive; who unregisters what is not registered
// gets no error. From any thread, whether or not vCPUs run.
template <class M>
concept HasIrqfds = requires(M& vm, uint32_t gsi, int eventfd, int resample) {
  { vm.register_irqfd(gsi, eventfd, resample) } -> std::same_as<Result<void>>;
  { vm.unregister_irqfd(gsi, eventfd) } -> std::same_as<Result<void>>;
};

// Who keeps the board's interrupt controllers and timer, of a VM that can: the board itself, so
// that only local APICs are the VM's, or the VM.
enum class Irqchip : uint8_t { kSplit, kKernel };

// A VM for which that is a choice, one of M::create()'s options.
template <class M>
concept HasIrqchipChoice = requires(const M& vm, typename M::Options options) {
  { options.irqchip } -> std::same_as<Irqchip&>;
  { vm.irqchip() } -> std::same_as<Irqchip>;
};

}  // namespace husk::seam
