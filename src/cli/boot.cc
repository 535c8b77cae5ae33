// husk boot: a bare kernel with its serial console on the terminal.
#include <fmt/core.h>
#include <unistd.h>

#include <csignal>

#include "base/try.h"
#include "cli/exit_codes.h"
#include "cli/machine_flags.h"
#include "cli/report.h"
#include "cli/terminal.h"
#include "cli/verbs.h"
#include "runtime/hypervisor.h"
#include "runtime/managed_machine.h"

namespace husk::cli {
namespace {

constexpr uint64_t kLeastMemory = uint64_t{2} << 20;

struct BootOptions {
  std::string kernel;
  std::string initrd;
  std::string append = "console=" + std::string(runtime::kSerialConsole);
  std::vector<std::string> disks;
  std::string vsock;
  MachineFlags machine;
  bool debug_exit = false;
  bool test_device = false;
  std::string gdb;
  bool gdb_wait = false;
};

// A guest that panics restarts at once, which ends the run, unless the user wants it otherwise.
std::string command_line(const BootOptions& options) {
  if (options.append.find("panic=") != std::string::npos) return options.append;
  return options.append + " panic=-1";
}

int exit_code(const runtime::MachineEnd& end, const ConsoleOutput& console) {
  switch (end.reason()) {
    case runtime::EndReason::kPowerOff:
      return 0;
    case runtime::EndReason::kDebugExit:
      return static_cast<int>((end.code() << 1 | 1) & 0xff);
    case runtime::EndReason::kReset:
    case runtime::EndReason::kTripleFault:
      if (!console.panic().empty()) {
        report("guest kernel panic: " + console.panic());
        return kGuestPanic;
      }
      if (end.reason() == runtime::EndReason::kReset) return 0;
      report("guest stopped by a triple fault");
      return kGuestPanic;
    case runtime::EndReason::kStopped:
      report("ended by a debugger");
      return 128 + SIGKILL;
    default:
      return report("the backend gave up on the guest (see --debug)");
  }
}

// "FILE" or "FILE,ro"; a comma that belongs to the name is only before what is neither.
VirtioDeviceConfig parse_disk(const std::string& text) {
  constexpr std::string_view kReadOnly = ",ro";
  if (!text.ends_with(kReadOnly)) return VirtioDeviceConfig::block(text, false);
  return VirtioDeviceConfig::block(text.substr(0, text.size() - kReadOnly.size()), true);
}

Result<machine::VmConfig> configure(const BootOptions& options) {
  machine::VmConfig config;
  const MachineChoice machine = HUSK_TRY(resolve(options.machine, kLeastMemory));
  config.memory_size = machine.memory_bytes;
  config.vcpu_count = machine.vcpus;
  config.cpu_model = machine.cpu_model;
  config.kernel_irqchip = machine.kernel_irqchip;
  config.kernel_path = options.kernel;
  config.kernel_cmdline = command_line(options);
  if (!options.initrd.empty()) config.initrd_path = options.initrd;
  if (options.gdb_wait && options.gdb.empty())
    return fail(ErrorKind::kInvalidArgument, "--gdb-wait", "needs --gdb, or nobody will come");
  return config;
}

Result<int> boot(const BootOptions& options) {
  const machine::VmConfig config = HUSK_TRY(configure(options));
  ConsoleOutput console(STDOUT_FILENO);
  const auto hypervisor = HUSK_TRY(runtime::open_hypervisor(options.machine.backend));
  const auto vm = HUSK_TRY(hypervisor->create_vm(config));
  auto& machine = *vm->as<runtime::ManagedMachine>();
  runtime::MachineExtras extras;
  extras.serial_output = &console;
  extras.debug_exit = options.debug_exit;
  extras.test_device = options.test_device;
  extras.debugger = options.gdb;
  extras.wait_for_debugger = options.gdb_wait;
  HUSK_TRY(machine.set_extras(std::move(extras)));
  for (const std::string& disk : options.disks) HUSK_TRY(vm->add_virtio_device(parse_disk(disk)));
  HUSK_TRY(vm->add_virtio_device(VirtioDeviceConfig::entropy()));
  if (!options.vsock.empty()) {
    VirtioDeviceConfig vsock = VirtioDeviceConfig::vsock();
    vsock.path = options.vsock;
    HUSK_TRY(vm->add_virtio_device(vsock));
  }

  HUSK_TRY(vm->start());
  if (!options.gdb.empty())
    fmt::print(stderr, "husk: target remote {}\n", machine.debugger_address());
  const RawTerminal terminal;
  {
    const InputPump input(
        STDIN_FILENO, [&](std::span<const std::byte> data) { return machine.send_serial(data); });
    machine.wait();
  }
  return exit_code(machine.end(), console);
}

}  // namespace

void add_boot(Verb& husk) {
  auto options = std::make_shared<BootOptions>();
  Verb verb = husk.verb("boot", "Boot a kernel with its serial console on the terminal");
  verb.required("--kernel", options->kernel, "bzImage, ELF with PVH, or Multiboot kernel")
      .option("--initrd", options->initrd, "Initial RAM disk")
      .option("--append", options->append, "Kernel command line")
      .option("--disk", options->disks, "A disk: FILE, or FILE,ro to keep it as it is")
      .option("--vsock", options->vsock, "Socket that leads to the guest's vsock ports")
      .flag("--debug-exit", options->debug_exit, "QEMU's isa-debug-exit at port 0xf4")
      .flag("--test-device", options->test_device, "QEMU's pc-testdev ports")
      .option("--gdb", options->gdb, "Where GDB may connect: PORT of 127.0.0.1, or unix:PATH")
      .flag("--gdb-wait", options->gdb_wait, "Wait for it before the first instruction");
  add_machine_flags(verb, options->machine);
  verb.run([options] { return finish(boot(*options)); });
}

}  // namespace husk::cli
