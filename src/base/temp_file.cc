#include "base/temp_file.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/file.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <filesystem>

#include "base/try.h"

namespace husk::base {
namespace {

constexpr std::string_view kPrefix = ".building-";
constexpr int kNameAttempts = 100;

// open(2): what O_TMPFILE says on a kernel or file system without it.
bool lacks_tmpfile(int error) {
  return error == EOPNOTSUPP || error == EISDIR || error == ENOENT || error == EINVAL;
}

Fd open_tmpfile(const std::string& directory) {
  return Fd(::open(directory.c_str(), O_TMPFILE | O_RDWR | O_CLOEXEC, 0600));
}

std::string random_name() {
  uint64_t number = 0;
  if (::getrandom(&number, sizeof number, 0) != sizeof number)
    number = static_cast<uint64_t>(::getpid());
  return fmt::format("{}{:016x}", kPrefix, number);
}

// Locked and still there: a sweeper may have come between the creation and the lock.
bool is_ours(const Fd& fd) {
  struct stat st{};
  return ::flock(fd.get(), LOCK_EX | LOCK_NB) == 0 && ::fstat(fd.get(), &st) == 0 &&
         st.st_nlink == 1;
}

// O_TMPFILE's inode is linked through /proc, which needs no privilege, unlike AT_EMPTY_PATH
// (linkat(2)).
int link_nameless(int fd, const std::string& path) {
  const std::string self = fmt::format("/proc/self/fd/{}", fd);
  if (::linkat(AT_FDCWD, self.c_str(), AT_FDCWD, path.c_str(), AT_SYMLINK_FOLLOW) == 0) return 0;
  if (errno != ENOENT) return -1;
  return ::linkat(fd, "", AT_FDCWD, path.c_str(), AT_EMPTY_PATH);
}

// A name survives a crash only once its directory is on the disk (fsync(2)).
Result<void> sync_directory_of(const std::string& path) {
  const std::string directory = std::filesystem::path(path).parent_path().string();
  const Fd fd = HUSK_TRY(
      open_file(directory.empty() ? "." : directory, O_RDONLY | O_DIRECTORY, "a directory"));
  if (::fsync(fd.get()) != 0) return fail_errno(directory, "cannot write to the disk");
  return {};
}

}  // namespace

// A file whose maker lives is locked; one that can be locked was left behind.
unsigned sweep_temp_files(const std::string& directory) {
  unsigned removed = 0;
  std::error_code error;
  for (std::filesystem::directory_iterator it(directory, error), end; !error && it != end;
       it.increment(error)) {
    const std::string path = it->path();
    if (!it->path().filename().string().starts_with(kPrefix)) continue;
    const Fd fd(::open(path.c_str(), O_RDWR | O_CLOEXEC | O_NOFOLLOW));
    if (fd.valid() && ::flock(fd.get(), LOCK_EX | LOCK_NB) == 0 && ::unlink(path.c_str()) == 0)
      ++removed;
  }
  return removed;
}

Result<Fd> open_scratch_file(const std::string& directory) {
  Fd fd = open_tmpfile(directory);
  if (fd.valid()) return fd;
  if (!lacks_tmpfile(errno)) return fail_errno(directory, "cannot create a temporary file");
  TempFile named = HUSK_TRY(TempFile::create_named(directory));
  Fd copy(::fcntl(named.fd(), F_DUPFD_CLOEXEC, 0));
  if (!copy.valid()) return fail_errno(directory, "cannot duplicate a descriptor");
  return copy;  // ~TempFile takes the name away
}

Result<TempFile> TempFile::create(const std::string& directory) {
  Fd fd = open_tmpfile(directory);
  if (fd.valid()) return TempFile(std::move(fd), {});
  if (!lacks_tmpfile(errno)) return fail_errno(directory, "cannot create a temporary file");
  return create_named(directory);
}

Result<TempFile> TempFile::create_named(const std::string& directory) {
  sweep_temp_files(directory);
  for (int attempt = 0; attempt < kNameAttempts; ++attempt) {
    std::string path = directory + "/" + random_name();
    Fd fd(::open(path.c_str(), O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600));
    if (fd.valid() && is_ours(fd)) return TempFile(std::move(fd), std::move(path));
    if (!fd.valid() && errno != EEXIST)
      return fail_errno(directory, "cannot create a temporary file");
  }
  return fail(ErrorKind::kIo, directory, "cannot create a temporary file under any name");
}

TempFile::~TempFile() {
  if (!name_.empty()) ::unlink(name_.c_str());
}

Result<void> TempFile::complete(const std::string& path) const {
  if (::fchmod(fd_.get(), 0400) != 0) return fail_errno(path, "cannot set the mode");
  if (::fdatasync(fd_.get()) != 0) return fail_errno(path, "cannot write to the disk");
  return {};
}

// A name is replaced by another one only (rename(2)): a file without gets one, locked as those of
// the fallback are, so that it is swept when its maker dies in between.
Result<void> TempFile::replace(const std::string& path) {
  HUSK_TRY(complete(path));
  for (int attempt = 0; name_.empty(); ++attempt) {
    const std::string name =
        std::filesystem::path(path).parent_path().string() + "/" + random_name();
    if (::flock(fd_.get(), LOCK_EX) != 0) return fail_errno(path, "cannot lock");
    if (link_nameless(fd_.get(), name) == 0) {
      name_ = name;
    } else if (errno != EEXIST || attempt == kNameAttempts) {
      return fail_errno(path, "cannot give a finished file a name");
    }
  }
  if (::rename(name_.c_str(), path.c_str()) != 0)
    return fail_errno(path, "cannot give a finished file its name");
  name_.clear();
  return sync_directory_of(path);
}

Result<bool> TempFile::publish(const std::string& path) {
  HUSK_TRY(complete(path));
  const int status =
      name_.empty() ? link_nameless(fd_.get(), path) : ::link(name_.c_str(), path.c_str());
  if (status == 0) {
    auto durable = sync_directory_of(path);
    if (durable) return true;
    ::unlink(path.c_str());
    return std::unexpected(std::move(durable.error()));
  }
  if (errno == EEXIST) return false;
  return fail_errno(path, "cannot give a finished file its name");
}

}  // namespace husk::base
