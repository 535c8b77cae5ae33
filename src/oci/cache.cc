#include "oci/cache.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <filesystem>

#include "base/directories.h"
#include "base/held_file.h"
#include "base/log.h"
#include "base/temp_file.h"
#include "base/try.h"
#include "oci/erofs_writer.h"

namespace husk::oci {
namespace {

// Another's entry, in whose favour ours was not taken, may be removed before it is looked at.
constexpr int kAttempts = 100;

}  // namespace

Result<std::string> default_cache_directory() {
  return base::default_directory("cache directory", "HUSK_CACHE", "XDG_CACHE_HOME", ".cache");
}

Result<Cache> Cache::open(const std::string& directory) {
  std::string images = directory + "/images";
  HUSK_TRY(base::make_directories(images, "cache directory"));
  return Cache(std::move(images));
}

std::string Cache::path_of(const Digest& digest) const {
  return fmt::format("{}/{}-{}-v{}.erofs", images_, digest.algorithm_name(), digest.hex,
                     kRootImageVersion);
}

Result<std::optional<base::Fd>> Cache::find(const Digest& digest) const {
  const std::string path = path_of(digest);
  auto fd = base::hold_file(path, "cached image");
  if (!fd && fd.error().kind == ErrorKind::kNotFound) return std::nullopt;
  if (!fd) return std::unexpected(std::move(fd.error()));
  const auto whole = check_root_image(fd->get(), path);
  if (whole) {
    base::mark_used(path);
    return std::move(*fd);
  }
  base::log(base::LogLevel::kWarn, "{}; it will be built again", whole.error().message());
  ::unlink(path.c_str());
  return std::nullopt;
}

Result<base::Fd> Cache::add(const Digest& digest,
                            const std::function<Result<void>(int fd)>& build) const {
  const std::string path = path_of(digest);
  base::TempFile file = HUSK_TRY(base::TempFile::create(images_));
  HUSK_TRY(build(file.fd()));
  HUSK_TRY(base::hold(file.fd(), path));
  for (int attempt = 0; attempt < kAttempts; ++attempt) {
    HUSK_TRY(file.publish(path));
    if (auto entry = HUSK_TRY(find(digest))) return std::move(*entry);
  }
  return fail(ErrorKind::kState, path, "vanishes from the cache as often as it is put there");
}

}  // namespace husk::oci
