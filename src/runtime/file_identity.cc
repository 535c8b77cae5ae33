#include "runtime/file_identity.h"

#include <fmt/core.h>
#include <sys/stat.h>

namespace husk::runtime {

Result<std::string> file_identity(const std::string& path) {
  struct stat st{};
  if (::stat(path.c_str(), &st) != 0) return fail_errno(path, "cannot be looked at");
  return fmt::format("{} {}:{} {} {}.{}", path, st.st_dev, st.st_ino, st.st_size, st.st_mtim.tv_sec,
                     st.st_mtim.tv_nsec);
}

Result<std::string> program_identity() { return file_identity("/proc/self/exe"); }

}  // namespace husk::runtime
