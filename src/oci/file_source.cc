#include "oci/file_source.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>

#include "base/try.h"

namespace husk::oci {

FileSource::FileSource(int fd, uint64_t offset, std::string subject)
    : fd_(fd), offset_(offset), subject_(std::move(subject)) {}

FileSource::FileSource(base::Fd fd, std::string subject)
    : owned_(std::move(fd)), fd_(owned_.get()), subject_(std::move(subject)) {}

Result<size_t> FileSource::read(std::span<std::byte> buffer) {
  while (true) {
    const ssize_t n = ::pread(fd_, buffer.data(), buffer.size(), static_cast<off_t>(offset_));
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) return fail_errno(subject_, "cannot read");
    offset_ += static_cast<uint64_t>(n);
    return static_cast<size_t>(n);
  }
}

Result<uint64_t> FileSource::skip(uint64_t count) {
  struct stat st{};
  if (::fstat(fd_, &st) != 0) return fail_errno(subject_, "cannot stat");
  const auto size = static_cast<uint64_t>(st.st_size);
  const uint64_t passed = offset_ < size ? std::min(count, size - offset_) : 0;
  offset_ += passed;
  return passed;
}

Result<base::Fd> open_regular_file(const std::string& path, const std::string& role) {
  base::Fd fd = HUSK_TRY(base::open_file(path, O_RDONLY | O_NONBLOCK, role));
  struct stat st{};
  if (::fstat(fd.get(), &st) != 0) return fail_errno(path, "cannot stat " + role);
  if (!S_ISREG(st.st_mode))
    return fail(ErrorKind::kInvalidArgument, path, role + " is not a regular file");
  return fd;
}

}  // namespace husk::oci
