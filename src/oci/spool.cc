#include "oci/spool.h"

#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <limits>

#include "base/checked.h"
#include "base/try.h"

namespace husk::oci {
namespace {

constexpr uint64_t kMaxOffset = std::numeric_limits<int64_t>::max();

}  // namespace

Result<Content> Spool::reserve(uint64_t size) {
  const auto end = base::checked_add(end_, size);
  if (!end || *end > kMaxOffset) return fail(ErrorKind::kLimit, subject_, "the image is too large");
  if (::ftruncate(fd_.get(), static_cast<off_t>(*end)) != 0)
    return fail_errno(subject_, "cannot hold the image's files");
  return Content{std::exchange(end_, *end), size};
}

Result<void> Spool::write(uint64_t offset, std::span<const std::byte> data) {
  return base::write_exact(fd_.get(), data, offset, subject_);
}

Result<void> Spool::read(uint64_t offset, std::span<std::byte> data) const {
  return base::read_exact(fd_.get(), data, offset, subject_);
}

// lseek(2): ENXIO says that only a hole follows; a file system without holes says that all is data.
Spool::Extent Spool::next_data(uint64_t offset, uint64_t end) const {
  if (offset >= end) return {end, end};
  const off_t data = ::lseek(fd_.get(), static_cast<off_t>(offset), SEEK_DATA);
  if (data < 0) return errno == ENXIO ? Extent{end, end} : Extent{offset, end};
  const off_t hole = ::lseek(fd_.get(), data, SEEK_HOLE);
  const uint64_t stop = hole < 0 ? end : static_cast<uint64_t>(hole);
  return {static_cast<uint64_t>(data), std::min(stop, end)};
}

}  // namespace husk::oci
