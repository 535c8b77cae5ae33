#include "base/fd.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>

#include "base/try.h"

namespace husk::base {

void Fd::reset() {
  if (fd_ >= 0) ::close(fd_);
  fd_ = -1;
}

Result<Fd> open_file(const std::string& path, int flags, const std::string& role, unsigned mode) {
  Fd fd(::open(path.c_str(), flags | O_CLOEXEC, mode));
  if (!fd.valid()) return fail_errno(path, "cannot open " + role);
  return fd;
}

Result<std::string> read_file(const std::string& path, const std::string& role, size_t limit) {
  Fd fd = HUSK_TRY(open_file(path, O_RDONLY, role));
  struct stat st{};
  if (::fstat(fd.get(), &st) != 0) return fail_errno(path, "cannot stat " + role);
  if (!S_ISREG(st.st_mode)) return fail(ErrorKind::kInvalidArgument, path, role + " is not a file");
  if (static_cast<uint64_t>(st.st_size) > limit)
    return fail(ErrorKind::kLimit, path,
                role + " is larger than " + std::to_string(limit) + " bytes");
  std::string text(static_cast<size_t>(st.st_size), '\0');
  HUSK_TRY(read_exact(fd.get(), std::as_writable_bytes(std::span(text)), 0, path));
  return text;
}

Result<void> read_exact(int fd, std::span<std::byte> data, uint64_t offset,
                        const std::string& subject) {
  while (!data.empty()) {
    const ssize_t n = ::pread(fd, data.data(), data.size(), static_cast<off_t>(offset));
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) return fail_errno(subject, "cannot read");
    if (n == 0) return fail(ErrorKind::kCorrupt, subject, "ends early");
    data = data.subspan(static_cast<size_t>(n));
    offset += static_cast<uint64_t>(n);
  }
  return {};
}

Result<void> write_exact(int fd, std::span<const std::byte> data, uint64_t offset,
                         const std::string& subject) {
  while (!data.empty()) {
    const ssize_t n = ::pwrite(fd, data.data(), data.size(), static_cast<off_t>(offset));
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) return fail_errno(subject, "cannot write");
    data = data.subspan(static_cast<size_t>(n));
    offset += static_cast<uint64_t>(n);
  }
  return {};
}

Result<Mapping> Mapping::map(size_t size, int prot, int flags, int fd, uint64_t offset,
                             const std::string& subject) {
  void* start = ::mmap(nullptr, size, prot, flags, fd, static_cast<off_t>(offset));
  if (start == MAP_FAILED)
    return fail_errno(subject, "cannot map " + std::to_string(size) + " bytes");
  return Mapping(start, size);
}

void Mapping::reset() {
  if (start_ != nullptr) ::munmap(start_, size_);
  start_ = nullptr;
  size_ = 0;
}

}  // namespace husk::base
