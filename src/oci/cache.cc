#include "oci/cache.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <filesystem>

#include "base/directories.h"
#include "base/log.h"
#include "base/temp_file.h"
#include "base/try.h"
#include "oci/erofs_writer.h"

namespace husk::oci {

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
  base::Fd fd(::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NOFOLLOW));
  if (!fd.valid() && errno == ENOENT) return std::nullopt;
  if (!fd.valid()) return fail_errno(path, "cannot open the cached image");
  const auto whole = check_root_image(fd.get(), path);
  if (whole) return std::optional(std::move(fd));
  base::log(base::LogLevel::kWarn, "{}; it will be built again", whole.error().message());
  ::unlink(path.c_str());
  return std::nullopt;
}

Result<base::Fd> Cache::add(const Digest& digest,
                            const std::function<Result<void>(int fd)>& build) const {
  const std::string path = path_of(digest);
  base::TempFile file = HUSK_TRY(base::TempFile::create(images_));
  HUSK_TRY(build(file.fd()));
  HUSK_TRY(file.publish(path));
  auto entry = HUSK_TRY(find(digest));
  if (!entry) return fail(ErrorKind::kState, path, "vanished from the cache; was it cleaned?");
  return std::move(*entry);
}

}  // namespace husk::oci
