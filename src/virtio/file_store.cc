#include "virtio/file_store.h"

#include <fcntl.h>
#include <linux/falloc.h>
#include <linux/fs.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>

#include "base/try.h"

namespace husk::virtio {
namespace {

constexpr uint64_t kSector = 512;

Result<uint64_t> size_of(int fd, const std::string& path) {
  struct stat st{};
  if (::fstat(fd, &st) != 0) return fail_errno(path, "cannot stat disk");
  uint64_t size = static_cast<uint64_t>(st.st_size);
  if (S_ISBLK(st.st_mode)) {
    if (::ioctl(fd, BLKGETSIZE64, &size) != 0)
      return fail_errno(path, "cannot tell the disk's size");
  } else if (!S_ISREG(st.st_mode)) {
    return fail(ErrorKind::kInvalidArgument, path, "disk is neither a file nor a block device");
  }
  if (size == 0 || size % kSector != 0)
    return fail(ErrorKind::kInvalidArgument, path,
                "disk's size is not a positive multiple of 512 bytes");
  return size;
}

}  // namespace

Result<std::unique_ptr<FileStore>> FileStore::open(const std::string& path, bool read_only) {
  // O_NONBLOCK so that a pipe is refused below rather than waited for; disks do not know it.
  const int mode = (read_only ? O_RDONLY : O_RDWR) | O_NONBLOCK;
  base::Fd fd = HUSK_TRY(base::open_file(path, mode, "disk"));
  const uint64_t size = HUSK_TRY(size_of(fd.get(), path));
  struct flock lock{};
  lock.l_type = read_only ? F_RDLCK : F_WRLCK;
  lock.l_whence = SEEK_SET;
  if (::fcntl(fd.get(), F_OFD_SETLK, &lock) != 0) {
    if (errno == EAGAIN || errno == EACCES)
      return fail(ErrorKind::kState, path, "disk is in use by another machine");
    return fail_errno(path, "cannot lock disk");
  }
  return std::unique_ptr<FileStore>(new FileStore(std::move(fd), path, size, read_only));
}

Result<void> FileStore::read(uint64_t offset, std::span<std::byte> out) {
  return base::read_exact(fd_.get(), out, offset, path_);
}

Result<void> FileStore::write(uint64_t offset, std::span<const std::byte> in) {
  return base::write_exact(fd_.get(), in, offset, path_);
}

Result<void> FileStore::flush() {
  if (!read_only_ && ::fdatasync(fd_.get()) != 0) return fail_errno(path_, "cannot flush disk");
  return {};
}

Result<void> FileStore::discard(uint64_t offset, uint64_t length) {
  // A hint: where the file system cannot, the data stays.
  [[maybe_unused]] const int result =
      ::fallocate(fd_.get(), FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, static_cast<off_t>(offset),
                  static_cast<off_t>(length));
  return {};
}

Result<void> FileStore::write_zeroes(uint64_t offset, uint64_t length, bool unmap) {
  const int mode = (unmap ? FALLOC_FL_PUNCH_HOLE : FALLOC_FL_ZERO_RANGE) | FALLOC_FL_KEEP_SIZE;
  if (::fallocate(fd_.get(), mode, static_cast<off_t>(offset), static_cast<off_t>(length)) == 0)
    return {};
  static constexpr std::array<std::byte, 65536> kZeroes{};
  while (length != 0) {
    const uint64_t n = std::min<uint64_t>(length, kZeroes.size());
    HUSK_TRY(write(offset, std::span(kZeroes).first(n)));
    offset += n;
    length -= n;
  }
  return {};
}

}  // namespace husk::virtio
