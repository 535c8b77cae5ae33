#include "runtime/container_record.h"

#include <fcntl.h>
#include <fmt/core.h>
#include <sys/stat.h>

#include <algorithm>
#include <filesystem>
#include <span>
#include <vector>

#include "husk/host.h"

#include "base/fd.h"
#include "base/try.h"
#include "oci/cache.h"
#include "runtime/machine_snapshot.h"
#include "snapshot/manifest.h"
#include "snapshot/sha256.h"

namespace husk::runtime {
namespace {

// Names in Origin::identity, which every reader of the format passes over but this one.
constexpr const char* kKind = "kind";
constexpr const char* kContainer = "container";
constexpr const char* kName = "name";
constexpr const char* kImage = "image";
constexpr const char* kStopSignal = "stop_signal";
constexpr const char* kRoot = "root";
constexpr const char* kFingerprint = "root_fingerprint";
constexpr const char* kKernel = "kernel";
constexpr const char* kFlags = "flags";
constexpr const char* kTerminal = "terminal ";
constexpr const char* kInput = "input ";
constexpr const char* kVsock = "vsock ";
constexpr const char* kIrqchip = "kernel-irqchip ";

constexpr std::string_view kAgentState = "agent";

constexpr uint64_t kLookedAt = 64 << 10;

// Tells root images apart, not whether one is damaged: its size, and its beginning, where EROFS has
// a UUID that is the image's digest.
Result<std::string> fingerprint(const std::string& path) {
  const base::Fd fd = HUSK_TRY(base::open_file(path, O_RDONLY, "root image"));
  struct stat st{};
  if (::fstat(fd.get(), &st) != 0) return fail_errno(path, "cannot stat");
  const auto size = static_cast<uint64_t>(st.st_size);
  std::vector<std::byte> front(std::min(size, kLookedAt));
  HUSK_TRY(base::read_exact(fd.get(), front, 0, path));
  return fmt::format("{} {}", size, snapshot::to_hex(snapshot::sha256(front)));
}

// A snapshot names a file among this user's root images, and no other one: its guest reads it.
Result<std::string> root_path(const std::string& file, const std::string& subject) {
  if (!snapshot::is_file_name(file))
    return fail(ErrorKind::kCorrupt, subject, "names no root image");
  return HUSK_TRY(oci::default_cache_directory()) + "/images/" + file;
}

Result<void> check_root(const std::string& path, const std::string& expected,
                        const std::string& image) {
  struct stat st{};
  if (::stat(path.c_str(), &st) != 0)
    return fail(
        ErrorKind::kNotFound, path,
        "the snapshot's root image is gone; `husk run` of image " + image + " makes it anew");
  if (HUSK_TRY(fingerprint(path)) != expected)
    return fail(ErrorKind::kState, path, "is another root image than the snapshot's, " + image);
  return {};
}

std::string_view name_of(CpuArch arch) { return arch == CpuArch::kX86_64 ? "x86-64" : "aarch64"; }

Result<void> check_architecture(CpuArch arch, const std::string& subject) {
  if (arch == host::native_arch()) return {};
  return fail(ErrorKind::kUnsupported, subject,
              fmt::format("is of a machine for {}; this host's are for {}", name_of(arch),
                          name_of(host::native_arch())));
}

}  // namespace

Result<void> put_record(const ContainerRecord& record, snapshot::Contents& contents) {
  contents.machine.arch = host::native_arch();
  contents.origin.backend = record.backend;
  contents.origin.cpu_model = name(record.config.cpu_model);
  auto& identity = contents.origin.identity;
  const std::string root = record.config.root_disk.value_or("").string();
  identity[kKind] = kContainer;
  identity[kName] = record.config.name;
  identity[kImage] = record.image;
  identity[kStopSignal] = record.stop_signal;
  identity[kRoot] = std::filesystem::path(root).filename();
  identity[kFingerprint] = HUSK_TRY(fingerprint(root));
  identity[kKernel] = record.config.kernel.string();
  std::string& flags = identity[kFlags];
  if (record.terminal) flags += kTerminal;
  if (record.input) flags += kInput;
  if (record.config.vsock) flags += kVsock;
  if (record.kernel_irqchip) flags += kIrqchip;
  return {};
}

Result<ContainerRecord> get_record(const snapshot::Contents& contents, const std::string& subject) {
  const snapshot::Origin& origin = contents.origin;
  const auto value = [&](const char* name) {
    const auto found = origin.identity.find(name);
    return found == origin.identity.end() ? std::string() : found->second;
  };
  if (value(kKind) != kContainer)
    return fail(ErrorKind::kInvalidArgument, subject, "is no snapshot of a container");
  HUSK_TRY(check_architecture(contents.machine.arch, subject));
  const auto model = parse_cpu_model(origin.cpu_model);
  if (!model) return fail(ErrorKind::kCorrupt, subject, "names no CPU model that there is");
  ContainerRecord record;
  record.backend = origin.backend;
  record.image = value(kImage);
  record.stop_signal = value(kStopSignal);
  const std::string flags = value(kFlags);
  const auto has = [&](const char* flag) { return flags.find(flag) != std::string::npos; };
  record.terminal = has(kTerminal);
  record.input = has(kInput);
  record.kernel_irqchip = has(kIrqchip);
  record.config.vsock = has(kVsock);
  record.config.name = value(kName);
  record.config.namespace_name = "default";
  record.config.kernel = value(kKernel);
  const std::string root = HUSK_TRY(root_path(value(kRoot), subject));
  record.config.root_disk = root;
  record.config.cpu_model = *model;
  record.config.cpus = contents.machine.vcpus.size();
  record.config.memory_mb = contents.machine.total_memory >> 20;
  HUSK_TRY(check_root(root, value(kFingerprint), record.image));
  HUSK_TRY(record.config.validate());
  return record;
}

void put_position(const agent::Position& position, snapshot::Contents& contents) {
  const std::string text = agent::encode_position(position);
  const auto bytes = std::as_bytes(std::span(text));
  contents.states.push_back({std::string(kAgentState), {bytes.begin(), bytes.end()}});
}

Result<agent::Position> take_position(snapshot::Contents& contents) {
  const auto bytes = HUSK_TRY(take_state(contents, kAgentState));
  auto position =
      agent::decode_position({reinterpret_cast<const char*>(bytes.data()), bytes.size()});
  if (!position) return fail(ErrorKind::kCorrupt, "snapshot", "tells no position of its agent");
  return std::move(*position);
}

}  // namespace husk::runtime
