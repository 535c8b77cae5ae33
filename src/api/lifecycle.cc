#include "husk/lifecycle.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <unistd.h>

#include <algorithm>

#include "api/proc_text.h"

namespace husk::lifecycle {

namespace {

constexpr size_t kMaxName = 128;

// Not isalnum(3), which asks the locale.
bool is_name_char(char c) {
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '-' ||
         c == '_' || c == '.';
}

std::unexpected<Error> invalid(std::string field, std::string why) {
  return fail(ErrorKind::kInvalidArgument, std::move(field), std::move(why));
}

bool is_address(const std::string& text) {
  in6_addr address;
  return ::inet_pton(AF_INET, text.c_str(), &address) == 1 ||
         ::inet_pton(AF_INET6, text.c_str(), &address) == 1;
}

}  // namespace

std::string ready_line(std::string_view ip) {
  return std::string(kReadyMarker) + " " + std::string(ip);
}

std::optional<std::string> parse_ready_line(std::string_view line) {
  line = api::trim(line);
  if (!line.starts_with(kReadyMarker)) return std::nullopt;
  line.remove_prefix(kReadyMarker.size());
  const std::string ip(api::trim(line));
  if (!line.starts_with(' ') || ip.find('\0') != std::string::npos || !is_address(ip))
    return std::nullopt;
  return ip;
}

VmSocketEndpoint::VmSocketEndpoint(int fd)
    : fd_(new int(fd), [](const int* owned) {
        ::close(*owned);
        delete owned;
      }) {}

Result<int> VmSocketEndpoint::try_clone_owned() const {
  const int copy = ::fcntl(*fd_, F_DUPFD_CLOEXEC, 0);
  if (copy < 0) return fail_errno("network socket", "cannot duplicate it");
  return copy;
}

// The order and the texts are the contract's.
Result<void> VmConfig::validate() const {
  if (name.empty()) return invalid("name", "VM name must not be empty");
  if (name.size() > kMaxName) return invalid("name", "VM name must be 128 characters or fewer");
  if (!std::ranges::all_of(name, is_name_char))
    return invalid(
        "name",
        "VM name must contain only alphanumeric characters, hyphens, underscores, and dots");
  if (name.front() == '.' || name.front() == '-')
    return invalid("name", "VM name must not start with '.' or '-'");
  if (cpus == 0) return invalid("cpus", "cpus must be at least 1");
  if (memory_mb == 0) return invalid("memory_mb", "memory_mb must be at least 1");
  if (kernel.empty()) return invalid("kernel", "kernel path must not be empty");
  return {};
}

std::optional<std::string> VmState::ip() const {
  return kind_ == Kind::kReady ? std::optional(detail_) : std::nullopt;
}

std::optional<std::string> VmState::reason() const {
  return kind_ == Kind::kFailed ? std::optional(detail_) : std::nullopt;
}

std::string VmState::to_string() const {
  switch (kind_) {
    case Kind::kStarting:
      return "starting";
    case Kind::kRunning:
      return "running";
    case Kind::kReady:
      return "ready (" + detail_ + ")";
    case Kind::kPaused:
      return "paused";
    case Kind::kStopped:
      return "stopped";
    case Kind::kFailed:
      break;
  }
  return "failed: " + detail_;
}

}  // namespace husk::lifecycle
