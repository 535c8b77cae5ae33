// husk boot: a bare kernel with its serial console on the terminal.
#include <fcntl.h>
#include <fmt/core.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/fd.h"
#include "base/log.h"
#include "base/try.h"
#include "cli/exit_codes.h"
#include "cli/report.h"
#include "cli/size.h"
#include "cli/terminal.h"
#include "cli/verbs.h"
#include "runtime/machine.h"

namespace husk::cli {
namespace {

constexpr uint64_t kLeastMemory = uint64_t{2} << 20;
constexpr uint32_t kMostCpus = 64;

struct BootOptions {
  std::string kernel;
  std::string initrd;
  std::string append = "console=ttyS0";
  std::string memory = "512M";
  std::string backend = "auto";
  uint32_t cpus = 1;
  bool debug_exit = false;
  bool test_device = false;
};

// A file mapped read-only.
Result<base::Mapping> map_file(const std::string& path, const std::string& role) {
  const base::Fd fd = HUSK_TRY(base::open_file(path, O_RDONLY, role));
  struct stat st{};
  if (::fstat(fd.get(), &st) != 0) return fail_errno(path, "cannot stat " + role);
  if (!S_ISREG(st.st_mode)) return fail(ErrorKind::kInvalidArgument, path, role + " is not a file");
  if (st.st_size == 0) return fail(ErrorKind::kCorrupt, path, "empty " + role);
  return base::Mapping::map(static_cast<size_t>(st.st_size), PROT_READ, MAP_PRIVATE, fd.get(), 0,
                            path);
}

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
    default:
      return report("the built-in CPU stopped unexpectedly");
  }
}

Result<int> boot(const BootOptions& options) {
  runtime::BoardOptions board;
  board.memory_bytes = HUSK_TRY(parse_memory(options.memory, kLeastMemory));
  if (options.cpus < 1 || options.cpus > kMostCpus)
    return fail(ErrorKind::kInvalidArgument, "--cpus", fmt::format("must be 1 to {}", kMostCpus));
  board.vcpus = options.cpus;
  board.debug_exit = options.debug_exit;
  board.test_device = options.test_device;
  const base::Mapping kernel = HUSK_TRY(map_file(options.kernel, "kernel"));
  base::Mapping initrd;
  if (!options.initrd.empty()) initrd = HUSK_TRY(map_file(options.initrd, "initrd"));

  ConsoleOutput console(STDOUT_FILENO);
  auto machine = HUSK_TRY(runtime::Machine::create(board, console));
  boot::KernelRequest request;
  request.name = options.kernel;
  request.kernel = kernel.bytes();
  request.initrd = initrd.bytes();
  request.initrd_name = options.initrd;
  request.command_line = command_line(options);
  const auto loaded = HUSK_TRY(machine->load(request));
  base::log(base::LogLevel::kDebug, "booting {} ({})", options.kernel,
            loaded.version.empty() ? "no version" : loaded.version);

  const RawTerminal terminal;
  machine->start();
  {
    const InputPump input(STDIN_FILENO, [&](std::span<const std::byte> data) {
      return machine->board().serial().push(data);
    });
    machine->end().wait_until_reached();
  }
  machine->join();
  return exit_code(machine->end(), console);
}

int run(const BootOptions& options) {
  const auto code = boot(options);
  return code ? *code : report(code.error());
}

}  // namespace

void add_boot(CLI::App& app, Action& chosen) {
  auto options = std::make_shared<BootOptions>();
  auto* verb = app.add_subcommand("boot", "Boot a kernel with its serial console on the terminal");
  verb->add_option("--kernel", options->kernel, "bzImage, ELF with PVH, or Multiboot kernel")
      ->required();
  verb->add_option("--initrd", options->initrd, "Initial RAM disk");
  verb->add_option("--append", options->append, "Kernel command line")->capture_default_str();
  verb->add_option("--memory", options->memory, "Memory, such as 512M")->capture_default_str();
  verb->add_option("--cpus", options->cpus, "Number of vCPUs")->capture_default_str();
  verb->add_option("--backend", options->backend, "auto or soft")
      ->check(CLI::IsMember({"auto", "soft"}));
  verb->add_flag("--debug-exit", options->debug_exit, "QEMU's isa-debug-exit at port 0xf4");
  verb->add_flag("--test-device", options->test_device, "QEMU's pc-testdev ports");
  verb->callback([options, &chosen] { chosen = [options] { return run(*options); }; });
}

}  // namespace husk::cli
