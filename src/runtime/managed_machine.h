// Husk's own VirtualMachine in managed execution: start() builds the machine from its configuration
// and runs the guest on threads of its own; vCPUs are handles. What differs between backends is
// behind the RunFactory; see machine_run.h.
#pragma once

#include <atomic>
#include <functional>
#include <memory>
#include <set>
#include <string>
#include <vector>

#include "husk/machine.h"

#include "contract/byte_channel.h"
#include "gdb/server.h"
#include "runtime/machine_run.h"
#include "runtime/memory_view.h"
#include "runtime/vsock_link.h"
#include "virtio/device.h"

namespace husk::runtime {

// What a machine of ours has beyond machine::VmConfig.
struct MachineExtras {
  // The serial port; outlives the machine; null: dropped.
  contract::ByteSink* serial_output = nullptr;
  std::string initrd;  // the bytes themselves, in place of VmConfig::initrd_path
  bool debug_exit = false;
  bool test_device = false;
  std::string debugger;            // where one may connect (gdb/listener.h); empty: nowhere
  bool wait_for_debugger = false;  // before the first instruction
  bool track_writes = false;       // of a restored machine's memory, from its start on
};

using DeviceFactory = std::function<Result<std::unique_ptr<virtio::Device>>()>;
using RunFactory = std::function<Result<std::unique_ptr<MachineRun>>(
    const BoardOptions&, memory::GuestMemory&, contract::ByteSink& serial_output)>;

class ManagedMachine final : public machine::VirtualMachine {
 public:
  // Takes the guest's RAM from the host, page by page as it is touched.
  [[nodiscard]] static Result<std::unique_ptr<ManagedMachine>> create(machine::VmConfig config,
                                                                      RunFactory factory);
  ~ManagedMachine() override;

  bool is_managed_execution() const override { return true; }
  machine::VmState state() const override { return state_.load(std::memory_order_acquire); }
  uint32_t vcpu_count() const override { return config_.vcpu_count; }
  machine::GuestMemory& memory() override { return view_; }
  Result<std::unique_ptr<machine::Vcpu>> create_vcpu(uint32_t id) override;
  Result<void> exit_on_hypercalls(bool on) override;
  // Disks, consoles (that nobody listens to: see add_device), entropy, and one vsock, whose `path`
  // is where its host's side listens (net/vsock_unix.h); kUnsupported for others.
  Result<void> add_virtio_device(const VirtioDeviceConfig& device) override;
  Result<void> start() override;
  Result<void> pause() override;
  Result<void> resume() override;
  Result<void> stop() override;
  Result<void> register_irqfd(uint32_t gsi, int eventfd, int resample) override;
  Result<void> unregister_irqfd(uint32_t gsi, int eventfd) override;
  Result<std::vector<DeviceSnapshot>> snapshot_devices() const override;
  Result<void> restore_devices(std::span<const DeviceSnapshot> snapshots) override;

  // What only a machine of ours has; before the first start.
  [[nodiscard]] Result<void> set_extras(MachineExtras extras);
  // A device made anew at each start, recorded as `config`.
  [[nodiscard]] Result<void> add_device(const VirtioDeviceConfig& config, DeviceFactory factory);

  // A stream socket to a port of the guest's, which is the caller's. kState: not running or without
  // a vsock; kNotFound: the guest refused; kTimeout: it has not answered. While it runs, any
  // thread.
  [[nodiscard]] Result<base::Fd> connect_vsock(uint32_t port, const net::Patience& patience = {});

  // While paused: all but memory.
  [[nodiscard]] Result<MachineState> capture();
  // In place of start(): goes on from there, for a machine of the same shape that has not been
  // started yet and whose memory holds what the captured one's held.
  [[nodiscard]] Result<void> start_from(const MachineState& state);
  // The same with memory that was restored elsewhere, which the machine takes in place of its own.
  [[nodiscard]] Result<void> start_from(const MachineState& state,
                                        std::unique_ptr<memory::GuestMemory> memory);
  [[nodiscard]] memory::GuestMemory& guest_memory() { return *memory_; }

  // Lets debuggers connect at `where` (gdb/listener.h), unless they may already, while it runs or
  // is paused. Returns what GDB calls that place. One thread at a time.
  [[nodiscard]] Result<std::string> open_debugger(const std::string& where);

  // Once it has started. Any thread, for both.
  size_t send_serial(std::span<const std::byte> data);
  [[nodiscard]] MachineEnd& end() { return run_->end(); }
  // Where the debuggers of MachineExtras connect, as GDB calls it.
  [[nodiscard]] const std::string& debugger_address() const { return debugger_->address(); }
  // Returns when the guest has ended and no thread of it runs any more.
  const MachineEnd& wait();
  // Ends the guest if there is one, whatever the state; returns as wait() does.
  void halt();
  // "Linux 6.1.0-56-cloud-amd64, unpacked (lz4), PVH entry"
  [[nodiscard]] const std::string& kernel_description() const { return kernel_description_; }

 private:
  friend class ManagedVcpu;
  struct Slot {
    VirtioDeviceConfig config;
    DeviceFactory factory;
  };
  class DroppedOutput : public contract::ByteSink {
    void write(std::span<const std::byte>) override {}
  };

  ManagedMachine(machine::VmConfig config, std::unique_ptr<memory::GuestMemory> memory,
                 RunFactory factory);
  using Preparation = std::function<Result<void>(MachineRun&)>;
  // From created or stopped to running; `prepare` gives vCPUs and devices their state.
  [[nodiscard]] Result<void> launch(const Preparation& prepare);
  [[nodiscard]] Result<std::unique_ptr<MachineRun>> build(const Preparation& prepare);
  [[nodiscard]] Result<void> attach_devices(Board& board);
  [[nodiscard]] Result<void> add_vsock(const VirtioDeviceConfig& config);
  [[nodiscard]] bool has_vsock() const;
  [[nodiscard]] Result<void> load_kernel(MachineRun& run);
  [[nodiscard]] Result<void> await_debugger();  // as extras want it
  [[nodiscard]] Result<void> serve_debuggers(const std::string& where);
  void close_debugger();
  void finished(MachineRun& run);
  // The run, for what may only be done while it is paused.
  [[nodiscard]] Result<MachineRun*> paused_run();
  // The run of a guest that has started and not stopped.
  [[nodiscard]] Result<MachineRun*> live_run();

  machine::VmConfig config_;
  MachineExtras extras_;
  std::unique_ptr<memory::GuestMemory> memory_;
  MemoryView view_;
  RunFactory factory_;
  std::vector<Slot> devices_;
  VsockLink vsock_;
  std::set<uint32_t> created_vcpus_;
  std::atomic<machine::VmState> state_{machine::VmState::kCreated};
  DroppedOutput dropped_;
  std::string kernel_description_;
  std::unique_ptr<MachineRun> run_;
  std::unique_ptr<gdb::Server> debugger_;  // of run_
};

}  // namespace husk::runtime
