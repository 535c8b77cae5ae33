#include "agent/guest/users.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <charconv>
#include <functional>
#include <optional>

namespace husk::agent {
namespace {

constexpr size_t kLargestFile = 4 << 20;
constexpr uint32_t kLargestId = 0x7fffffff;  // what container engines agree on
constexpr const char* kOutOfRange = "uids and gids must be in range 0-2147483647";

std::string read_file(const char* path) {
  const int fd = ::open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
  if (fd < 0) return {};
  struct stat st{};
  std::string text;
  if (::fstat(fd, &st) == 0 && S_ISREG(st.st_mode) &&
      static_cast<size_t>(st.st_size) <= kLargestFile) {
    text.resize(static_cast<size_t>(st.st_size));
    const ssize_t n = ::read(fd, text.data(), text.size());
    text.resize(n < 0 ? 0 : static_cast<size_t>(n));
  }
  ::close(fd);
  return text;
}

std::vector<std::string> split(const std::string& text, char separator) {
  std::vector<std::string> parts;
  size_t at = 0;
  for (size_t end; (end = text.find(separator, at)) != std::string::npos; at = end + 1)
    parts.push_back(text.substr(at, end - at));
  parts.push_back(text.substr(at));
  return parts;
}

// Calls `visit` with the fields of each line until it returns true.
void each_line(const char* path,
               const std::function<bool(const std::vector<std::string>&)>& visit) {
  for (const std::string& line : split(read_file(path), '\n')) {
    if (visit(split(line, ':'))) return;
  }
}

std::optional<uint32_t> number(const std::string& text) {
  uint32_t value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc{} || end != text.data() + text.size() || text.empty()) return std::nullopt;
  return value;
}

bool is_integer(const std::string& text) {
  const size_t digits = text.find_first_not_of("0123456789", text.starts_with('-') ? 1 : 0);
  return digits == std::string::npos && !text.empty() && text != "-";
}

// Why nobody has this name.
std::string unknown(const std::string& kind, const std::string& name, const char* file) {
  if (is_integer(name)) return kOutOfRange;
  return "unable to find " + kind + " " + name + ": no matching entries in " + file + " file";
}

}  // namespace

bool resolve_user(const std::string& text, Identity& identity, std::string& error,
                  const UserFiles& files) {
  const size_t colon = text.find(':');
  std::string user = text.substr(0, colon);
  const std::string group = colon == std::string::npos ? "" : text.substr(colon + 1);
  if (user.empty()) user = "0";
  const auto uid = number(user);
  std::string name;
  bool found = false;
  // name:password:uid:gid:comment:home:shell
  each_line(files.passwd, [&](const std::vector<std::string>& fields) {
    if (fields.size() < 6) return false;
    const auto id = number(fields[2]);
    const auto primary = number(fields[3]);
    if (!id || !primary || (fields[0] != user && (!uid || *uid != *id))) return false;
    identity.uid = *id;
    identity.gid = *primary;
    identity.home = fields[5].empty() ? "/" : fields[5];
    name = fields[0];
    found = true;
    return true;
  });
  if (!found && !uid) {
    error = unknown("user", user, "passwd");
    return false;
  }
  if (!found) identity.uid = *uid;
  if (identity.uid == 0 && !found) identity.home = "/root";
  const auto gid = number(group);
  bool group_found = false;
  // name:password:gid:members
  each_line(files.group, [&](const std::vector<std::string>& fields) {
    if (fields.size() < 4) return false;
    const auto id = number(fields[2]);
    if (!id) return false;
    if (!group.empty()) {
      if (fields[0] != group && (!gid || *gid != *id)) return false;
      identity.gid = *id;
      group_found = true;
      return true;
    }
    for (const std::string& member : split(fields[3], ',')) {
      if (!name.empty() && member == name) identity.groups.push_back(*id);
    }
    return false;
  });
  if (!group.empty() && !group_found) {
    if (!gid) {
      error = unknown("group", group, "group");
      return false;
    }
    identity.gid = *gid;
  }
  if (identity.uid > kLargestId || identity.gid > kLargestId) {
    error = kOutOfRange;
    return false;
  }
  return true;
}

}  // namespace husk::agent
