// The high-level machine: what a lifecycle needs of a hypervisor, whoever provides it (seeds 003,
// traits.rs, and 001 for the states). The hot path is not here but in husk/seam.h: these are
// virtual calls.
//
// Errors: kState for a call in a wrong state (its text names the expected and the actual one),
// kInvalidArgument for what was asked, kUnsupported for what this hypervisor cannot do, kBackend
// for its failures.
#pragma once

#include <array>
#include <compare>
#include <cstddef>
#include <cstdint>
#include <initializer_list>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "husk/cpu_model.h"
#include "husk/debug.h"
#include "husk/error.h"
#include "husk/host.h"
#include "husk/types.h"

namespace husk::machine {

// A guest-physical address.
struct GuestAddress {
  uint64_t value = 0;

  auto operator<=>(const GuestAddress&) const = default;
};

// What a machine is built from. Sizes are bytes (a lifecycle::VmConfig counts megabytes;
// husk/mapping.h converts).
struct VmConfig {
  uint32_t vcpu_count = 1;
  uint64_t memory_size = 0;  // bytes, a multiple of 4 KiB
  CpuArch arch = host::native_arch();
  std::optional<std::string> kernel_path;
  std::optional<std::string> kernel_cmdline;
  std::optional<std::string> initrd_path;
  bool enable_rosetta = false;  // a share that translates foreign programs
  CpuModel cpu_model = CpuModel::kHost;
  // The guest shall be able to run guests of its own. Every hypervisor here refuses it
  // (kUnsupported): none carries the state of a guest's guest through a snapshot.
  bool nested_virtualization = false;
  // The interrupt controllers and the timer of an x86-64 machine are the kernel's, not the board's.
  // kUnsupported from create_vm() where no kernel can keep them; elsewhere they always are.
  bool kernel_irqchip = false;

  class Builder;
  [[nodiscard]] static Builder builder();

  // kInvalidArgument, naming the field: no vCPU, memory that is not a positive multiple of 4 KiB,
  // or a processor that the architecture does not know or that cannot address so much.
  [[nodiscard]] Result<void> validate() const;

  bool operator==(const VmConfig&) const = default;
};

// VmConfig::builder().vcpus(2).memory_bytes(1 << 30).kernel("vmlinuz").build(). What is not said:
// one vCPU, host::default_vm_memory_size(), the native architecture.
class VmConfig::Builder {
 public:
  Builder();
  Builder& vcpus(uint32_t count);
  Builder& memory_bytes(uint64_t bytes);
  Builder& arch(CpuArch arch);
  Builder& kernel(std::string path);
  Builder& cmdline(std::string text);
  Builder& initrd(std::string path);
  Builder& rosetta(bool enabled);
  Builder& cpu_model(CpuModel model);
  Builder& nested_virtualization(bool enabled);
  Builder& kernel_irqchip(bool enabled);
  [[nodiscard]] Result<VmConfig> build() const;  // validated

 private:
  VmConfig config_;
};

// A machine's state. From created through starting to running; running and paused alternate; both
// go through stopping to stopped, from where it may start again. Error is final.
enum class VmState : uint8_t {
  kCreated,
  kStarting,
  kRunning,
  kPaused,
  kStopping,
  kStopped,
  kError
};

[[nodiscard]] std::string_view to_string(VmState state);  // "created" ... "error"

enum class Operation : uint8_t { kAddDevice, kStart, kPause, kResume, kStop };

// kState unless `operation` may be called in `actual`: devices are added in created, a machine
// starts from created or stopped, pauses from running, resumes from paused, stops from running or
// paused.
[[nodiscard]] Result<void> check_state(Operation operation, VmState actual);

// Why Vcpu::run() returned.
namespace exits {
struct Halt {
  bool operator==(const Halt&) const = default;
};
struct IoOut {
  uint16_t port = 0;
  uint8_t size = 0;  // bytes: 1, 2 or 4
  uint64_t data = 0;
  bool operator==(const IoOut&) const = default;
};
struct IoIn {  // answered by set_io_result()
  uint16_t port = 0;
  uint8_t size = 0;
  bool operator==(const IoIn&) const = default;
};
struct MmioRead {  // answered by set_mmio_result()
  uint64_t addr = 0;
  uint8_t size = 0;  // bytes: 1, 2, 4 or 8
  bool operator==(const MmioRead&) const = default;
};
struct MmioWrite {
  uint64_t addr = 0;
  uint8_t size = 0;
  uint64_t data = 0;
  bool operator==(const MmioWrite&) const = default;
};
// Answered by set_hypercall_result(). Only after VirtualMachine::exit_on_hypercalls(). On x86-64 nr
// is RAX and the arguments are RBX, RCX, RDX, RSI, RDI, RBP, of which KVM's hypercalls use four; on
// aarch64 nr is X0 and the arguments are X1 to X6 (SMCCC).
struct Hypercall {
  uint64_t nr = 0;
  std::array<uint64_t, 6> args{};
  bool operator==(const Hypercall&) const = default;
};
struct SystemReset {
  bool operator==(const SystemReset&) const = default;
};
struct Shutdown {
  bool operator==(const Shutdown&) const = default;
};
struct Debug {  // what Vcpu::set_debug() asked for; debug_stop() says why
  bool operator==(const Debug&) const = default;
};
struct Unknown {
  int32_t code = 0;  // the hypervisor's own
  bool operator==(const Unknown&) const = default;
};
}  // namespace exits

using VcpuExit = std::variant<exits::Halt, exits::IoOut, exits::IoIn, exits::MmioRead,
                              exits::MmioWrite, exits::Hypercall, exits::SystemReset,
                              exits::Shutdown, exits::Debug, exits::Unknown>;

// Guest RAM. Thread-safe; every access is checked against the RAM there is, and a failed one
// changes nothing.
class GuestMemory {
 public:
  virtual ~GuestMemory() = default;
  [[nodiscard]] virtual Result<void> read(GuestAddress addr, std::span<std::byte> out) const = 0;
  [[nodiscard]] virtual Result<void> write(GuestAddress addr, std::span<const std::byte> in) = 0;
  // For zero copy: the byte's place in this process, valid as long as the machine. How far one may
  // go from there is the caller's knowledge of the regions.
  [[nodiscard]] virtual Result<std::byte*> host_address(GuestAddress addr) const = 0;
  [[nodiscard]] virtual uint64_t size() const = 0;  // bytes
  [[nodiscard]] virtual Result<void> enable_dirty_tracking() = 0;
  [[nodiscard]] virtual Result<void> disable_dirty_tracking() = 0;
  // The pages written since the last call, which clears them. kState when tracking is off.
  [[nodiscard]] virtual Result<std::vector<DirtyPageInfo>> take_dirty_pages() = 0;
  // All RAM, region after region; `out` has size() bytes.
  [[nodiscard]] virtual Result<void> dump_all(std::span<std::byte> out) const = 0;
};

// One vCPU. Belongs to one thread at a time.
class Vcpu {
 public:
  virtual ~Vcpu() = default;
  [[nodiscard]] virtual uint32_t id() const = 0;
  // Executes the guest until it needs something.
  [[nodiscard]] virtual Result<VcpuExit> run() = 0;
  // Of an x86-64 vCPU, and of an aarch64 one; the other pair answers kUnsupported. An aarch64
  // vCPU's are its whole, and like its snapshot they are kState while a read waits for its value.
  [[nodiscard]] virtual Result<Registers> regs() const = 0;
  [[nodiscard]] virtual Result<void> set_regs(const Registers& regs) = 0;
  [[nodiscard]] virtual Result<Arm64Registers> arm64_regs() const = 0;
  [[nodiscard]] virtual Result<void> set_arm64_regs(const Arm64Registers& regs) = 0;
  // The value that the guest reads, after IoIn or MmioRead and before the next run(); kState
  // otherwise.
  [[nodiscard]] virtual Result<void> set_io_result(uint64_t value) = 0;
  [[nodiscard]] virtual Result<void> set_mmio_result(uint64_t value) = 0;
  // What the guest's hypercall returns, after Hypercall and before the next run(); kState
  // otherwise.
  [[nodiscard]] virtual Result<void> set_hypercall_result(uint64_t value) = 0;
  // Makes run() return Debug for what the options name, instead of what they named before. After
  // one at a breakpoint the next run() goes on past it. kInvalidArgument for points that cannot be,
  // kUnsupported for what this hypervisor lacks, and in managed execution.
  [[nodiscard]] virtual Result<void> set_debug(const DebugOptions& options) = 0;
  // Why the last run() returned Debug; kState when it returned something else.
  [[nodiscard]] virtual Result<DebugStop> debug_stop() const = 0;
  [[nodiscard]] virtual Result<VcpuSnapshot> snapshot() const = 0;
  [[nodiscard]] virtual Result<void> restore(const VcpuSnapshot& snapshot) = 0;
};

// One machine. Its operations belong to one thread at a time; state() to any.
class VirtualMachine {
 public:
  virtual ~VirtualMachine() = default;

  // True: start() runs the guest, vCPUs are handles. False: the caller creates the vCPUs and drives
  // run(), start() and stop() mark the state.
  [[nodiscard]] virtual bool is_managed_execution() const { return false; }
  [[nodiscard]] virtual VmState state() const = 0;
  [[nodiscard]] virtual uint32_t vcpu_count() const = 0;
  [[nodiscard]] virtual GuestMemory& memory() = 0;
  // kInvalidArgument for an id that is not below vcpu_count() or was created before. The vCPU does
  // not outlive the machine.
  [[nodiscard]] virtual Result<std::unique_ptr<Vcpu>> create_vcpu(uint32_t id) = 0;
  // Makes run() return Hypercall for those that this hypervisor lets out: all on the built-in CPU,
  // KVM_HC_MAP_GPA_RANGE on KVM for x86-64. Before the first run(). kUnsupported where it lets none
  // out, and in managed execution.
  [[nodiscard]] virtual Result<void> exit_on_hypercalls(bool on) = 0;
  // Only before the first start.
  [[nodiscard]] virtual Result<void> add_virtio_device(const VirtioDeviceConfig& device) = 0;

  // See check_state() for when each may be called. They return when the new state is reached.
  [[nodiscard]] virtual Result<void> start() = 0;
  [[nodiscard]] virtual Result<void> pause() = 0;
  [[nodiscard]] virtual Result<void> resume() = 0;
  [[nodiscard]] virtual Result<void> stop() = 0;

  // While the guest runs or is paused, until it stops: each signal to `eventfd` raises the
  // interrupt `gsi`. With `resample` (else -1) the line stays up until the guest has ended the
  // interrupt, which `resample` is signalled for; without, the signal is an edge. Both stay the
  // caller's. kUnsupported, with the reason, where the hypervisor cannot; there, taking it away is
  // no error.
  [[nodiscard]] virtual Result<void> register_irqfd(uint32_t gsi, int eventfd, int resample);
  [[nodiscard]] virtual Result<void> unregister_irqfd(uint32_t gsi, int eventfd);

  [[nodiscard]] virtual Result<std::vector<DeviceSnapshot>> snapshot_devices() const = 0;
  // The devices must be those of the snapshot; every mismatch is in the error's text.
  [[nodiscard]] virtual Result<void> restore_devices(std::span<const DeviceSnapshot> snapshots) = 0;

  // The way down to what only one hypervisor's machine has; null when this is not a T.
  template <class T>
  [[nodiscard]] T* as() {
    return dynamic_cast<T*>(this);
  }
  template <class T>
  [[nodiscard]] const T* as() const {
    return dynamic_cast<const T*>(this);
  }
};

// Makes machines. Thread-safe; outlives what it makes.
class Hypervisor {
 public:
  virtual ~Hypervisor() = default;
  [[nodiscard]] virtual const host::PlatformCapabilities& capabilities() const = 0;
  // kInvalidArgument for a configuration that is invalid or beyond capabilities().
  [[nodiscard]] virtual Result<std::unique_ptr<VirtualMachine>> create_vm(
      const VmConfig& config) = 0;
};

}  // namespace husk::machine
