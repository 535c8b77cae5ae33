// A VM as an operator sees it: how it is described, what identifies it, which state it is in (seed
// 004, config.rs). Memory is counted in megabytes of 2^20 bytes; husk/mapping.h converts.
#pragma once

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "husk/cpu_model.h"
#include "husk/error.h"

namespace husk::lifecycle {

// A guest says that it is ready by a line "VMRS_READY <ip>" on its serial console.
inline constexpr std::string_view kReadyMarker = "VMRS_READY";

[[nodiscard]] std::string ready_line(std::string_view ip);  // without a newline
// The address in a line of serial output, which a guest wrote: empty unless it is the marker, a
// space and an IPv4 or IPv6 address, white space around them aside.
[[nodiscard]] std::optional<std::string> parse_ready_line(std::string_view line);

// The VM's end of a Unix datagram socket pair whose other end is a port of a layer-2 switch. Copies
// share the descriptor; the last one closes it. Thread-safe.
class VmSocketEndpoint {
 public:
  // Takes ownership of `fd`, an open descriptor.
  explicit VmSocketEndpoint(int fd);
  [[nodiscard]] int raw_fd() const { return *fd_; }  // borrowed
  // A duplicate with close-on-exec, which the caller owns and closes.
  [[nodiscard]] Result<int> try_clone_owned() const;

 private:
  std::shared_ptr<const int> fd_;
};

struct SocketPairFd {
  VmSocketEndpoint endpoint;
};
struct Tap {
  std::string name;
  std::optional<std::string> mac;  // "aa:bb:cc:dd:ee:ff"
};
using NetworkAttachment = std::variant<SocketPairFd, Tap>;

// A host directory that the guest mounts by its tag.
struct SharedDir {
  std::filesystem::path host_path;
  std::string tag;
  bool read_only = false;

  bool operator==(const SharedDir&) const = default;
};

// Everything needed to boot a VM. Two ways:
// - initramfs, stateless: kernel, initramfs, cmdline, and shared directories that bring the
// configuration;
// - cloud-init, from disk: kernel, root_disk, and seed_iso with a NoCloud data source.
struct VmConfig {
  std::string name;            // unique; see validate()
  std::string namespace_name;  // groups VMs, such as a stack's name
  std::filesystem::path kernel;
  std::optional<std::filesystem::path> initramfs;
  std::optional<std::filesystem::path> root_disk;
  std::optional<std::filesystem::path> data_disk;
  std::optional<std::filesystem::path> seed_iso;
  uint64_t cpus = 0;
  uint64_t memory_mb = 0;
  std::vector<NetworkAttachment> networks;
  std::vector<SharedDir> shared_dirs;
  std::filesystem::path serial_log;
  std::optional<std::string> cmdline;  // absent: the driver's own
  std::optional<std::string> netns;    // run the VMM by `ip netns exec NETNS`
  bool vsock = false;
  std::optional<std::vector<std::byte>> machine_id;  // persistent, opaque, the driver's
  std::optional<std::filesystem::path> efi_variable_store;
  bool rosetta = false;  // translate programs of the other architecture
  // What the guest is shown of a processor: a part of what it is, which its snapshots record.
  CpuModel cpu_model = CpuModel::kHost;

  // kInvalidArgument for the first of these that fails: name not empty, at most 128 bytes, of ASCII
  // letters, digits, '-', '_' and '.', not starting with '.' or '-'; cpus and memory_mb at least 1;
  // kernel not empty. The error's subject is the field.
  [[nodiscard]] Result<void> validate() const;
};

// Which process runs a VM, told apart from a later one that got the same pid.
class VmmProcess {
 public:
  // `start_time_ticks` is field 22 of /proc/PID/stat; absent only where the platform has none.
  VmmProcess(uint32_t pid, std::optional<uint64_t> start_time_ticks)
      : pid_(pid), start_time_ticks_(start_time_ticks) {}
  // Of a process that exists now; kNotFound otherwise.
  [[nodiscard]] static Result<VmmProcess> of(uint32_t pid, const std::string& proc = "/proc");

  [[nodiscard]] uint32_t pid() const { return pid_; }
  [[nodiscard]] std::optional<uint64_t> start_time_ticks() const { return start_time_ticks_; }
  // Whether that very process still exists and is not a zombie.
  [[nodiscard]] bool is_alive(const std::string& proc = "/proc") const;

  bool operator==(const VmmProcess&) const = default;

 private:
  uint32_t pid_;
  std::optional<uint64_t> start_time_ticks_;
};

// A VM's state. Not to be ignored where it is returned.
class [[nodiscard]] VmState {
 public:
  enum class Kind : uint8_t {
    kStarting,
    kRunning,  // executing; whether the guest is ready is not known
    kReady,    // the guest printed the marker
    kPaused,
    kStopped,
    kFailed,  // did not boot, or crashed
  };

  static VmState starting() { return VmState(Kind::kStarting); }
  static VmState running() { return VmState(Kind::kRunning); }
  static VmState ready(std::string ip) { return VmState(Kind::kReady, std::move(ip)); }
  static VmState paused() { return VmState(Kind::kPaused); }
  static VmState stopped() { return VmState(Kind::kStopped); }
  static VmState failed(std::string reason) { return VmState(Kind::kFailed, std::move(reason)); }

  [[nodiscard]] Kind kind() const { return kind_; }
  [[nodiscard]] bool is_running() const { return kind_ == Kind::kRunning || kind_ == Kind::kReady; }
  [[nodiscard]] bool is_ready() const { return kind_ == Kind::kReady; }
  [[nodiscard]] std::optional<std::string> ip() const;      // only when ready
  [[nodiscard]] std::optional<std::string> reason() const;  // only when failed
  // "starting", "running", "ready (IP)", "paused", "stopped", "failed: REASON"; part of the
  // contract.
  [[nodiscard]] std::string to_string() const;

  bool operator==(const VmState&) const = default;

 private:
  explicit VmState(Kind kind, std::string detail = {}) : kind_(kind), detail_(std::move(detail)) {}

  Kind kind_;
  std::string detail_;
};

// A VM that was started, whether or not it still runs.
struct VmHandle {
  std::string name;
  std::string namespace_name;
  VmState state = VmState::starting();
  std::optional<VmmProcess> process;  // absent where the VM has none of its own
  std::filesystem::path serial_log;
  std::optional<std::vector<std::byte>> machine_id;
};

}  // namespace husk::lifecycle
