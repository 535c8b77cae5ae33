#include "oci/temp_file.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/file.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <filesystem>

#include "base/try.h"

namespace husk::oci {
namespace {

constexpr std::string_view kPrefix = ".building-";
constexpr int kNameAttempts = 100;

// open(2): what O_TMPFILE says on a kernel or file system without it.
bool lacks_tmpfile(int error) {
  return error == EOPNOTSUPP || error == EISDIR || error == ENOENT || error == EINVAL;
}

base::Fd open_tmpfile(const std::string& directory) {
  return base::Fd(::open(directory.c_str(), O_TMPFILE | O_RDWR | O_CLOEXEC, 0600));
}

std::string random_name() {
  uint64_t number = 0;
  if (::getrandom(&number, sizeof number, 0) != sizeof number)
    number = static_cast<uint64_t>(::getpid());
  return fmt::format("{}{:016x}", kPrefix, number);
}

// A file whose maker lives is locked; one that can be locked was left behind.
void sweep(const std::string& directory) {
  std::error_code error;
  for (std::filesystem::directory_iterator it(directory, error), end; !error && it != end;
       it.increment(error)) {
    const std::string path = it->path();
    if (!it->path().filename().string().starts_with(kPrefix)) continue;
    const base::Fd fd(::open(path.c_str(), O_RDWR | O_CLOEXEC | O_NOFOLLOW));
    if (fd.valid() && ::flock(fd.get(), LOCK_EX | LOCK_NB) == 0) ::unlink(path.c_str());
  }
}

// Locked and still there: a sweeper may have come between the creation and the lock.
bool is_ours(const base::Fd& fd) {
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

}  // namespace

Result<base::Fd> open_scratch_file(const std::string& directory) {
  base::Fd fd = open_tmpfile(directory);
  if (fd.valid()) return fd;
  if (!lacks_tmpfile(errno)) return fail_errno(directory, "cannot create a temporary file");
  TempFile named = HUSK_TRY(TempFile::create_named(directory));
  base::Fd copy(::fcntl(named.fd(), F_DUPFD_CLOEXEC, 0));
  if (!copy.valid()) return fail_errno(directory, "cannot duplicate a descriptor");
  return copy;  // ~TempFile takes the name away
}

Result<TempFile> TempFile::create(const std::string& directory) {
  base::Fd fd = open_tmpfile(directory);
  if (fd.valid()) return TempFile(std::move(fd), {});
  if (!lacks_tmpfile(errno)) return fail_errno(directory, "cannot create a temporary file");
  return create_named(directory);
}

Result<TempFile> TempFile::create_named(const std::string& directory) {
  sweep(directory);
  for (int attempt = 0; attempt < kNameAttempts; ++attempt) {
    std::string path = directory + "/" + random_name();
    base::Fd fd(::open(path.c_str(), O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600));
    if (fd.valid() && is_ours(fd)) return TempFile(std::move(fd), std::move(path));
    if (!fd.valid() && errno != EEXIST)
      return fail_errno(directory, "cannot create a temporary file");
  }
  return fail(ErrorKind::kIo, directory, "cannot create a temporary file under any name");
}

TempFile::~TempFile() {
  if (!name_.empty()) ::unlink(name_.c_str());
}

Result<bool> TempFile::publish(const std::string& path) {
  if (::fchmod(fd_.get(), 0400) != 0) return fail_errno(path, "cannot set the mode");
  if (::fdatasync(fd_.get()) != 0) return fail_errno(path, "cannot write to the disk");
  const int status =
      name_.empty() ? link_nameless(fd_.get(), path) : ::link(name_.c_str(), path.c_str());
  if (status == 0) return true;
  if (errno == EEXIST) return false;
  return fail_errno(path, "cannot put the image into the cache");
}

}  // namespace husk::oci
