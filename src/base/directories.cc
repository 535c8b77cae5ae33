#include "base/directories.h"

#include <fmt/core.h>
#include <sys/stat.h>

#include <cerrno>
#include <cstdlib>
#include <filesystem>

#include "base/try.h"

namespace husk::base {

std::string environment(const char* name) {
  const char* value = std::getenv(name);
  return value == nullptr ? std::string() : value;
}

Result<std::string> default_directory(const std::string& role, const char* own, const char* xdg,
                                      const char* below_home) {
  if (auto directory = environment(own); !directory.empty()) return directory;
  if (const auto base = environment(xdg); base.starts_with('/')) return base + "/husk";
  if (const auto home = environment("HOME"); home.starts_with('/'))
    return fmt::format("{}/{}/husk", home, below_home);
  return fail(ErrorKind::kNotFound, role, fmt::format("none of {}, {} and HOME is set", own, xdg));
}

Result<void> make_directories(const std::string& path, const std::string& role) {
  if (::mkdir(path.c_str(), 0700) == 0 || errno == EEXIST) return {};
  const std::string parent = std::filesystem::path(path).parent_path();
  if (errno != ENOENT || parent == path || parent.empty())
    return fail_errno(path, "cannot make the " + role);
  HUSK_TRY(make_directories(parent, role));
  if (::mkdir(path.c_str(), 0700) == 0 || errno == EEXIST) return {};
  return fail_errno(path, "cannot make the " + role);
}

}  // namespace husk::base
