#include "husk/mapping.h"

#include <bit>
#include <limits>

#include "base/checked.h"
#include "base/try.h"

namespace husk::mapping {

namespace {

using Kind = seam::VcpuExit::Kind;
using lifecycle::VmState;
namespace exits = machine::exits;

template <class... F>
struct Overloaded : F... {
  using F::operator()...;
};

std::optional<std::string> text_of(const std::optional<std::filesystem::path>& path) {
  return path ? std::optional(path->string()) : std::nullopt;
}

seam::VcpuExit bare(Kind kind) {
  seam::VcpuExit exit;
  exit.kind = kind;
  return exit;
}

seam::VcpuExit port_exit(uint16_t port, uint8_t size, bool write, uint64_t data) {
  seam::VcpuExit exit;
  exit.kind = Kind::kIo;
  exit.port = port;
  exit.size = size;
  exit.write = write;
  exit.data = data;
  return exit;
}

seam::VcpuExit mmio_exit(uint64_t addr, uint8_t size, bool write, uint64_t data) {
  seam::VcpuExit exit;
  exit.kind = Kind::kMmio;
  exit.phys_addr = addr;
  exit.size = size;
  exit.write = write;
  exit.data = data;
  return exit;
}

}  // namespace

Result<uint64_t> bytes_from_mb(uint64_t megabytes) {
  const auto bytes = base::checked_mul<uint64_t>(megabytes, uint64_t{1} << 20);
  if (!bytes)
    return fail(ErrorKind::kInvalidArgument, "memory_mb", "is more than can be addressed");
  return *bytes;
}

Result<machine::VmConfig> to_machine(const lifecycle::VmConfig& config) {
  HUSK_TRY(config.validate());
  if (config.cpus > std::numeric_limits<uint32_t>::max())
    return fail(ErrorKind::kInvalidArgument, "cpus", "is more than can be numbered");
  machine::VmConfig result;
  result.vcpu_count = static_cast<uint32_t>(config.cpus);
  result.memory_size = HUSK_TRY(bytes_from_mb(config.memory_mb));
  result.kernel_path = config.kernel.string();
  result.kernel_cmdline = config.cmdline;
  result.initrd_path = text_of(config.initramfs);
  result.enable_rosetta = config.rosetta;
  result.cpu_model = config.cpu_model;
  return result;
}

VmState to_lifecycle(machine::VmState state, const GuestReport& report) {
  switch (state) {
    case machine::VmState::kCreated:
    case machine::VmState::kStarting:
      return VmState::starting();
    case machine::VmState::kRunning:
    case machine::VmState::kStopping:
      return report.ready_ip ? VmState::ready(*report.ready_ip) : VmState::running();
    case machine::VmState::kPaused:
      return VmState::paused();
    case machine::VmState::kStopped:
      return VmState::stopped();
    case machine::VmState::kError:
      break;
  }
  return VmState::failed(report.failure_reason.value_or("unknown"));
}

machine::VmState to_machine(const VmState& state) {
  switch (state.kind()) {
    case VmState::Kind::kStarting:
      return machine::VmState::kStarting;
    case VmState::Kind::kRunning:
    case VmState::Kind::kReady:
      return machine::VmState::kRunning;
    case VmState::Kind::kPaused:
      return machine::VmState::kPaused;
    case VmState::Kind::kStopped:
      return machine::VmState::kStopped;
    case VmState::Kind::kFailed:
      break;
  }
  return machine::VmState::kError;
}

std::optional<machine::VcpuExit> to_machine(const seam::VcpuExit& exit) {
  switch (exit.kind) {
    case Kind::kIo:
      if (exit.write) return exits::IoOut{exit.port, exit.size, exit.data};
      return exits::IoIn{exit.port, exit.size};
    case Kind::kMmio:
      if (exit.write) return exits::MmioWrite{exit.phys_addr, exit.size, exit.data};
      return exits::MmioRead{exit.phys_addr, exit.size};
    case Kind::kHalt:
      return exits::Halt{};
    case Kind::kShutdown:
    case Kind::kPowerOff:
      return exits::Shutdown{};
    case Kind::kReset:
      return exits::SystemReset{};
    case Kind::kHypercall:
      return exits::Hypercall{exit.data, {}};
    case Kind::kDebug:
      return exits::Debug{};
    case Kind::kUnknown:
      return exits::Unknown{std::bit_cast<int32_t>(exit.raw)};
    case Kind::kCanceled:
    case Kind::kException:
    case Kind::kVtimerActivated:
      break;
  }
  return std::nullopt;
}

seam::VcpuExit to_seam(const machine::VcpuExit& exit) {
  return std::visit(
      Overloaded{
          [](const exits::Halt&) { return bare(Kind::kHalt); },
          [](const exits::Shutdown&) { return bare(Kind::kShutdown); },
          [](const exits::SystemReset&) { return bare(Kind::kReset); },
          [](const exits::IoOut& io) { return port_exit(io.port, io.size, true, io.data); },
          [](const exits::IoIn& io) { return port_exit(io.port, io.size, false, 0); },
          [](const exits::MmioWrite& io) { return mmio_exit(io.addr, io.size, true, io.data); },
          [](const exits::MmioRead& io) { return mmio_exit(io.addr, io.size, false, 0); },
          [](const exits::Unknown& unknown) {
            seam::VcpuExit result = bare(Kind::kUnknown);
            result.raw = std::bit_cast<uint32_t>(unknown.code);
            return result;
          },
          [](const exits::Hypercall& call) {
            seam::VcpuExit result = bare(Kind::kHypercall);
            result.data = call.nr;
            return result;
          },
          [](const exits::Debug&) { return bare(Kind::kDebug); },
      },
      exit);
}

}  // namespace husk::mapping
