#include "memory/file_window.h"

#include <fmt/core.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/checked.h"
#include "base/try.h"

namespace husk::memory {
namespace {

constexpr int kReadWrite = PROT_READ | PROT_WRITE;

Result<void> check_file(int file, uint64_t offset, uint64_t length) {
  struct stat st{};
  if (::fstat(file, &st) != 0) return fail_errno("file window", "cannot stat the file");
  const uint64_t page = FileWindow::host_page();
  const uint64_t size = (static_cast<uint64_t>(st.st_size) + page - 1) & ~(page - 1);
  if (offset % page != 0 || !base::in_bounds(offset, length, size))
    return fail(ErrorKind::kInvalidArgument, "file window",
                fmt::format("the file has no pages {:#x}+{:#x}", offset, length));
  return {};
}

}  // namespace

uint64_t FileWindow::host_page() { return static_cast<uint64_t>(::sysconf(_SC_PAGESIZE)); }

Result<FileWindow> FileWindow::create(uint64_t size) {
  if (size == 0 || size % host_page() != 0)
    return fail(ErrorKind::kInvalidArgument, "file window", "size is not in pages");
  return FileWindow(HUSK_TRY(base::Mapping::map(
      size, kReadWrite, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0, "file window")));
}

Result<void> FileWindow::check(uint64_t at, uint64_t length) const {
  if (length == 0 || at % host_page() != 0 || length % host_page() != 0 ||
      !base::in_bounds(at, length, size()))
    return fail(ErrorKind::kInvalidArgument, "file window",
                fmt::format("{:#x}+{:#x} is not within it", at, length));
  return {};
}

Result<void> FileWindow::show(uint64_t at, int file, uint64_t offset, uint64_t length,
                              Writes writes) {
  HUSK_TRY(check(at, length));
  HUSK_TRY(check_file(file, offset, length));
  const int sharing = writes == Writes::kShared ? MAP_SHARED : MAP_PRIVATE | MAP_NORESERVE;
  if (::mmap(host() + at, length, kReadWrite, sharing | MAP_FIXED, file,
             static_cast<off_t>(offset)) == MAP_FAILED)
    return fail_errno("file window", "cannot map the file");
  return {};
}

Result<void> FileWindow::hide(uint64_t at, uint64_t length) {
  HUSK_TRY(check(at, length));
  if (::mmap(host() + at, length, kReadWrite,
             MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE | MAP_FIXED, -1, 0) == MAP_FAILED)
    return fail_errno("file window", "cannot unmap the file");
  return {};
}

}  // namespace husk::memory
