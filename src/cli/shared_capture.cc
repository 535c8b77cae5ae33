#include "cli/shared_capture.h"

#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <filesystem>
#include <utility>

#include "base/try.h"
#include "cli/machines/each.h"
#include "cli/snapshot/serve.h"
#include "control/client.h"

namespace husk::cli {
namespace {

namespace fs = std::filesystem;

constexpr const char* kMemory = "/dev/shm";  // shm_overview(7)
constexpr const char* kPrefix = "husk-fork-";

fs::path home() {
  std::error_code error;
  return fs::is_directory(kMemory, error) ? fs::path(kMemory) : fs::temp_directory_path(error);
}

// Invalid: it is gone, not ours, or in use.
base::Fd lock(const std::string& folder) {
  base::Fd fd(::open(folder.c_str(), O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC));
  struct stat held{}, named{};
  if (!fd.valid() || ::fstat(fd.get(), &held) != 0 || held.st_uid != ::geteuid()) return {};
  if (::flock(fd.get(), LOCK_EX | LOCK_NB) != 0) return {};
  if (::lstat(folder.c_str(), &named) != 0 || named.st_ino != held.st_ino) return {};
  return fd;
}

// What processes left that were killed.
void sweep() {
  std::error_code error;
  for (const fs::directory_entry& entry : fs::directory_iterator(home(), error)) {
    if (!entry.path().filename().string().starts_with(kPrefix)) continue;
    if (lock(entry.path()).valid()) fs::remove_all(entry.path(), error);
  }
}

}  // namespace

SharedCapture::SharedCapture(std::string folder, base::Fd lock)
    : folder_(std::move(folder)), lock_(std::move(lock)), maker_(::getpid()) {}

SharedCapture::SharedCapture(SharedCapture&& other) noexcept
    : folder_(std::exchange(other.folder_, {})),
      lock_(std::move(other.lock_)),
      maker_(other.maker_) {}

SharedCapture::~SharedCapture() {
  if (folder_.empty() || ::getpid() != maker_) return;
  std::error_code ignored;
  fs::remove_all(folder_, ignored);
}

Result<SharedCapture> SharedCapture::make() {
  for (;;) {
    std::string folder = home() / (std::string(kPrefix) + "XXXXXX");
    if (::mkdtemp(folder.data()) == nullptr) return fail_errno(folder, "cannot be made");
    base::Fd held = lock(folder);
    if (held.valid()) return SharedCapture(std::move(folder), std::move(held));
    // Somebody has swept it before it was locked.
  }
}

Result<SharedCapture> SharedCapture::of(const registry::Machine& machine, bool live) {
  sweep();
  auto capture = HUSK_TRY(make());
  const api::Json request{
      {"verb", kSnapshotVerb}, {"to", capture.path()}, {"store", ""}, {"live", live}};
  HUSK_TRY(control::ask(machine.folder.at(registry::kControlSocket), request,
                        machines::label(machine.record), std::nullopt));
  return capture;
}

}  // namespace husk::cli
