#include "runtime/guest_kernel.h"

#include <fmt/core.h>

#include <cstdlib>
#include <filesystem>
#include <vector>

#include "base/fd.h"
#include "base/try.h"
#include "boot/mapped_file.h"
#include "guest.h"

namespace husk::runtime {
namespace {

namespace fs = std::filesystem;

std::vector<fs::path> default_directories() {
  std::vector<fs::path> directories;
  if (const char* chosen = std::getenv("HUSK_GUEST_DIR")) directories.emplace_back(chosen);
  std::error_code ignored;
  const fs::path program = fs::read_symlink("/proc/self/exe", ignored);
  directories.push_back(program.parent_path().parent_path().parent_path() / ".cache/guest");
  directories.emplace_back("/usr/share/husk/guest");
  return directories;
}

}  // namespace

Result<GuestKernel> find_guest_kernel(const std::string& wanted) {
  std::error_code ignored;
  GuestKernel kernel{wanted, {}};
  if (wanted.empty()) {
    for (const fs::path& directory : default_directories()) {
      if (!fs::exists(directory / "vmlinuz", ignored)) continue;
      kernel.path = directory / "vmlinuz";
      break;
    }
    if (kernel.path.empty())
      return fail(ErrorKind::kNotFound, "guest kernel",
                  "none is installed; name one with --kernel, or run make guest");
  }
  // Mapped: the release is in the first pages, and nobody reads the rest for a warm start.
  const base::Mapping file = HUSK_TRY(boot::map_file(kernel.path, "kernel"));
  const std::string release = kernel_release({file.data(), file.size()});
  if (release.empty())
    return fail(ErrorKind::kUnsupported, kernel.path,
                fmt::format("not {} that names its release", kKernelKind));
  const fs::path beside = fs::path(kernel.path).parent_path() / "lib/modules" / release;
  for (const fs::path& candidate : {beside, fs::path("/lib/modules") / release}) {
    if (fs::exists(candidate / "modules.dep", ignored)) kernel.modules = candidate;
    if (!kernel.modules.empty()) return kernel;
  }
  return fail(ErrorKind::kNotFound, kernel.path,
              "no modules for release " + release + " beside it or in /lib/modules");
}

}  // namespace husk::runtime
