#include "base/held_file.h"

#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>

#include "base/try.h"

namespace husk::base {
namespace {

// flock(2): locks are the open file's, and go with the last descriptor or mapping of it.
Result<void> lock(int fd, int kind, const std::string& path) {
  while (::flock(fd, kind) != 0) {
    if (errno != EINTR) return fail_errno(path, "cannot lock");
  }
  return {};
}

Fd open_quietly(const std::string& path) {
  return Fd(::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK));
}

// The file by this name is the one that is open, not a later one.
bool is_the_one(const Fd& fd, const std::string& path) {
  struct stat open{}, named{};
  return ::fstat(fd.get(), &open) == 0 && ::lstat(path.c_str(), &named) == 0 &&
         open.st_ino == named.st_ino && open.st_dev == named.st_dev;
}

}  // namespace

Result<void> hold(int fd, const std::string& path) { return lock(fd, LOCK_SH, path); }

Result<Fd> hold_file(const std::string& path, const std::string& role) {
  for (;;) {
    Fd fd = open_quietly(path);
    if (!fd.valid() && errno == ENOENT)
      return fail(ErrorKind::kNotFound, path, "there is no such " + role);
    if (!fd.valid()) return fail_errno(path, "cannot open the " + role);
    HUSK_TRY(hold(fd.get(), path));
    // One that lost its name, or was replaced, before it was held, is not the one that is wanted.
    if (is_the_one(fd, path)) return fd;
  }
}

bool is_held(const std::string& path) {
  const Fd fd = open_quietly(path);
  return fd.valid() && ::flock(fd.get(), LOCK_EX | LOCK_NB) != 0 && errno == EWOULDBLOCK;
}

Result<bool> remove_unheld(const std::string& path) {
  const Fd fd = open_quietly(path);
  if (!fd.valid() && errno == ENOENT) return false;
  if (!fd.valid()) return fail_errno(path, "cannot be opened to be removed");
  if (::flock(fd.get(), LOCK_EX | LOCK_NB) != 0) {
    if (errno == EWOULDBLOCK) return false;
    return fail_errno(path, "cannot lock");
  }
  if (!is_the_one(fd, path)) return false;
  if (::unlink(path.c_str()) != 0) return fail_errno(path, "cannot be removed");
  return true;
}

void mark_used(const std::string& path) { ::utimensat(AT_FDCWD, path.c_str(), nullptr, 0); }

}  // namespace husk::base
