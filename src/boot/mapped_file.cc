#include "boot/mapped_file.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>

#include "base/try.h"

namespace husk::boot {

Result<base::Mapping> map_file(const std::string& path, const std::string& role) {
  // A named pipe would otherwise wait here for its writer.
  const base::Fd fd = HUSK_TRY(base::open_file(path, O_RDONLY | O_NONBLOCK, role));
  struct stat status{};
  if (::fstat(fd.get(), &status) != 0) return fail_errno(path, "cannot stat " + role);
  if (!S_ISREG(status.st_mode))
    return fail(ErrorKind::kInvalidArgument, path, role + " is not a regular file");
  if (status.st_size == 0) return fail(ErrorKind::kCorrupt, path, role + " is empty");
  return base::Mapping::map(static_cast<size_t>(status.st_size), PROT_READ, MAP_PRIVATE, fd.get(),
                            0, path);
}

}  // namespace husk::boot
